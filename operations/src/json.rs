//! JSON, read strictly and written again.
//!
//! In: bytes of a client, at most 64 KiB. Out: a tree, and later its text. Proven between: UTF-8, one value and nothing
//! after it, no member twice, not too deep; numbers as they were written. What is written from the tree has one reading.
//!
//! `attest_core::json` reads what we keep for ourselves, into numbers of the machine; sent on, its `0.1` could be another
//! number than the client's.

mod parse;
mod write;

pub use parse::{MOST_DEPTH, NotJson};

/// A JSON value. Members of objects keep their order, and each name stands once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// A number in the grammar of RFC 8259, section 6, as it was written: `1e3` stays `1e3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(pub(crate) Box<str>);

/// Up to here a double tells every whole number from the next: 2^53 - 1.
pub const MOST_EXACT: u64 = (1 << 53) - 1;

impl Number {
    /// The nearest double.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        // The grammar of JSON's numbers is within that of Rust's.
        self.0.parse().unwrap_or(f64::INFINITY)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Json {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// What is not as [this module](self) has it.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotJson> {
        parse::parse(bytes)
    }

    /// The text, without blanks.
    #[must_use]
    pub fn to_text(&self) -> String {
        write::text(self)
    }

    /// Whether two values are the same to who reads them: numbers by value, `1.0` is `1`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => {
                let (a, b) = (one.as_f64(), two.as_f64());
                one == two || (a == b && a.abs() <= MOST_EXACT as f64)
            }
            (Self::List(one), Self::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.is_same(two))
            }
            (Self::Object(one), Self::Object(two)) => {
                let same = |(name, value): &(String, Self)| {
                    two.iter().any(|(other, other_value)| name == other && value.is_same(other_value))
                };
                one.len() == two.len() && one.iter().all(same)
            }
            (one, two) => one == two,
        }
    }

    /// Whether two values have the same type.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(Number(value.to_string().into()))
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

#[cfg(test)]
mod tests;
