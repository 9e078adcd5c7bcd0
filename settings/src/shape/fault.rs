//! One wrong value: what is wrong and what to write instead. Its place is known to whoever catches it.

use std::fmt;

use policies::yaml::{listed, nearest};
use serde::de::{self, Expected, Unexpected};

/// Why a value is not what its field needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it says so already.
    pub(crate) fn has_hint(&self) -> bool {
        self.hint.is_some()
    }
}

/// Message and hint travel through `serde::de::Error::custom`, which takes a text only, with this between them.
const BETWEEN: char = '\u{1f}';

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "{BETWEEN}{hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        match text.split_once(BETWEEN) {
            Some((message, hint)) => Self::new(message).hint(hint),
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a map".to_owned(),
            Unexpected::Str(text) if text.chars().count() > 60 => "a long text".to_owned(),
            Unexpected::Str(text) | Unexpected::Other(text) => format!("`{text}`"),
            other => other.to_string(),
        };
        let expected = expected.to_string();
        // What Rust calls these says nothing to whoever writes a file.
        if matches!(expected.as_str(), "u8" | "u16" | "u32" | "u64" | "usize") {
            return Self::new(format!("expected a whole number, found {found}")).hint("write digits only, as 1024");
        }
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let fault = Self::new(format!("`{found}` is not one of {}", listed(expected)));
        match nearest(found, expected) {
            Some(word) => fault.hint(format!("did you mean `{word}`?")),
            None => fault,
        }
    }
}
