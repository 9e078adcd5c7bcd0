//! Why a request was not let through.
//!
//! The client learns the [`Side`] alone; the rest is for the operator's log.

use crate::json::NotJson;

/// Why a request is not what its operation allows. All but the names below is the operator's own text or fixed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A query parameter that is not allowed.
    #[error("query parameter {0} is not allowed")]
    Parameter(Shown),
    /// A query that two readers could split differently.
    #[error("the query is ambiguous")]
    Query,
    /// More body than the operation takes.
    #[error("the body is too large")]
    TooLarge,
    /// A body that is compressed, or otherwise encoded.
    #[error("the body is encoded")]
    Encoding,
    /// A body of another type than the operation's, of none or of several.
    #[error("the body has another type")]
    Type,
    /// A body that is no JSON object.
    #[error("the body is not JSON: {0}")]
    NotJson(NotJson),
    /// A body that is no form.
    #[error("the body is not a form")]
    NotAForm,
    /// A form field that stands twice.
    #[error("form field {0} stands twice")]
    Twice(Shown),
    /// A field of the body that is not among those that may be there.
    #[error("field {0} is not allowed")]
    Unlisted(Shown),
    /// A required field that is not there.
    #[error("field {0} is missing")]
    Missing(Box<str>),
    /// A forbidden field that is there.
    #[error("field {0} is forbidden")]
    Forbidden(Box<str>),
    /// A field with a value that is not on its list.
    #[error("field {0} has another value than those allowed")]
    NotOneOf(Box<str>),
    /// A capped field that is no number, or a negative one.
    #[error("field {0} is not a number from zero up")]
    NotANumber(Box<str>),
    /// A field in another spelling, which some servers take for this one.
    #[error("field {0} is there in another spelling")]
    Spelling(Box<str>),
    /// A field that a condition asks about has another type than the condition.
    #[error("field {0} has another type than the condition on it")]
    Condition(Box<str>),
    /// What should hold a field holds no fields.
    #[error("field {0} has no place: what is above it is neither absent nor an object")]
    NoPlace(Box<str>),
}

/// What kind of answer a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Something in it is not allowed: 400.
    NotAllowed,
    /// There is too much of it: 413.
    TooLarge,
    /// Its encoding or type: 415.
    Type,
}

impl Refusal {
    /// What the client may learn.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::TooLarge => Side::TooLarge,
            Self::Encoding | Self::Type => Side::Type,
            Self::Parameter(_)
            | Self::Query
            | Self::NotJson(_)
            | Self::NotAForm
            | Self::Twice(_)
            | Self::Unlisted(_)
            | Self::Missing(_)
            | Self::Forbidden(_)
            | Self::NotOneOf(_)
            | Self::NotANumber(_)
            | Self::Spelling(_)
            | Self::Condition(_)
            | Self::NoPlace(_) => Side::NotAllowed,
        }
    }

    /// The word in metrics and log: one of a few.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Parameter(_) => "parameter",
            Self::Query => "query",
            Self::TooLarge => "too_large",
            Self::Encoding => "body_encoding",
            Self::Type => "body_type",
            Self::NotJson(_) => "not_json",
            Self::NotAForm => "not_a_form",
            Self::Twice(_) => "field_twice",
            Self::Unlisted(_) => "field_unlisted",
            Self::Missing(_) => "field_missing",
            Self::Forbidden(_) => "field_forbidden",
            Self::NotOneOf(_) => "field_not_one_of",
            Self::NotANumber(_) => "field_not_a_number",
            Self::Spelling(_) => "field_spelling",
            Self::Condition(_) => "field_condition",
            Self::NoPlace(_) => "field_no_place",
        }
    }
}

/// A name that a client chose, as far as a log may have it: short and of plain characters, or not at all. A name can hold
/// what was meant to be a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(Option<Box<str>>);

/// The longest name that is shown.
const MOST_SHOWN: usize = 40;

impl Shown {
    pub(crate) fn new(name: &str) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'/');
        let good = !name.is_empty() && name.len() <= MOST_SHOWN && name.bytes().all(plain);
        Self(good.then(|| name.into()))
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("(of a name that is not shown)"))
    }
}
