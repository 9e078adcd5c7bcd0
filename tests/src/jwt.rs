//! What a token says to whoever reads it. In: its text. Out: header and claims; nothing is verified.

use attest_core::b64u;
use serde_json::Value;

/// Its header.
#[must_use]
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// Its claims.
#[must_use]
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The id of its device.
#[must_use]
pub fn device(token: &str) -> String {
    claims(token)["did"].as_str().unwrap().to_owned()
}

/// The id of the key that signed it.
#[must_use]
pub fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap_or_else(|| panic!("no part {number} in {token}"));
    serde_json::from_slice(&b64u::decode(part.as_bytes(), 8192).unwrap()).unwrap()
}
