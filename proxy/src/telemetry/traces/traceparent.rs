//! The header by which a request says which trace it is in: W3C Trace Context, `traceparent`.
//!
//! In come bytes that a client chose; out goes a [`Parent`], or nothing where the header is absent, comes
//! twice, or is not exactly as the recommendation has it. Nothing of a wrong one is used.

use std::fmt;

use http::{HeaderMap, HeaderValue};

use crate::route::names::TRACEPARENT;

/// `version "-" trace-id "-" parent-id "-" flags`, in version 00.
const LENGTH: usize = 55;
/// Later versions may be longer; nobody needs this much.
const MOST: usize = 256;
const SAMPLED: u64 = 1;

/// The sender's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

impl Parent {
    /// The parent that a head names, if it names exactly one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).into_iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// Parses a value.
    ///
    /// # Source
    /// W3C Trace Context, Level 1, section 3.2: lower-case digits only, ids not all zero, version `ff`
    /// invalid, version `00` nothing longer; of a later version what version 00 has in front.
    fn parse(value: &[u8]) -> Option<Self> {
        if value.len() > MOST {
            return None;
        }
        let (fields, rest) = value.split_at_checked(LENGTH)?;
        let version = digits(fields.get(..2)?)?;
        let later = version > 0 && rest.first() == Some(&b'-');
        if version == 0xff || !(rest.is_empty() || later) {
            return None;
        }
        let [b'-', b'-', b'-'] = [*fields.get(2)?, *fields.get(35)?, *fields.get(52)?] else { return None };
        let (high, low) = (digits(fields.get(3..19)?)?, digits(fields.get(19..35)?)?);
        let trace = u128::from(high) << 64 | u128::from(low);
        let span = digits(fields.get(36..52)?)?;
        let flags = digits(fields.get(53..55)?)?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }
}

/// At most 16 lower-case hexadecimal digits.
fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value: u64, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// The header for the next hop.
pub(super) fn header(trace: u128, span: u64, sampled: bool) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("00-{}-{span:016x}-{:02x}", Id(trace), u8::from(sampled))).ok()
}

/// The id of a trace as it is written.
pub(super) struct Id(pub(super) u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    #[test]
    fn refuses_what_the_recommendation_calls_invalid() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        let long = format!("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-{}", "x".repeat(MOST));
        assert_eq!(parse(&long), None);
    }

    #[test]
    fn reads_the_recommendations_own_example_and_later_versions() {
        let expected =
            Parent { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331, sampled: true };
        for good in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-may-come",
        ] {
            assert_eq!(parse(good), Some(expected), "{good}");
        }
        let unsampled = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02").unwrap();
        assert!(!unsampled.sampled);
    }

    #[test]
    fn two_of_them_are_none() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        headers.append(TRACEPARENT, value.clone());
        assert!(Parent::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(Parent::of(&headers), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let value = header(trace, span, sampled).unwrap();
            prop_assert_eq!(Parent::parse(value.as_bytes()), Some(Parent { trace, span, sampled }));
        }

        #[test]
        fn no_bytes_panic(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parent::parse(&value);
        }

        #[test]
        fn a_changed_byte_is_refused_or_read_as_it_stands(
            trace in 1_u128.., span in 1_u64.., sampled: bool, at in 0_usize..LENGTH, byte: u8,
        ) {
            let mut value = header(trace, span, sampled).unwrap().as_bytes().to_vec();
            value[at] = byte;
            if let Some(parent) = Parent::parse(&value) {
                let written = header(parent.trace, parent.span, parent.sampled).unwrap();
                // All but the version and unknown flags is as it was.
                prop_assert_eq!(&value[2..53], &written.as_bytes()[2..53]);
            }
        }
    }
}
