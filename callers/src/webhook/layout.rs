//! Signatures of providers that have no scheme of their own here: where the MAC stands, and over what it was made.
//!
//! In: words of an operator. Out: [`Layout`], in which a time that is not signed can't count: it would be no proof.

use http::{HeaderMap, HeaderName};

use super::only;
use super::signature::{self, Mac, Timestamp};
use crate::Reason;

/// How the MAC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 64 hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A signature in a header of its own: `X-Slack-Signature: v0=hex` over `v0:{timestamp}:{body}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    header: HeaderName,
    prefix: Box<str>,
    encoding: Encoding,
    timestamp: Option<HeaderName>,
    /// What is signed before the body, and after it.
    signed: (Box<[Part]>, Box<[Part]>),
}

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Timestamp,
    Header(HeaderName),
}

/// Why a layout can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLayout {
    /// `{body}` is not there exactly once.
    #[error("what is signed holds `{{body}}` exactly once: anything else leaves the body to whoever sends it")]
    BodyNotOnce,
    /// A timestamp header that is not signed, or a `{timestamp}` without a header to take it from.
    #[error(
        "a timestamp header and `{{timestamp}}` in what is signed need one another: a time that is not signed proves nothing"
    )]
    TimestampNotSigned,
    /// A brace that opens none of the words.
    #[error("in braces stand `{{body}}`, `{{timestamp}}` or `{{header:Name}}`")]
    UnknownWord,
    /// Not the name of a header.
    #[error("not the name of a header")]
    NotAHeader,
}

/// The longest value of a header that may be part of what is signed.
const MAX_SIGNED_HEADER: usize = 256;

impl Layout {
    /// A layout. `signed`: a text with `{body}`, `{timestamp}` and `{header:Name}` in it; `None` is `{body}`, or
    /// `{timestamp}.{body}` where there is a timestamp header.
    ///
    /// # Errors
    /// [`BadLayout`].
    pub fn new(
        header: HeaderName,
        prefix: &str,
        encoding: Encoding,
        timestamp: Option<HeaderName>,
        signed: Option<&str>,
    ) -> Result<Self, BadLayout> {
        let default = if timestamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
        let (before, after) = signed.unwrap_or(default).split_once(BODY).ok_or(BadLayout::BodyNotOnce)?;
        if after.contains(BODY) {
            return Err(BadLayout::BodyNotOnce);
        }
        let signed = (parts(before)?, parts(after)?);
        let signs_time = signed.0.iter().chain(&signed.1).any(|part| *part == Part::Timestamp);
        if signs_time != timestamp.is_some() {
            return Err(BadLayout::TimestampNotSigned);
        }
        Ok(Self { header, prefix: prefix.into(), encoding, timestamp, signed })
    }

    /// Whether a time is signed: without one, a delivery can be sent again at any time.
    #[must_use]
    pub const fn signs_time(&self) -> bool {
        self.timestamp.is_some()
    }

    pub(super) const fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) fn mac(&self, text: &[u8]) -> Option<Mac> {
        let text = text.strip_prefix(self.prefix.as_bytes())?;
        match self.encoding {
            Encoding::Hex => signature::hex(text),
            Encoding::Base64 => signature::base64(text),
        }
    }

    /// Writes what is signed before the body and after it; the time, where one is signed.
    pub(super) fn around(
        &self,
        headers: &HeaderMap,
        before: &mut Vec<u8>,
        after: &mut Vec<u8>,
    ) -> Result<Option<Timestamp>, Reason> {
        let timestamp = self.timestamp.as_ref().map(|name| timestamp(headers, name)).transpose()?;
        for (parts, out) in [(&self.signed.0, before), (&self.signed.1, after)] {
            for part in parts {
                match part {
                    Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Part::Timestamp => out.extend_from_slice(timestamp.as_ref().map_or(&[][..], Timestamp::text)),
                    Part::Header(name) => out.extend_from_slice(signed_header(headers, name)?),
                }
            }
        }
        Ok(timestamp)
    }
}

/// The time that a header tells.
pub(super) fn timestamp(headers: &HeaderMap, name: &HeaderName) -> Result<Timestamp, Reason> {
    let text = only(headers, name).ok().flatten().ok_or("timestamp_missing")?;
    Timestamp::parse(text).ok_or("timestamp_malformed")
}

/// The one value of a header that is part of what is signed.
pub(super) fn signed_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Reason> {
    let text = only(headers, name).ok().flatten().ok_or("signed_header_missing")?;
    if text.len() > MAX_SIGNED_HEADER { Err("signed_header_missing") } else { Ok(text) }
}

fn parts(mut text: &str) -> Result<Box<[Part]>, BadLayout> {
    let mut parts = Vec::new();
    while let Some((plain, rest)) = text.split_once('{') {
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        let (word, rest) = rest.split_once('}').ok_or(BadLayout::UnknownWord)?;
        parts.push(match word.split_once(':') {
            None if word == "timestamp" => Part::Timestamp,
            Some(("header", name)) => Part::Header(name.parse().map_err(|_| BadLayout::NotAHeader)?),
            _ => return Err(BadLayout::UnknownWord),
        });
        text = rest;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Ok(parts.into())
}

const BODY: &str = "{body}";
