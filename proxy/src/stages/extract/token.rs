//! Which token a request shows, if it shows one.
//!
//! In: a head and the places that its route takes tokens from. Out: one text, none, or "several", which is none that can
//! be trusted.

use std::ops::Range;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use settings::Source;

use crate::route::{Route, same_parameter};

/// The token as it was presented, not yet looked into.
pub(crate) enum Presented {
    /// In none of the route's places, or empty.
    Nothing,
    /// In exactly one.
    Token {
        /// Its text.
        text: Text,
        /// Which place, for the log.
        source: &'static str,
    },
    /// In several places, or several times in one: nobody can say which one counts.
    Several,
}

/// A token's text inside the header value that it came in: a counted reference, not a copy.
pub(crate) struct Text {
    value: HeaderValue,
    part: Range<usize>,
}

impl Text {
    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.value.as_bytes().get(self.part.clone()).unwrap_or_default()
    }

    /// What follows the first `from` bytes, without blanks around it; nothing if that is empty.
    fn after(value: &HeaderValue, from: usize) -> Option<Self> {
        let rest = value.as_bytes().get(from..)?;
        let start = from + (rest.len() - rest.trim_ascii_start().len());
        let end = from + rest.trim_ascii_end().len();
        (start < end).then(|| Self { value: value.clone(), part: start..end })
    }
}

impl Presented {
    /// The word in the log.
    pub(crate) fn source(&self) -> Option<&'static str> {
        match self {
            Self::Token { source, .. } => Some(source),
            Self::Several => Some("several"),
            Self::Nothing => None,
        }
    }
}

/// Looks into each place that the route takes tokens from.
pub(super) fn presented(route: &Route, headers: &HeaderMap, query: Option<&str>) -> Presented {
    let mut found = Presented::Nothing;
    let optional_bearer = route.settings.token.optional_bearer_prefix;
    for source in &route.settings.token.from {
        let (filled, source) = match source {
            Source::Header(name) => (in_header(headers, name, |value| header_token(value, optional_bearer)), "header"),
            // Another scheme of `Authorization` is not this place being filled.
            Source::Bearer => (in_header(headers, &AUTHORIZATION, bearer), "bearer"),
            Source::Query(name) => (in_query(query, name), "query"),
        };
        match (filled, &found) {
            (Filled::No, _) => {}
            (Filled::Once(text), Presented::Nothing) => found = Presented::Token { text, source },
            (Filled::Once(_), Presented::Token { .. } | Presented::Several) | (Filled::Several, _) => {
                return Presented::Several;
            }
        }
    }
    found
}

/// How often one place is filled. An empty value is no token.
enum Filled {
    No,
    Once(Text),
    Several,
}

fn in_header(headers: &HeaderMap, name: &HeaderName, token: impl Fn(&HeaderValue) -> Option<Text>) -> Filled {
    let mut filled = Filled::No;
    for text in headers.get_all(name).iter().filter_map(token) {
        filled = match filled {
            Filled::No => Filled::Once(text),
            Filled::Once(_) | Filled::Several => return Filled::Several,
        };
    }
    filled
}

fn header_token(value: &HeaderValue, optional_bearer: bool) -> Option<Text> {
    let skipped = if optional_bearer && has_bearer(value) { BEARER.len() } else { 0 };
    Text::after(value, skipped)
}

fn bearer(value: &HeaderValue) -> Option<Text> {
    if has_bearer(value) { Text::after(value, BEARER.len()) } else { None }
}

/// Whether it begins with the scheme, in any case (RFC 9110, section 11.1).
fn has_bearer(value: &HeaderValue) -> bool {
    value.as_bytes().get(..BEARER.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER))
}

const BEARER: &[u8] = b"bearer ";

fn in_query(query: Option<&str>, name: &str) -> Filled {
    let mut filled = Filled::No;
    for pair in query.unwrap_or_default().split('&') {
        let (sent, value) = pair.split_once('=').unwrap_or((pair, ""));
        if value.is_empty() || !same_parameter(name, sent) {
            continue;
        }
        // The alphabet of tokens needs no escaping; an escaped one is malformed later.
        let Some(text) = HeaderValue::from_str(value).ok().and_then(|value| Text::after(&value, 0)) else {
            continue;
        };
        filled = match filled {
            Filled::No => Filled::Once(text),
            Filled::Once(_) | Filled::Several => return Filled::Several,
        };
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_written_in_escapes_is_the_same_parameter() {
        assert!(matches!(in_query(Some("a=1&%6bey=abc"), "key"), Filled::Once(_)));
        assert!(matches!(in_query(Some("key=abc&%6Bey=def"), "key"), Filled::Several));
        assert!(matches!(in_query(Some("keys=abc&key="), "key"), Filled::No));
    }

    #[test]
    fn a_bearer_prefix_is_taken_off_where_the_route_allows_it() {
        let text = |text: Option<Text>| text.map(|text| String::from_utf8(text.as_bytes().to_vec()).unwrap());
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        assert_eq!(text(header_token(&value("Bearer abc"), true)).as_deref(), Some("abc"));
        assert_eq!(text(header_token(&value("Bearer abc"), false)).as_deref(), Some("Bearer abc"));
        assert_eq!(text(header_token(&value(" abc "), true)).as_deref(), Some("abc"));
        assert_eq!(text(bearer(&value("bEaReR  abc "))).as_deref(), Some("abc"));
        for nothing in ["Basic abc", "Bea", "Bearer ", ""] {
            assert!(bearer(&value(nothing)).is_none(), "{nothing}");
        }
    }
}
