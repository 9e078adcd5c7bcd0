//! HMACs over chosen parts of a request. In: the recipe's members, then the secret and the draft. Out: one or two headers;
//! proven between: every part of the message was there, once.

mod message;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{RecipeError, SecretError};
use crate::header_name;
use crate::secret::{SecretInput, Secrets, text_secret};
use crate::template::check_text;
use crate::text::{HmacAlgorithm, SecretEncoding, SignatureEncoding, TimestampForm};
use crate::timestamp;
use crate::wiped;
pub(crate) use message::Message;

/// What is signed, how, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hmac {
    pub(crate) forms: Forms,
    pub(crate) message: Message,
    pub(crate) timestamp_header: Option<HeaderName>,
    pub(crate) name: HeaderName,
    template: String,
}

/// How everything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forms {
    pub(crate) algorithm: HmacAlgorithm,
    pub(crate) secret: SecretEncoding,
    pub(crate) encoding: SignatureEncoding,
    pub(crate) timestamp: TimestampForm,
}

impl Hmac {
    pub(crate) fn parse(
        forms: Forms,
        message: &str,
        timestamp_header: Option<&str>,
        name: &str,
        template: &str,
    ) -> Result<Self, RecipeError> {
        let name = header_name::for_credential(name)?;
        check_text(template)?;
        let signatures = template.matches(SIGNATURE).count();
        if signatures != 1 {
            return Err(RecipeError::NotOnePlace { what: "signature", times: signatures });
        }
        if template.matches(TIMESTAMP).count() > 1 {
            return Err(RecipeError::Member { member: "template", why: "{timestamp} stands in it at most once" });
        }
        let message = Message::parse(message)?;
        let time_header = timestamp_header.map(time_header).transpose()?;
        if time_header.as_ref() == Some(&name) {
            return Err(RecipeError::Member { member: "timestamp_header", why: "it is the signature's own header" });
        }
        let is_own = |signed: &HeaderName| *signed == name || Some(signed) == time_header.as_ref();
        if message.headers().any(is_own) {
            let why = "a header of the recipe's own is not there yet when the message is made; {timestamp} is the time";
            return Err(RecipeError::Member { member: "message", why });
        }
        // A message that says neither where nor what would be one password for everything, in sight of whoever reads it once.
        if !message.has_request_in_it() {
            let why = "it has nothing of the request in it: {method}, {path}, {body} or {body_sha256}";
            return Err(RecipeError::Member { member: "message", why });
        }
        Ok(Self { forms, message, timestamp_header: time_header, name, template: template.to_owned() })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(HmacKey, Secrets), SecretError> {
        let text = text_secret(secret)?;
        let bytes = Zeroizing::new(match self.forms.secret {
            SecretEncoding::Text => text.as_bytes().to_vec(),
            SecretEncoding::Base64 => BASE64.decode(text.as_bytes()).map_err(|_| SecretError::Encoding)?,
            SecretEncoding::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| SecretError::Encoding)?,
        });
        if bytes.len() < SecretInput::MIN_BYTES {
            return Err(SecretError::TooShort { len: bytes.len() });
        }
        let algorithm = match self.forms.algorithm {
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
            HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let key = hmac::Key::new(algorithm, &bytes);
        Ok((HmacKey { recipe: self.clone(), key }, Secrets::of(secret).and(&bytes)))
    }
}

/// A header for the time. `Date` may be signed and set, unlike where a key would stand in it.
fn time_header(text: &str) -> Result<HeaderName, RecipeError> {
    match header_name::any(text)? {
        name if name == header::DATE => Ok(name),
        _ => header_name::for_credential(text),
    }
}

/// A key that signs requests.
pub(crate) struct HmacKey {
    recipe: Hmac,
    key: hmac::Key,
}

impl HmacKey {
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        let recipe = &self.recipe;
        let time = timestamp::write(recipe.forms.timestamp, draft.now).ok_or(ApplyError::Signing)?;
        let mut context = hmac::Context::with_key(&self.key);
        recipe.message.write(draft, &time, |part| context.update(part))?;
        let tag = context.sign();
        let signature = Zeroizing::new(match recipe.forms.encoding {
            SignatureEncoding::Hex => HEXLOWER.encode(tag.as_ref()),
            SignatureEncoding::Base64 => BASE64.encode(tag.as_ref()),
            SignatureEncoding::Base64url => BASE64URL_NOPAD.encode(tag.as_ref()),
        });
        // The time first: it has no braces, so that nothing of it is taken for a place.
        let text = recipe.template.replace(TIMESTAMP, &time).replace(SIGNATURE, &signature);
        let value = wiped::header_value(Zeroizing::new(text.into_bytes())).ok_or(ApplyError::Signing)?;
        let mut headers = vec![(recipe.name.clone(), value)];
        if let Some(name) = &recipe.timestamp_header {
            headers.push((name.clone(), HeaderValue::from_str(&time).map_err(|_| ApplyError::Signing)?));
        }
        let derived = vec![Zeroizing::new(signature.as_bytes().to_vec())];
        Ok(Changes::Many { headers, target: None, body: None, derived })
    }
}

const SIGNATURE: &str = "{signature}";
const TIMESTAMP: &str = "{timestamp}";

#[cfg(test)]
mod tests;
