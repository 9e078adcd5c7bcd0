//! A length of time as a person writes it: `90s`, `5m`, `24h`, `30d`.

use std::{str::FromStr, time::Duration};

/// Never zero, at most ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(Duration);

const MOST: u64 = 10 * 365 * 86_400;

impl Span {
    /// Whole seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.0.as_secs()
    }

    /// The moment this long after `now`, Unix seconds.
    pub(crate) fn after(self, now: attest_core::time::UnixTime) -> i64 {
        now.plus(self.0).secs()
    }

    /// The moment this long before `now`, Unix seconds.
    pub(crate) fn before(self, now: attest_core::time::UnixTime) -> i64 {
        now.minus(self.0).secs()
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write a number and s, m, h or d, such as 90s, 5m, 24h, 30d";
        let (number, unit) = text.char_indices().last().map(|(at, _)| text.split_at(at)).ok_or(FORM)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(FORM),
        };
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(FORM);
        }
        let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or(FORM)?;
        match seconds {
            0 => Err("it has to be longer than nothing"),
            1..=MOST => Ok(Self(Duration::from_secs(seconds))),
            _ => Err("it has to be ten years at most"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_length_of_time() {
        for text in ["", "5", "m", "-5m", "+5m", "5 m", "1.5h", "0s", "5w", "99999999999999999999d", "4000d", "5µ"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_unit_is_its_length() {
        let seconds = |text: &str| text.parse::<Span>().unwrap().seconds();
        assert_eq!([seconds("90s"), seconds("5m"), seconds("24h"), seconds("30d")], [90, 300, 86_400, 2_592_000]);
    }
}
