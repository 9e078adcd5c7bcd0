//! The transit engine of Vault or OpenBao. In: a wrapped key, or 32 new bytes. Out: the key, or it wrapped. The server
//! never gives its own key away, and this process never keeps the token.
//!
//! # Source
//! <https://developer.hashicorp.com/vault/api-docs/secret/transit> and <https://openbao.org/api-docs/secret/transit/>:
//! "Encrypt data", "Decrypt data"; both answer alike.

use attest_core::random::array;
use http::{HeaderMap, HeaderValue};
use keystore::MasterKey;
use keystore::kek::KekProvider;
use serde::{Deserialize, Serialize};
use settings::VaultUnlock;
use zeroize::Zeroizing;

use super::UnlockError;
use super::server::{KeyText, Server};
use crate::{Around, private_file};

const WHAT: &str = "vault";

/// The key that `wrapped` holds.
pub(super) async fn unwrap(settings: &VaultUnlock, wrapped: &str, around: &Around) -> Result<MasterKey, UnlockError> {
    let server = Server::new(WHAT, &settings.server, around)?;
    let answer: Answer<Plaintext> =
        ask(&server, settings, "decrypt", &Ciphertext { ciphertext: wrapped.to_owned() }).await?;
    server.key(&answer.data.plaintext)
}

/// A new key, and how the server wraps it.
pub(super) async fn wrap(settings: &VaultUnlock, around: &Around) -> Result<(MasterKey, KekProvider), UnlockError> {
    let server = Server::new(WHAT, &settings.server, around)?;
    let bytes = Zeroizing::new(array::<32>(&*around.random)?);
    let plaintext = Plaintext { plaintext: KeyText::new(&bytes) };
    let answer: Answer<Ciphertext> = ask(&server, settings, "encrypt", &plaintext).await?;
    let wrapped = answer.data.ciphertext;
    if !wrapped.starts_with("vault:v") {
        return Err(server.bad("the ciphertext does not begin with vault:v"));
    }
    let provider = KekProvider::Vault { mount: settings.mount.clone(), key: settings.key.clone(), wrapped };
    let key = MasterKey::from_bytes(bytes).map_err(|_| UnlockError::NotAKey { at: "the new key".to_owned() })?;
    Ok((key, provider))
}

async fn ask<T: serde::de::DeserializeOwned>(
    server: &Server,
    settings: &VaultUnlock,
    verb: &str,
    body: &impl Serialize,
) -> Result<T, UnlockError> {
    let path = settings.token_file.clone();
    let token = private_file::read_line(&path, 4096).map_err(|source| UnlockError::Secret { path, source })?;
    let mut token = HeaderValue::from_str(&token).map_err(|_| UnlockError::Secret {
        path: settings.token_file.clone(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, "not a token"),
    })?;
    token.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("x-vault-token", token);
    headers.insert("x-vault-request", HeaderValue::from_static("true"));
    if let Some(namespace) = &settings.namespace {
        let namespace = HeaderValue::from_str(namespace).map_err(|_| server.bad("its namespace can't be one"))?;
        headers.insert("x-vault-namespace", namespace);
    }
    let body = server.written(body)?;
    let path = format!("/v1/{}/{verb}/{}", settings.mount, settings.key);
    server.ask(&path, headers, body, |told| told.get("errors")?.get(0)?.as_str()).await
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Serialize, Deserialize)]
struct Plaintext {
    plaintext: KeyText,
}

#[derive(Serialize, Deserialize)]
struct Ciphertext {
    ciphertext: String,
}
