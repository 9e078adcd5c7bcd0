//! The secret that a provider signs its deliveries with.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The shortest secret, in bytes.
const LEAST: usize = 16;

/// Why a secret can't be used. Nothing of it is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Under 16 bytes: it could be found by trying.
    #[error("the secret of a webhook has 16 bytes at least")]
    TooShort,
    /// Not base64, where it has to be.
    #[error("the secret of a Standard Webhook is base64, with or without `whsec_` before it")]
    NotBase64,
}

/// A secret, as the key of an HMAC.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

impl WebhookSecret {
    /// A secret whose text is the key itself (Stripe, `whsec_` included; GitHub; most others). A line end behind it is not
    /// part of it.
    ///
    /// # Errors
    /// [`BadSecret::TooShort`].
    pub fn from_text(text: &[u8]) -> Result<Self, BadSecret> {
        Self::from_key(trimmed(text))
    }

    /// A secret as Standard Webhooks writes them: base64 behind `whsec_`.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn from_standard(text: &[u8]) -> Result<Self, BadSecret> {
        let text = trimmed(text);
        let text = text.strip_prefix(b"whsec_").unwrap_or(text);
        let key = Zeroizing::new(BASE64.decode(text).map_err(|_| BadSecret::NotBase64)?);
        Self::from_key(&key)
    }

    fn from_key(key: &[u8]) -> Result<Self, BadSecret> {
        if key.len() < LEAST { Err(BadSecret::TooShort) } else { Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key))) }
    }

    pub(super) fn context(&self) -> hmac::Context {
        hmac::Context::with_key(&self.0)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("WebhookSecret([redacted])")
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
