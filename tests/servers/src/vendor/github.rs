//! GitHub. Source: "Authenticating to the REST API" (bearer), "Getting started: User agent" (403 without one), "Issues".

use serde_json::json;

use super::{Reply, Vendor};

/// The API, for one token.
#[must_use]
pub fn start(token: &str) -> Vendor {
    let token = token.to_owned();
    Vendor::serving(move |call| {
        if call.header("user-agent").is_none_or(str::is_empty) {
            return Reply::whole(403, "text/html", "Request forbidden by administrative rules.");
        }
        if call.bearer() != Some(token.as_str()) {
            return Reply::json(401, &json!({ "message": "Bad credentials", "status": "401" }));
        }
        let parts: Vec<&str> = call.path().split('/').skip(1).collect();
        match (call.method.as_str(), &parts[..]) {
            ("POST", ["repos", owner, repo, "issues"]) => {
                let issue = call.json();
                if issue["title"].as_str().is_none_or(str::is_empty) {
                    return Reply::json(422, &json!({ "message": "Validation Failed", "status": "422" }));
                }
                let url = format!("https://github.com/{owner}/{repo}/issues/7");
                Reply::json(
                    201,
                    &json!({ "number": 7, "title": issue["title"], "labels": issue["labels"], "html_url": url }),
                )
            }
            ("GET", ["repos", _, _, "issues"]) => {
                Reply::json(200, &json!([{ "number": 7, "title": "It does not start" }]))
            }
            ("GET", ["repos", _, _, "issues", number]) => {
                Reply::json(200, &json!({ "number": number.parse::<u64>().unwrap_or(0), "title": "It does not start" }))
            }
            ("GET", ["repos", _, _, "releases", "latest"]) => {
                Reply::json(200, &json!({ "tag_name": "v1.2.0", "assets": [] }))
            }
            // What a token opens beside these: a test that gets here has found a hole.
            ("PUT" | "GET", ["repos", _, _, "contents", ..]) => Reply::json(200, &json!({ "content": "c2VjcmV0" })),
            ("GET", ["user", ..]) => Reply::json(200, &json!({ "login": "the-owner-of-the-token" })),
            _ => Reply::json(404, &json!({ "message": "Not Found", "status": "404" })),
        }
    })
}
