//! Twilio. Source: "Requests to Twilio" (basic: account SID and auth token), "Messages resource": a form, 201.

use serde_json::json;

use super::{Reply, Vendor};

/// The API, for one account and its auth token.
#[must_use]
pub fn start(account: &str, token: &str) -> Vendor {
    let (account, token) = (account.to_owned(), token.to_owned());
    Vendor::serving(move |call| {
        if call.basic() != Some((account.clone(), token.clone())) {
            return Reply::json(401, &json!({ "code": 20003, "message": "Authenticate", "status": 401 }));
        }
        let root = format!("/2010-04-01/Accounts/{account}");
        let Some(path) = call.path().strip_prefix(&root) else {
            return Reply::json(404, &json!({ "code": 20404, "message": "not found", "status": 404 }));
        };
        let form = call.form();
        let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        match (call.method.as_str(), path) {
            ("POST", "/Messages.json") => match (field("To"), field("Body")) {
                (Some(to), Some(body)) if field("From").is_some() || field("MessagingServiceSid").is_some() => {
                    Reply::json(
                        201,
                        &json!({ "sid": "SM1", "account_sid": account, "to": to, "body": body, "status": "queued" }),
                    )
                }
                _ => Reply::json(
                    400,
                    &json!({ "code": 21603, "message": "A 'From' phone number is required", "status": 400 }),
                ),
            },
            ("GET", path) if path.starts_with("/Messages/SM") => {
                Reply::json(200, &json!({ "sid": "SM1", "account_sid": account, "status": "delivered" }))
            }
            // What the auth token opens beside these: a test that gets here has found a hole.
            ("GET", "/Messages.json") => Reply::json(200, &json!({ "messages": [{ "body": "another user's code" }] })),
            ("POST", "/Calls.json") => Reply::json(201, &json!({ "sid": "CA1" })),
            _ => Reply::json(404, &json!({ "code": 20404, "message": "not found", "status": 404 })),
        }
    })
}
