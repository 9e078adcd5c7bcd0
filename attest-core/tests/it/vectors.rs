//! Where published vectors lie, and how a token is judged by one.

use std::path::PathBuf;

use attest_core::token::key_set::{KeySet, SignatureState};
use attest_core::token::verify::inspect;
use serde_json::{Map, Value};

/// The folder of a set of vectors; `None`, with one line that says so, where it is absent.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ASSAY_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no vectors at {} (set ASSAY_VECTORS)", folder.display());
    None
}

/// One JSON file of a set.
pub(crate) fn json(folder: &std::path::Path, file: &str) -> Value {
    let path = folder.join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether the signature of a JWS is genuine, whatever its payload.
pub(crate) fn signature_is_good(jws: &[u8], keys: &KeySet) -> bool {
    inspect(jws, keys).signature == SignatureState::Genuine
}

/// The public half of a published JWK, which often carries the private one.
pub(crate) fn public_jwk(jwk: &Value) -> Value {
    let private = ["d", "p", "q", "dp", "dq", "qi"];
    match jwk.get("keys") {
        Some(Value::Array(keys)) => serde_json::json!({"keys": keys.iter().map(public_jwk).collect::<Vec<_>>()}),
        _ => {
            let members: Map<String, Value> = jwk.as_object().unwrap().clone();
            members.into_iter().filter(|(name, _)| !private.contains(&name.as_str())).collect::<Map<_, _>>().into()
        }
    }
}

/// Hexadecimal text as bytes.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(value.as_str().unwrap().as_bytes()).unwrap()
}
