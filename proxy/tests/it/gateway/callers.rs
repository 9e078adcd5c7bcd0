//! Callers that are no apps, against real sockets: partners, webhooks, certificates; and the users behind an app.

mod certificates;
mod partners;
mod users;
mod webhooks;

use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

/// The secret of the issuer that users and partners have JWTs of.
pub(super) const IDP: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac_hex(secret: &[u8], parts: &[&[u8]]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    parts.iter().for_each(|part| context.update(part));
    HEXLOWER.encode(context.sign().as_ref())
}

/// A JWT with these claims.
pub(super) fn jwt(secret: &[u8], claims: &serde_json::Value) -> String {
    let encode = |text: &[u8]| BASE64URL_NOPAD.encode(text);
    let signing = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signing.as_bytes());
    format!("{signing}.{}", encode(mac.as_ref()))
}
