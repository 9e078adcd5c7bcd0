//! Path patterns for policies, operations and key bounds: no regular expressions, nothing that backtracks over a path.

use std::fmt;
use std::str::FromStr;

use super::{TargetError, canonical_pattern};

/// A pattern over canonical paths.
///
/// `*` stands for one whole segment that is not empty, or for any part of one (`img-*`). `/**` at the end stands for
/// any rest: `/a/**` matches `/a`, `/a/` and everything below. Everything else is compared exactly, in upper and
/// lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathGlob {
    text: Box<str>,
    segments: Box<[Segment]>,
    any_rest: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(Box<str>),
    /// `*`
    Any,
    /// A segment with `*` in it, split there: at least two parts.
    Parts(Box<[Box<str>]>),
}

/// Why a text is not a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum NotAGlob {
    /// No request can have such a path.
    #[error("no request can have this path: {0}")]
    Path(#[from] TargetError),
    /// `**` stands only alone, as the last segment.
    #[error("`**` can only be the whole last segment, as in `/a/**`")]
    DoubleStar,
}

impl PathGlob {
    /// Parses a pattern and brings it into the normal form of paths.
    ///
    /// # Errors
    /// [`NotAGlob`].
    pub fn parse(pattern: &str) -> Result<Self, NotAGlob> {
        let text = canonical_pattern(pattern)?;
        let (fixed, any_rest) = match text.strip_suffix("/**") {
            Some(fixed) => (fixed, true),
            None => (text.as_str(), false),
        };
        if fixed.contains("**") {
            return Err(NotAGlob::DoubleStar);
        }
        let segments = fixed.split('/').skip(1).map(Segment::new).collect();
        Ok(Self { text: text.into(), segments, any_rest })
    }

    /// The pattern in normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a canonical path ([`super::Target::path`]). Allocates nothing.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/').skip(1);
        for segment in &self.segments {
            match parts.next() {
                Some(part) if segment.matches(part) => {}
                _ => return false,
            }
        }
        self.any_rest || parts.next().is_none()
    }

    /// Whether every path that this one matches is matched by `bound` too. May say `false` for two patterns with
    /// several `*` in one segment where a closer look would say `true`: a bound is never stretched.
    #[must_use]
    pub fn is_within(&self, bound: &Self) -> bool {
        let long_enough = match (self.any_rest, bound.any_rest) {
            (true, false) => false,
            (false, false) => self.segments.len() == bound.segments.len(),
            (_, true) => self.segments.len() >= bound.segments.len(),
        };
        long_enough && self.segments.iter().zip(&bound.segments).all(|(own, outer)| outer.covers(own))
    }

    /// The leading segments without any `*`, as a path (`/a/b` of `/a/b/img-*`; empty when the first has one): for
    /// indexing.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        let end = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.len() + 1),
            Segment::Any | Segment::Parts(_) => None,
        });
        self.text.get(..end.sum()).unwrap_or_default()
    }

    /// Whether it matches exactly one path.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.any_rest && self.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }
}

impl FromStr for PathGlob {
    type Err = NotAGlob;

    fn from_str(pattern: &str) -> Result<Self, NotAGlob> {
        Self::parse(pattern)
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for PathGlob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PathGlob({})", self.text)
    }
}

impl Segment {
    fn new(text: &str) -> Self {
        if text == "*" {
            Self::Any
        } else if text.contains('*') {
            Self::Parts(text.split('*').map(Box::from).collect())
        } else {
            Self::Literal(text.into())
        }
    }

    fn matches(&self, part: &str) -> bool {
        match self {
            Self::Literal(text) => **text == *part,
            Self::Any => !part.is_empty(),
            Self::Parts(parts) => matches_parts(parts, part),
        }
    }

    fn covers(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::Any, Self::Literal(text)) => !text.is_empty(),
            // `*` alone as parts could match nothing; two stars side by side are refused, so some part has text.
            (Self::Any, Self::Any | Self::Parts(_)) => true,
            (_, Self::Literal(text)) => self.matches(text),
            _ => self == inner,
        }
    }
}

/// First and last part are anchored; those between are found from the left, which is right because earlier is never
/// worse.
fn matches_parts(parts: &[Box<str>], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(rest) = text.strip_prefix(&**first) else { return false };
    let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
    for part in middle {
        match rest.find(&**part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}
