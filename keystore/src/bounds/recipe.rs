//! How a key is written into a request. In: a header name and a template. Out: a [`Recipe`]; proven between: the header
//! is one that a key may stand in, and the template holds the key exactly once and nothing that ends a line.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::api_key::ApiKey;
use crate::crypto::Wiped;

/// How a key is written into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recipe {
    /// One header.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value, with `{key}` where the key goes: `Bearer {key}`.
        template: String,
    },
}

/// A recipe as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RecipeText {
    /// One header.
    Header {
        /// Its name, in any case.
        name: String,
        /// Its value, with `{key}` where the key goes, exactly once; at most 256 bytes of printable ASCII.
        template: String,
    },
}

impl Recipe {
    /// Parses a recipe.
    ///
    /// # Errors
    /// The header is no header, or one that frames or routes the message; the template is not one.
    pub fn parse(text: &RecipeText) -> Result<Self, RecipeError> {
        let RecipeText::Header { name, template } = text;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| RecipeError::NotAHeader)?;
        if name.as_str().starts_with("x-assay-") || FRAMING.contains(&name.as_str()) {
            return Err(RecipeError::NotForKeys { name });
        }
        if template.len() > MAX_TEMPLATE || !template.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(RecipeError::NotPrintable);
        }
        if template.trim() != template {
            return Err(RecipeError::OuterSpace);
        }
        match template.matches(PLACE).count() {
            1 => Ok(Self::Header { name, template: template.clone() }),
            times => Err(RecipeError::NotOnePlace { times }),
        }
    }

    /// The recipe as it is written, the header name in lower case.
    pub fn to_text(&self) -> RecipeText {
        let Self::Header { name, template } = self;
        RecipeText::Header { name: name.as_str().to_owned(), template: template.clone() }
    }

    /// The header that the key goes into.
    pub fn header(&self) -> &HeaderName {
        let Self::Header { name, .. } = self;
        name
    }

    /// The kind of recipe and its slot, for lists and logs: `header authorization`.
    pub fn describe(&self) -> String {
        format!("header {}", self.header())
    }

    /// Writes the value: sensitive (kept out of `Debug` and of header compression tables), in memory that is wiped when
    /// the last clone is dropped.
    pub(crate) fn render(&self, key: &ApiKey) -> Result<HeaderValue, RecipeError> {
        let Self::Header { template, .. } = self;
        let (before, after) = template.split_once(PLACE).ok_or(RecipeError::NotOnePlace { times: 0 })?;
        let mut text = Vec::with_capacity(before.len() + key.expose().len() + after.len());
        [before, key.expose(), after].iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
        let mut value =
            HeaderValue::from_maybe_shared(Bytes::from_owner(Wiped(text))).map_err(|_| RecipeError::NotPrintable)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Why a recipe was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Not a header name.
    #[error("not the name of a header")]
    NotAHeader,
    /// A header with a meaning of its own.
    #[error("{name} frames, routes or describes the message; a key can't stand in it")]
    NotForKeys {
        /// Which.
        name: HeaderName,
    },
    /// Control bytes, non-ASCII, or over 256 bytes.
    #[error("the template is not up to 256 bytes of printable ASCII")]
    NotPrintable,
    /// A space at an end, which parsers drop.
    #[error("the template begins or ends with a space")]
    OuterSpace,
    /// `{key}` is absent or there twice.
    #[error("the template has {times} places for the key; it needs exactly one {{key}}, as in \"Bearer {{key}}\"")]
    NotOnePlace {
        /// How often it is there.
        times: usize,
    },
}

const PLACE: &str = "{key}";
const MAX_TEMPLATE: usize = 256;

/// Headers that say where a message ends, where it goes, or who sent it: RFC 9110 sections 7.2, 7.6, 7.8, 8.6, 10.1.1.
const FRAMING: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
