//! A symmetric key of AWS KMS. In: a wrapped key, or 32 new bytes. Out: the key, or it wrapped. Requests are signed by the
//! same code that signs those of third-party keys.
//!
//! # Source
//! AWS KMS API Reference, `Encrypt` and `Decrypt`; the JSON 1.1 protocol (`X-Amz-Target: TrentService.…`).

use std::collections::BTreeMap;

use attest_core::random::array;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Method, header};
use keystore::MasterKey;
use keystore::kek::KekProvider;
use recipes::{Changes, Credential, Draft, DraftBody, LargeBody, Recipe, RecipeText, Sigv4Place};
use serde::{Deserialize, Serialize};
use settings::{AwsCredentials, AwsKmsUnlock};
use zeroize::Zeroizing;

use super::UnlockError;
use super::server::{KeyText, Server};
use crate::{Around, private_file};

const WHAT: &str = "aws_kms";

/// The key that `wrapped` holds.
pub(super) async fn unwrap(settings: &AwsKmsUnlock, wrapped: &str, around: &Around) -> Result<MasterKey, UnlockError> {
    let server = Server::new(WHAT, &settings.server, around)?;
    let question = Decrypt { key_id: &settings.key_id, ciphertext_blob: wrapped, encryption_context: context() };
    let answer: Decrypted = ask(&server, settings, "Decrypt", &question, around).await?;
    server.key(&answer.plaintext)
}

/// A new key, and how the service wraps it.
pub(super) async fn wrap(settings: &AwsKmsUnlock, around: &Around) -> Result<(MasterKey, KekProvider), UnlockError> {
    let server = Server::new(WHAT, &settings.server, around)?;
    let bytes = Zeroizing::new(array::<32>(&*around.random)?);
    let plaintext = KeyText::new(&bytes);
    let question = Encrypt { key_id: &settings.key_id, plaintext: &plaintext, encryption_context: context() };
    let answer: Encrypted = ask(&server, settings, "Encrypt", &question, around).await?;
    if answer.ciphertext_blob.is_empty() || BASE64.decode(answer.ciphertext_blob.as_bytes()).is_err() {
        return Err(server.bad("CiphertextBlob is not base64"));
    }
    let provider = KekProvider::AwsKms {
        region: settings.region.clone(),
        key_id: settings.key_id.clone(),
        wrapped: answer.ciphertext_blob,
    };
    let key = MasterKey::from_bytes(bytes).map_err(|_| UnlockError::NotAKey { at: "the new key".to_owned() })?;
    Ok((key, provider))
}

async fn ask<T: serde::de::DeserializeOwned>(
    server: &Server,
    settings: &AwsKmsUnlock,
    action: &str,
    question: &impl Serialize,
    around: &Around,
) -> Result<T, UnlockError> {
    let body = server.written(question)?;
    let target = HeaderValue::from_str(&format!("TrentService.{action}"));
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", target.map_err(|_| server.bad("its action can't be one"))?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    sign(&mut headers, &body, server, settings, around)?;
    server
        .ask("/", headers, body, |told| {
            told.get("__type")?.as_str().map(|kind| kind.rsplit('#').next().unwrap_or(kind))
        })
        .await
}

/// Adds the signature.
fn sign(
    headers: &mut HeaderMap,
    body: &[u8],
    server: &Server,
    settings: &AwsKmsUnlock,
    around: &Around,
) -> Result<(), UnlockError> {
    let wrong = |why: &dyn std::fmt::Display| UnlockError::Credentials { why: why.to_string() };
    let host = server.place().host_header().ok_or_else(|| server.bad("its name can't be a header"))?;
    let host = host.to_str().map_err(|_| server.bad("its name can't be a header"))?;
    let draft = Draft {
        method: &Method::POST,
        scheme: server.place().scheme(),
        host,
        path: "/",
        query: None,
        headers,
        body: DraftBody::Whole(body),
        now: around.clock.now(),
    };
    let changes = credential(settings, around)?.apply(&draft).map_err(|why| wrong(&why))?;
    match changes {
        Changes::Header(name, value) => {
            headers.insert(name, value);
        }
        Changes::Many { headers: signed, .. } => {
            for (name, value) in signed {
                headers.insert(name, value);
            }
        }
        Changes::Nothing => return Err(wrong(&"they sign nothing")),
    }
    Ok(())
}

fn credential(settings: &AwsKmsUnlock, around: &Around) -> Result<Credential, UnlockError> {
    let wrong = |why: &dyn std::fmt::Display| UnlockError::Credentials { why: why.to_string() };
    let recipe = Recipe::parse(&RecipeText::AwsSigv4 {
        region: settings.region.clone(),
        service: "kms".to_owned(),
        place: Sigv4Place::Header,
        headers: vec!["content-type".to_owned()],
        large_body: LargeBody::Refuse,
    });
    let recipe = recipe.map_err(|why| wrong(&why))?;
    let secret = match &settings.credentials {
        AwsCredentials::File(path) => {
            private_file::read(path, 8192).map_err(|source| UnlockError::Secret { path: path.clone(), source })?
        }
        AwsCredentials::Environment => {
            let variable =
                |name: &str| (around.variable)(name).ok_or_else(|| UnlockError::NoVariable { name: name.to_owned() });
            let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
            let token = (around.variable)("AWS_SESSION_TOKEN").filter(|token| !token.is_empty());
            let mut parts = vec![id.as_str(), secret.as_str()];
            parts.extend(token.as_ref().map(|token| token.as_str()));
            Zeroizing::new(parts.join(":").into_bytes())
        }
    };
    recipe.credential(secret.trim_ascii_end()).map_err(|why| wrong(&why))
}

/// What the wrapped key is bound to, and what CloudTrail shows.
fn context() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("purpose", "assay-keystore")])
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt<'a> {
    key_id: &'a str,
    plaintext: &'a KeyText,
    encryption_context: BTreeMap<&'static str, &'static str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt<'a> {
    key_id: &'a str,
    ciphertext_blob: &'a str,
    encryption_context: BTreeMap<&'static str, &'static str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: KeyText,
}
