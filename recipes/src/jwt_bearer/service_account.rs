//! JSON keys of Google service accounts. In: the document. Out: its parts; proven between: it is one, and mints its tokens
//! where the recipe says.

use attest_core::json::{self, Limits};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::endpoint::TokenEndpoint;
use crate::error::SecretError;
use crate::secret::SecretInput;

/// What a JWT is made from.
pub(super) struct ServiceAccount {
    pub(super) email: String,
    pub(super) key_id: String,
    /// PEM.
    pub(super) private_key: Zeroizing<String>,
}

impl ServiceAccount {
    /// # Source
    /// "Create and delete service account keys", <https://cloud.google.com/iam/docs/keys-create-delete>.
    pub(super) fn parse(document: &[u8], endpoint: Option<&TokenEndpoint>) -> Result<Self, SecretError> {
        let bad = |why| SecretError::ServiceAccount { why };
        let limits = Limits { max_bytes: SecretInput::MAX_BYTES, max_depth: 1, max_members: 32 };
        let mut members = json::parse_object(document, limits).map_err(|_| bad("it is no JSON object"))?;
        let private_key = Zeroizing::new(text(&mut members, "private_key").ok_or(bad("it has no private_key"))?);
        if text(&mut members, "type").as_deref() != Some("service_account") {
            return Err(bad("its type is not service_account"));
        }
        let uri = text(&mut members, "token_uri").ok_or(bad("it has no token_uri"))?;
        if let Some(endpoint) = endpoint
            && TokenEndpoint::parse(&uri).as_ref() != Ok(endpoint)
        {
            return Err(bad("its token_uri is not the token_endpoint of the recipe"));
        }
        Ok(Self {
            email: text(&mut members, "client_email").ok_or(bad("it has no client_email"))?,
            key_id: text(&mut members, "private_key_id").ok_or(bad("it has no private_key_id"))?,
            private_key,
        })
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
