//! An API whose requests are signed with an HMAC, as exchanges and payment gateways have it: HMAC-SHA-256 over time, method,
//! path, query, a header and the hash of the body; `X-Signature: t=TIME,v1=HEX`; five minutes of tolerance; no signature twice.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aws_lc_rs::{digest, hmac};
use serde_json::json;

use super::google_cloud::now;
use super::{Call, Reply, Vendor, lock};

/// What is signed, as its documentation would tell it.
pub const MESSAGE: &str = "{timestamp}{nl}{method}{nl}{path}?{query}{nl}{header:x-account}{nl}{body_sha256}";

/// Seconds by which the clocks may differ.
const TOLERANCE: i64 = 300;

/// The API, for one secret in text.
#[must_use]
pub fn start(secret: &str) -> Vendor {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let seen: Mutex<BTreeSet<String>> = Mutex::default();
    Vendor::serving(move |call| {
        if let Err(why) = check(call, &key, now(), &seen) {
            return Reply::json(401, &json!({ "error": why }));
        }
        match (call.method.as_str(), call.path()) {
            ("POST", "/v1/orders") => Reply::json(201, &json!({ "received": call.body.len() })),
            ("GET", "/v1/feed") => Reply::events((1..=5).map(|number| format!("data: {}\n\n", json!({ "n": number })))),
            _ => Reply::json(404, &json!({ "error": "not_found" })),
        }
    })
}

/// Whether the one signature is that of this very request, now.
fn check(call: &Call, key: &hmac::Key, now: i64, seen: &Mutex<BTreeSet<String>>) -> Result<(), &'static str> {
    let header = call.header("x-signature").ok_or("one X-Signature is needed")?;
    let (time, signature) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).ok_or("malformed")?;
    let at: i64 = time.parse().map_err(|_| "malformed")?;
    if (now - at).abs() > TOLERANCE {
        return Err("too old or too new");
    }
    let account = call.header("x-account").ok_or("one X-Account is needed")?;
    let body = data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, &call.body).as_ref());
    let message = format!("{time}\n{}\n{}?{}\n{account}\n{body}", call.method, call.path(), call.raw_query());
    let tag = data_encoding::HEXLOWER.decode(signature.as_bytes()).map_err(|_| "malformed")?;
    hmac::verify(key, message.as_bytes(), &tag).map_err(|_| "the signature is another one")?;
    // Two requests of one second may be the same; their accounts' numbers tell them apart.
    if lock(seen).insert(signature.to_owned()) { Ok(()) } else { Err("seen before") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(change: impl Fn(&mut Call)) -> Result<(), &'static str> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret of sixteen bytes and more");
        let body = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let message = format!("1000\nPOST\n/v1/orders?a=b\n7\n{body}");
        let tag = data_encoding::HEXLOWER.encode(hmac::sign(&key, message.as_bytes()).as_ref());
        let headers = [("x-account", "7".to_owned()), ("x-signature", format!("t=1000,v1={tag}"))];
        let mut call = Call {
            method: "POST".to_owned(),
            target: "/v1/orders?a=b".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            body: b"hello".to_vec(),
        };
        change(&mut call);
        check(&call, &key, 1_300, &Mutex::default())
    }

    #[test]
    fn refuses_it_over_anything_else_twice_or_late() {
        assert_eq!(signed(|_| ()), Ok(()));
        let another = Err("the signature is another one");
        assert_eq!(signed(|call| call.method = "PUT".to_owned()), another);
        assert_eq!(signed(|call| call.target = "/v1/orders?a=c".to_owned()), another);
        assert_eq!(signed(|call| call.body = b"hullo".to_vec()), another);
        assert_eq!(signed(|call| call.headers[0].1 = "8".to_owned()), another);
        assert_eq!(signed(|call| call.headers[1].1 = call.headers[1].1.replace("1000", "1001")), another);
        assert_eq!(
            signed(|call| call.headers[1].1 = call.headers[1].1.replace("1000", "999")),
            Err("too old or too new")
        );
        assert_eq!(signed(|call| call.headers.push(call.headers[1].clone())), Err("one X-Signature is needed"));
    }
}
