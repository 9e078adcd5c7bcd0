//! In: the conditional headers of an edit. Out: which state the caller means to change. What is proven: an edit says so
//! (428 without), so that two operators can't undo each other's work unseen (RFC 9110 section 13, RFC 6585 section 3).

use http::{HeaderMap, HeaderName, header};

use crate::problem::{Code, Problem};

/// The version of a thing, as its `ETag` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub i64);

impl Version {
    /// The entity tag.
    #[must_use]
    pub fn etag(self) -> String {
        format!("\"r{}\"", self.0)
    }

    /// Reads an entity tag; a weak one or somebody else's is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("\"r")?.strip_suffix('"')?;
        let version: i64 = digits.parse().ok()?;
        // One text a version: no sign, no leading zeros.
        (version.to_string() == digits).then_some(Self(version))
    }
}

/// Which state an edit means to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `If-Match: "r7"`: this one.
    Exactly(Version),
    /// `If-Match: *`: whatever is there, but something.
    Present,
    /// `If-None-Match: *`: nothing is there yet.
    Absent,
}

impl Expected {
    /// What the headers say.
    ///
    /// # Errors
    /// `precondition_required` without either header; `precondition_failed` for a tag that was never ours; `invalid`
    /// for both headers, a list of tags, or `If-None-Match` with a tag.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        match (only(headers, &header::IF_MATCH)?, only(headers, &header::IF_NONE_MATCH)?) {
            (None, None) => Err(Problem::new(Code::PreconditionRequired)
                .at("if-match")
                .because("send If-Match with the ETag that you read, or If-None-Match: * for what is not there yet")),
            (Some("*"), None) => Ok(Self::Present),
            (Some(tag), None) if tag.contains(',') => Err(Problem::invalid("if-match", "one ETag, not a list")),
            (Some(tag), None) => Version::parse(tag)
                .map(Self::Exactly)
                .ok_or_else(|| Problem::new(Code::PreconditionFailed).at("if-match")),
            (None, Some("*")) => Ok(Self::Absent),
            (None, Some(_)) => Err(Problem::invalid("if-none-match", "only * is taken here")),
            (Some(_), Some(_)) => Err(Problem::invalid("if-none-match", "not together with If-Match")),
        }
    }

    /// The header that says so.
    pub(crate) fn header(self) -> (HeaderName, String) {
        match self {
            Self::Exactly(version) => (header::IF_MATCH, version.etag()),
            Self::Present => (header::IF_MATCH, "*".to_owned()),
            Self::Absent => (header::IF_NONE_MATCH, "*".to_owned()),
        }
    }

    /// Holds it against what is there.
    ///
    /// # Errors
    /// `precondition_failed`.
    pub(crate) fn check(self, there: Option<Version>) -> Result<(), Problem> {
        let holds = match self {
            Self::Exactly(version) => there == Some(version),
            Self::Present => there.is_some(),
            Self::Absent => there.is_none(),
        };
        holds.then_some(()).ok_or_else(|| Problem::new(Code::PreconditionFailed))
    }
}

/// The value of a header that stands at most once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    let text = first.map(|value| value.to_str().map(str::trim)).transpose();
    match (text, values.next()) {
        (Ok(text), None) => Ok(text),
        _ => Err(Problem::invalid(name.as_str(), "it can't be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Expected, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Expected::of(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn an_edit_without_a_condition_is_refused() {
        assert_eq!(of(&[]), Err(Code::PreconditionRequired));
        assert_eq!(of(&[("if-match", "\"r1\""), ("if-none-match", "*")]), Err(Code::Invalid));
        assert_eq!(of(&[("if-match", "\"r1\""), ("if-match", "\"r2\"")]), Err(Code::Invalid));
        assert_eq!(of(&[("if-match", "\"r1\", \"r2\"")]), Err(Code::Invalid));
        assert_eq!(of(&[("if-none-match", "\"r1\"")]), Err(Code::Invalid));
    }

    #[test]
    fn a_tag_that_is_not_ours_matches_nothing() {
        for tag in ["W/\"r1\"", "r1", "\"1\"", "\"r\"", "\"r01\"", "\"r+1\"", "\"r99999999999999999999\""] {
            assert_eq!(of(&[("if-match", tag)]), Err(Code::PreconditionFailed), "{tag}");
        }
    }

    #[test]
    fn what_is_sent_is_what_is_meant() {
        for expected in [Expected::Exactly(Version(7)), Expected::Present, Expected::Absent] {
            let (name, value) = expected.header();
            assert_eq!(of(&[(name.as_str(), &value)]), Ok(expected));
        }
        assert!(Expected::Exactly(Version(7)).check(Some(Version(8))).is_err());
        assert!(Expected::Exactly(Version(7)).check(None).is_err());
        assert!(Expected::Present.check(None).is_err() && Expected::Absent.check(Some(Version(1))).is_err());
        assert!(Expected::Exactly(Version(7)).check(Some(Version(7))).is_ok());
    }
}
