//! Where in a head a credential stands.
//!
//! In: headers. Out: one text, none, or "several", of which none can be trusted.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// One place where a credential may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1). Other schemes of the header are not this place being filled.
    Bearer,
    /// The whole value of this header.
    Header(HeaderName),
}

/// What stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown<'h> {
    /// Nothing, or nothing but blanks.
    Nothing,
    /// Exactly one text, without blanks around it.
    One(&'h [u8]),
    /// More than one: two readers could each take another.
    Several,
}

impl Place {
    /// The header that the place is in.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }

    /// What a request shows here.
    #[must_use]
    pub fn shown<'h>(&self, headers: &'h HeaderMap) -> Shown<'h> {
        let mut found = Shown::Nothing;
        for value in headers.get_all(self.header()) {
            let Some(text) = self.text(value.as_bytes()) else { continue };
            found = match found {
                Shown::Nothing => Shown::One(text),
                Shown::One(_) | Shown::Several => return Shown::Several,
            };
        }
        found
    }

    /// What a request shows in these places together, and in which: at most one of them may be filled.
    #[must_use]
    pub fn shown_in<'p, 'h>(
        places: impl IntoIterator<Item = &'p Self>,
        headers: &'h HeaderMap,
    ) -> (Shown<'h>, Option<&'p Self>) {
        let mut found = (Shown::Nothing, None);
        for place in places {
            match (place.shown(headers), found.0) {
                (Shown::Nothing, _) => {}
                (shown @ Shown::One(_), Shown::Nothing) => found = (shown, Some(place)),
                _ => return (Shown::Several, None),
            }
        }
        found
    }

    fn text<'h>(&self, value: &'h [u8]) -> Option<&'h [u8]> {
        let text = match self {
            Self::Bearer => after_scheme(value)?,
            Self::Header(_) => value,
        };
        Some(text.trim_ascii()).filter(|text| !text.is_empty())
    }
}

/// What follows the scheme, in any case of letters (RFC 9110 section 11.1).
fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn two_of_one_kind_are_none_that_counts() {
        let twice: HeaderMap = {
            let mut map = headers(&[("authorization", "Bearer a")]);
            map.append(AUTHORIZATION, "bearer b".parse().unwrap());
            map
        };
        assert!(Place::Bearer.shown(&twice) == Shown::Several);
        assert!(Place::Header(AUTHORIZATION).shown(&twice) == Shown::Several);
    }

    #[test]
    fn two_places_filled_are_none_that_counts() {
        let places = [Place::Bearer, Place::Header(HeaderName::from_static("x-partner-key"))];
        let both = headers(&[("authorization", "Bearer a"), ("x-partner-key", "b")]);
        assert!(Place::shown_in(&places, &both).0 == Shown::Several);
        let one = headers(&[("authorization", "Basic a"), ("x-partner-key", "b")]);
        assert!(Place::shown_in(&places, &one) == (Shown::One(b"b"), Some(&places[1])));
        assert!(Place::shown_in(&[], &both) == (Shown::Nothing, None));
    }

    #[test]
    fn another_scheme_is_no_bearer() {
        for value in ["Basic abc", "Bearer", "Bearer ", "Bearer   ", "Bearertoken", ""] {
            assert!(Place::Bearer.shown(&headers(&[("authorization", value)])) == Shown::Nothing, "{value}");
        }
        assert!(Place::Bearer.shown(&headers(&[("authorization", "bEARER  abc ")])) == Shown::One(b"abc"));
        let place = Place::Header(HeaderName::from_static("x-partner-key"));
        assert!(place.shown(&headers(&[("x-partner-key", " abc ")])) == Shown::One(b"abc"));
        assert!(place.shown(&headers(&[("x-other", "abc")])) == Shown::Nothing);
    }
}
