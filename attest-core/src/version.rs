//! App versions, compared by number and not by letter: 3.10 comes after 3.9.
//!
//! In: the text of a version, from a policy, a token or a request. Out: a [`Version`] that can be compared. Allocates
//! nothing.

use std::cmp::Ordering;
use std::fmt;

/// Up to six numbers with dots between, then perhaps `-something` (before the release) and `+build` (ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u32; 6],
    released: bool,
}

impl Version {
    /// Parses a version; `None` when it is not such a one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, released) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((version, _)) => (version, false),
            None => (text, true),
        };
        let mut parsed = [0; 6];
        let mut slots = parsed.iter_mut();
        for part in numbers.split('.') {
            // `parse` alone would take a `+`.
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *slots.next()? = part.parse().ok()?;
        }
        Some(Self { numbers: parsed, released })
    }
}

/// Whether the version `given` is `least` or later. A text that is no version is before every version.
#[must_use]
pub fn at_least(given: &str, least: &Version) -> bool {
    Version::parse(given).is_some_and(|given| given >= *least)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then(self.released.cmp(&other.released))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, rest @ ..] = self.numbers;
        write!(f, "{major}.{minor}")?;
        let shown = rest.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        for number in rest.iter().take(shown) {
            write!(f, ".{number}")?;
        }
        f.write_str(if self.released { "" } else { "-…" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_has_no_order() {
        for bad in ["", "v3", "3.", ".3", "3..1", "3.x", "1.2.3.4.5.6.7", "99999999999", "3-", "+3", "3.+1", "-1"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn orders_by_number() {
        let order = ["0", "2.9", "3.0.0-beta", "3", "3.0.1", "3.2", "3.9.9", "3.10-rc1+7", "3.10", "4.0"];
        let parsed: Vec<_> = order.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(parsed.is_sorted_by(|a, b| a < b), "{parsed:?}");
        assert_eq!(Version::parse("3"), Version::parse("3.0.0+5"));
    }

    #[test]
    fn what_is_no_version_is_old() {
        let least = Version::parse("2.9").unwrap();
        assert!(at_least("2.9", &least) && at_least("2.10", &least) && at_least("3-beta", &least));
        assert!(!at_least("2.9-rc", &least) && !at_least("", &least) && !at_least("v3", &least));
    }

    #[test]
    fn shows_itself_shortly() {
        for (text, shown) in [("3", "3.0"), ("3.2", "3.2"), ("3.2.0.1", "3.2.0.1"), ("3.2-b", "3.2-…")] {
            assert_eq!(Version::parse(text).unwrap().to_string(), shown);
        }
    }
}
