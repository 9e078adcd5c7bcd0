//! The transit engine of Vault or OpenBao. Source: its HTTP API, "Encrypt Data", "Decrypt Data". The key never leaves it:
//! whoever shows the token has 32 bytes wrapped and unwrapped.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Reply, Vendor};

/// The engine at `transit`, with one key, `assay`, for one token.
#[must_use]
pub fn start(token: &str) -> Vendor {
    let token = token.to_owned();
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).unwrap());
    Vendor::serving(move |call| {
        if call.header("x-vault-token") != Some(token.as_str()) {
            return refused(403, "permission denied");
        }
        let asked = call.json();
        match (call.method.as_str(), call.path()) {
            ("POST", "/v1/transit/encrypt/assay") => encrypt(&key, &asked),
            ("POST", "/v1/transit/decrypt/assay") => decrypt(&key, &asked),
            (_, path) if path.starts_with("/v1/transit/") => refused(404, "encryption key not found"),
            _ => refused(404, "no handler for route"),
        }
    })
}

fn encrypt(key: &LessSafeKey, asked: &Value) -> Reply {
    let Some(mut bytes) = asked["plaintext"].as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok()) else {
        return refused(400, "failed to base64-decode plaintext");
    };
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).unwrap();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes).unwrap();
    let ciphertext = format!("vault:v1:{}", BASE64.encode(&[&nonce[..], &bytes].concat()));
    Reply::json(200, &json!({ "data": { "ciphertext": ciphertext, "key_version": 1 }, "lease_duration": 0 }))
}

fn decrypt(key: &LessSafeKey, asked: &Value) -> Reply {
    let sealed = asked["ciphertext"].as_str().and_then(|text| text.strip_prefix("vault:v1:"));
    let Some(sealed) = sealed.and_then(|text| BASE64.decode(text.as_bytes()).ok()) else {
        return refused(400, "invalid ciphertext: no prefix");
    };
    let opened = sealed.split_first_chunk::<NONCE_LEN>().and_then(|(nonce, rest)| {
        let mut bytes = rest.to_vec();
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut bytes).ok()?;
        Some(BASE64.encode(plain))
    });
    match opened {
        Some(plain) => Reply::json(200, &json!({ "data": { "plaintext": plain } })),
        None => refused(400, "cipher: message authentication failed"),
    }
}

fn refused(status: u16, why: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [why] }))
}
