//! Credentials in a header that is the same in every request: header, basic, cookie. In: the recipe's members, then the
//! secret. Out: the header, made once; proven between: it is one header value and ends where it should.

use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{RecipeError, SecretError};
use crate::header_name;
use crate::secret::{Secrets, text_secret};
use crate::slots::is_same_slot;
use crate::template::{self, Template};
use crate::wiped;

/// One header with a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    template: Template,
}

impl Header {
    pub(crate) fn parse(name: &str, template: &str) -> Result<Self, RecipeError> {
        Ok(Self { name: header_name::for_credential(name)?, template: Template::parse(template, "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(FixedHeader, Secrets), SecretError> {
        let text = self.template.fill(text_secret(secret)?.as_bytes());
        let value = wiped::header_value(text).ok_or(SecretError::DoesNotFit)?;
        Ok((FixedHeader { name: self.name.clone(), value }, Secrets::of(secret)))
    }
}

/// `Authorization: Basic`.
///
/// # Source
/// RFC 7617 section 2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Basic {
    /// `user:password`.
    template: Template,
    key_is_user: bool,
}

impl Basic {
    pub(crate) fn parse(user: &str, password: &str) -> Result<Self, RecipeError> {
        template::check_text(user)?;
        template::check_text(password)?;
        if user.contains(':') {
            return Err(RecipeError::Member { member: "user", why: "a user of basic authentication has no colon" });
        }
        let template = Template::parse(&format!("{user}:{password}"), "key")?;
        Ok(Self { template, key_is_user: user.contains("{key}") })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(FixedHeader, Secrets), SecretError> {
        let key = text_secret(secret)?;
        if self.key_is_user && key.contains(':') {
            return Err(SecretError::Colon);
        }
        let credentials = Zeroizing::new(data_encoding::BASE64.encode(&self.template.fill(key.as_bytes())));
        let mut text = Zeroizing::new(Vec::with_capacity(6 + credentials.len()));
        text.extend_from_slice(b"Basic ");
        text.extend_from_slice(credentials.as_bytes());
        let value = wiped::header_value(text).ok_or(SecretError::DoesNotFit)?;
        let secrets = Secrets::of(secret).and(credentials.as_bytes());
        Ok((FixedHeader { name: header::AUTHORIZATION, value }, secrets))
    }
}

/// One cookie.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    name: HeaderName,
    /// `name=value`.
    template: Template,
}

impl Cookie {
    /// # Source
    /// RFC 6265 section 4.1.1: a cookie's name is a token, as a header's is; its value has no space, quote, comma,
    /// semicolon or backslash.
    pub(crate) fn parse(name: &str, template: &str) -> Result<Self, RecipeError> {
        let why = "the name of a cookie is 1 to 64 letters, digits and -_.!#$%&'*+^`|~";
        let is_name = (1..=64).contains(&name.len()) && header_name::any(name).is_ok();
        let parsed = is_name.then(|| header_name::any(name)).ok_or(RecipeError::Member { member: "name", why })??;
        if !template.bytes().all(is_cookie_octet) {
            let why = "a cookie's value has no space, quote, comma, semicolon or backslash";
            return Err(RecipeError::Member { member: "template", why });
        }
        // The name in the case that was written: cookies have one.
        Ok(Self { name: parsed, template: Template::parse(&format!("{name}={template}"), "key")? })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(CookieHeader, Secrets), SecretError> {
        let key = text_secret(secret)?;
        if !key.bytes().all(is_cookie_octet) {
            return Err(SecretError::NotACookie);
        }
        let value = wiped::header_value(self.template.fill(key.as_bytes())).ok_or(SecretError::DoesNotFit)?;
        Ok((CookieHeader { name: self.name.clone(), value }, Secrets::of(secret)))
    }
}

/// A header made once.
pub(crate) struct FixedHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl FixedHeader {
    pub(crate) fn apply(&self) -> Changes {
        Changes::Header(self.name.clone(), self.value.clone())
    }
}

/// A `Cookie` header made once, for requests without other cookies.
pub(crate) struct CookieHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl CookieHeader {
    /// Beside the request's other cookies, without those of the same name in any spelling.
    pub(crate) fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        if !draft.headers.contains_key(header::COOKIE) {
            return Ok(Changes::Header(header::COOKIE, self.value.clone()));
        }
        let others = || draft.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        let room: usize = others().map(|value| value.len() + 2).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(room + self.value.len()));
        for pair in others().flat_map(|value| value.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii) {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            let own = std::str::from_utf8(name).is_ok_and(|name| is_same_slot(name, self.name.as_str()));
            if !pair.is_empty() && !own {
                text.extend_from_slice(pair);
                text.extend_from_slice(b"; ");
            }
        }
        text.extend_from_slice(self.value.as_bytes());
        let value = wiped::header_value(text).ok_or(ApplyError::Signing)?;
        Ok(Changes::Header(header::COOKIE, value))
    }
}

fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests;
