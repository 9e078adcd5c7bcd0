//! An AWS key. In: JSON as `aws configure export-credentials` prints it, or `ID:SECRET[:TOKEN]`. Out: an [`AwsKey`]; proven
//! between: its parts are there and of the characters that AWS gives out.

use attest_core::json::{self, Limits};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::SecretError;
use crate::secret::{SecretInput, Secrets};

/// A key's parts.
pub(super) struct AwsKey {
    pub(super) id: String,
    pub(super) secret: Zeroizing<String>,
    pub(super) token: Option<Zeroizing<String>>,
}

impl AwsKey {
    /// Parses either form.
    pub(super) fn parse(text: &[u8]) -> Result<(Self, Secrets), SecretError> {
        let bad = |why| SecretError::AwsKey { why };
        let whole = std::str::from_utf8(text).map_err(|_| bad("it is not text"))?.trim();
        let key = if whole.starts_with('{') { Self::from_json(whole)? } else { Self::from_line(whole)? };
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        // Amazon's have 16 and more; servers that speak its language give out shorter ones.
        if !(3..=128).contains(&key.id.len()) || !key.id.bytes().all(is_id) {
            return Err(bad("the access key id is not 3 to 128 letters and digits"));
        }
        let plain =
            |text: &str| text.len() >= SecretInput::MIN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&key.secret) {
            return Err(bad("the secret access key is not 16 or more printable characters"));
        }
        if key.token.as_ref().is_some_and(|token| !plain(token)) {
            return Err(bad("the session token is not 16 or more printable characters"));
        }
        let secrets = Secrets::of(key.secret.as_bytes()).and(text);
        let secrets = secrets.and(key.token.as_ref().map_or(b"", |token| token.as_bytes()));
        Ok((key, secrets))
    }

    fn from_json(text: &str) -> Result<Self, SecretError> {
        let bad = |why| SecretError::AwsKey { why };
        let limits = Limits { max_bytes: SecretInput::MAX_BYTES, max_depth: 1, max_members: 8 };
        let mut members = json::parse_object(text.as_bytes(), limits).map_err(|_| bad("it is no flat JSON object"))?;
        Ok(Self {
            id: take(&mut members, "AccessKeyId")?.ok_or(bad("it has no AccessKeyId"))?,
            secret: Zeroizing::new(take(&mut members, "SecretAccessKey")?.ok_or(bad("it has no SecretAccessKey"))?),
            token: take(&mut members, "SessionToken")?.map(Zeroizing::new),
        })
    }

    fn from_line(text: &str) -> Result<Self, SecretError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(secret), token, None) => Ok(Self {
                id: id.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
                token: token.map(|token| Zeroizing::new(token.to_owned())),
            }),
            _ => Err(SecretError::AwsKey { why: "it is neither JSON nor two or three parts with colons between" }),
        }
    }
}

/// A member that is text; absent and null are `None`.
fn take(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, SecretError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(SecretError::AwsKey { why: "a member of it is not text" }),
    }
}
