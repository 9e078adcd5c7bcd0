//! Which field a rule is about.
//!
//! In: a JSON pointer as the operator wrote it. Out: its segments, decoded.

use std::fmt;

/// A JSON pointer to a field below the root: `/stream_options/include_usage`. At most [`MOST_SEGMENTS`] segments.
///
/// On an array a segment is an index. In a form, `/card/number` is the field `card[number]`.
///
/// # Source
/// RFC 6901, sections 3 and 4.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer {
    segments: Vec<String>,
    text: Box<str>,
}

/// The deepest field that a rule can be about.
pub const MOST_SEGMENTS: usize = 16;
/// The longest pointer, in bytes.
const MOST_BYTES: usize = 512;

impl Pointer {
    /// Parses `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NotAPointer> {
        let Some(rest) = text.strip_prefix('/') else { return Err(NotAPointer::NoSlash) };
        if text.len() > MOST_BYTES {
            return Err(NotAPointer::TooLong);
        }
        let segments: Vec<String> = rest.split('/').map(segment).collect::<Result<_, _>>()?;
        if segments.len() > MOST_SEGMENTS {
            return Err(NotAPointer::TooLong);
        }
        Ok(Self { segments, text: text.into() })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments, decoded; at least one.
    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The member of the root that it is in.
    pub(crate) fn top(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    /// Whether `other` is a field below this one.
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        other.segments.len() > self.segments.len() && other.segments.starts_with(&self.segments)
    }
}

fn segment(text: &str) -> Result<String, NotAPointer> {
    if text.is_empty() {
        return Err(NotAPointer::EmptySegment);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        decoded.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(NotAPointer::Escape),
            },
            c => c,
        });
    }
    Ok(decoded)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no pointer to a field.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAPointer {
    /// It does not begin with `/`. The root itself, the empty pointer, is no field.
    #[error("a field begins with `/`")]
    NoSlash,
    /// Two slashes side by side, or one at the end.
    #[error("a part of it is empty")]
    EmptySegment,
    /// `~` before anything else than 0 or 1.
    #[error("`~` is written `~0` and `/` inside of a name `~1`")]
    Escape,
    /// Over 16 segments or 512 bytes.
    #[error("it is too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_names_no_field() {
        for (text, why) in [
            ("", NotAPointer::NoSlash),
            ("model", NotAPointer::NoSlash),
            ("/", NotAPointer::EmptySegment),
            ("/a//b", NotAPointer::EmptySegment),
            ("/a/", NotAPointer::EmptySegment),
            ("/a~2", NotAPointer::Escape),
            ("/a~", NotAPointer::Escape),
        ] {
            assert_eq!(Pointer::parse(text).unwrap_err(), why, "{text:?}");
        }
        assert_eq!(Pointer::parse(&"/a".repeat(17)).unwrap_err(), NotAPointer::TooLong);
        assert_eq!(Pointer::parse(&format!("/{}", "a".repeat(512))).unwrap_err(), NotAPointer::TooLong);
    }

    #[test]
    fn decodes_its_segments() {
        let pointer = Pointer::parse("/a~1b/m~0n/~01").unwrap();
        assert_eq!(pointer.segments(), ["a/b", "m~n", "~1"]);
        assert!(Pointer::parse("/a").unwrap().is_above(&Pointer::parse("/a/b").unwrap()));
        assert!(!Pointer::parse("/a").unwrap().is_above(&Pointer::parse("/ab").unwrap()));
    }
}
