//! In: names and texts as an operator gives them. Out: the same, proven to have the shape that the wire and a log allow.

use std::time::Duration;

use attest_core::time::UnixTime;

use crate::error::StoreError;

/// Names are at most this long, as on the wire.
const MAX_NAME_BYTES: usize = 64;
/// Characters of a reason.
const MAX_REASON: usize = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn name(field: &'static str, name: &str) -> Result<(), StoreError> {
    name_or_empty(field, name, false)
}

pub(crate) fn name_or_empty(field: &'static str, name: &str, may_be_empty: bool) -> Result<(), StoreError> {
    let length_fits = name.len() <= MAX_NAME_BYTES && (may_be_empty || !name.is_empty());
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    if length_fits && name.bytes().all(good) {
        return Ok(());
    }
    Err(StoreError::NotAName { field, may_be_empty })
}

pub(crate) fn reason(reason: &str) -> Result<(), StoreError> {
    text("reason", reason, MAX_REASON)
}

/// A text of 1 to `max` characters that neither break a line nor reorder one.
pub(crate) fn text(field: &'static str, text: &str, max: usize) -> Result<(), StoreError> {
    let printable =
        |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let length = text.chars().count();
    if length >= 1 && length <= max && text.chars().all(printable) && !text.trim().is_empty() {
        return Ok(());
    }
    Err(StoreError::NotAText { field, max })
}

/// A moment after `now` and at most `max_days` ahead.
pub(crate) fn end(field: &'static str, until: UnixTime, now: UnixTime, max_days: u32) -> Result<(), StoreError> {
    if until > now && until <= now.plus(DAY * max_days) {
        return Ok(());
    }
    Err(StoreError::NotAnEnd { field, max_days })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_reasons_that_are_empty_long_or_break_a_line() {
        for bad in ["", "   ", "a\nb", "a\u{0}b", "\u{202e}drawkcab", &"x".repeat(201)] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
        for good in ["stolen", "Gerät gestohlen, Fall 12", &"ü".repeat(200)] {
            assert!(reason(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn refuses_names_that_no_request_could_carry() {
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(name("app", bad).is_err(), "{bad:?}");
        }
        assert!(name("app", "com.example.shop_2+x-y").is_ok());
        assert!(name_or_empty("label", "", true).is_ok());
    }

    #[test]
    fn an_end_is_after_now_and_within_its_days() {
        let now = UnixTime::from_secs(1_000);
        assert!(end("until", now, now, 30).is_err());
        assert!(end("until", now.plus(DAY * 30), now, 30).is_ok());
        assert!(end("until", now.plus(DAY * 30 + Duration::from_millis(1)), now, 30).is_err());
    }
}
