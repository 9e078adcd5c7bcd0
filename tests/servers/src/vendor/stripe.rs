//! Stripe. Source: its API reference, "Authentication" (the key as basic auth's user, without a password; or as a bearer
//! token), "Idempotent requests", "PaymentIntents".

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{Call, Reply, Vendor, lock};

/// The API, for one secret key.
#[must_use]
pub fn start(key: &str) -> Vendor {
    let key = key.to_owned();
    let answered: Mutex<BTreeMap<String, Value>> = Mutex::default();
    Vendor::serving(move |call| {
        if !is_authentic(call, &key) {
            return error(401, "invalid_request_error", "Invalid API Key provided");
        }
        let merchant = ["stripe-account", "stripe-context"].into_iter().find(|name| !call.values(name).is_empty());
        match (call.method.as_str(), call.path()) {
            // Whoever gets this far with it acts for another merchant.
            _ if merchant.is_some() => Reply::json(200, &json!({ "id": "acct_of_another_merchant" })),
            ("POST", "/v1/payment_intents") => once(&answered, call, || payment_intent(call)),
            ("GET", path) if path.starts_with("/v1/payment_intents/pi_") => {
                Reply::json(200, &intent(path.rsplit('/').next().unwrap_or_default(), 1099, "eur"))
            }
            ("POST", "/v1/setup_intents") => once(&answered, call, || {
                Ok(
                    json!({ "id": "seti_1", "object": "setup_intent", "client_secret": "seti_1_secret_2", "status": "requires_payment_method" }),
                )
            }),
            ("POST", "/v1/ephemeral_keys") => once(&answered, call, || {
                Ok(json!({ "id": "ephkey_1", "object": "ephemeral_key", "secret": "ek_test_1", "livemode": false }))
            }),
            // On files.stripe.com, in truth.
            ("POST", "/v1/files") if call.contains("name=\"purpose\"") => Reply::json(
                200,
                &json!({ "id": "file_1", "object": "file", "purpose": "dispute_evidence", "size": call.body.len() }),
            ),
            // What a secret key opens beside these: a test that gets here has found a hole.
            ("POST", "/v1/refunds" | "/v1/payouts") => Reply::json(200, &json!({ "id": "re_1", "object": "refund" })),
            ("GET", "/v1/customers") => Reply::json(
                200,
                &json!({ "object": "list", "data": [{ "id": "cus_of_another_user" }], "has_more": false, "url": "/v1/customers" }),
            ),
            _ => error(404, "invalid_request_error", "Unrecognized request URL"),
        }
    })
}

fn is_authentic(call: &Call, key: &str) -> bool {
    call.bearer() == Some(key) || call.basic().is_some_and(|(user, password)| user == key && password.is_empty())
}

/// The same answer again for the same `Idempotency-Key`.
fn once(
    answered: &Mutex<BTreeMap<String, Value>>,
    call: &Call,
    make: impl FnOnce() -> Result<Value, Box<Reply>>,
) -> Reply {
    let Some(key) = call.header("idempotency-key") else {
        return make().map_or_else(|refusal| *refusal, |made| Reply::json(200, &made));
    };
    let mut answered = lock(answered);
    if let Some(before) = answered.get(key) {
        return Reply::json(200, before).with("Idempotent-Replayed", "true");
    }
    match make() {
        Ok(mut made) => {
            made["id"] = json!(format!("{}{}", made["id"].as_str().unwrap_or_default(), answered.len()));
            answered.insert(key.to_owned(), made.clone());
            Reply::json(200, &made)
        }
        Err(refusal) => *refusal,
    }
}

fn payment_intent(call: &Call) -> Result<Value, Box<Reply>> {
    let form = call.form();
    let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    match (field("amount").and_then(|amount| amount.parse().ok()), field("currency")) {
        (Some(amount), Some(currency)) => Ok(intent("pi_", amount, currency)),
        _ => Err(Box::new(error(400, "invalid_request_error", "Missing required param: amount."))),
    }
}

fn intent(id: &str, amount: u64, currency: &str) -> Value {
    json!({
        "id": id, "object": "payment_intent", "amount": amount, "currency": currency, "livemode": false,
        "status": "requires_payment_method", "client_secret": "pi_1_secret_2", "metadata": {},
    })
}

fn error(status: u16, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "type": kind, "message": message } }))
}
