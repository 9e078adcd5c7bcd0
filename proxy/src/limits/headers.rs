//! What clients are told of limits: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4.
//!
//! In: limits, and what is left of them. Out: `RateLimit-Policy` and `RateLimit`. A 429 always has them, of the limit that
//! was reached; other answers only where the route says `rate_limit_headers: true`, since they tell which rule let a
//! request in.
//!
//! The draft's registry has no unit for tokens of a language model: there `qu="tokens"` is a word of our own. So is
//! `assay-burst`, with a vendor's name before it as section 3.1 asks for.

use std::fmt::Write as _;
use std::time::Duration;

use attest_core::time::UnixTime;
use http::{HeaderName, HeaderValue};
use pingora_http::ResponseHeader;
use policies::{Limit, Unit};

/// What a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    amount: u64,
    unit: Unit,
    window: Duration,
    /// Where fewer may come at once than the amount.
    burst: Option<u32>,
}

/// What is left of a limit after this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    /// The limit's name.
    pub name: Box<str>,
    /// What it allows.
    pub quota: Quota,
    /// Units left.
    pub units: u64,
    /// Until all of it is there again, or the next request fits.
    pub within: Duration,
}

impl Quota {
    /// Of this limit.
    pub(crate) fn of(limit: &Limit) -> Self {
        let burst = limit.burst.map(std::num::NonZeroU32::get).filter(|burst| u64::from(*burst) < limit.amount.get());
        Self { amount: limit.amount.get(), unit: limit.unit, window: limit.window, burst }
    }

    /// How much.
    pub(crate) const fn amount(&self) -> u64 {
        self.amount
    }

    /// The number of the window that `now` lies in.
    pub(crate) fn window_of(&self, now: UnixTime) -> i64 {
        let window = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX);
        now.millis().div_euclid(window.max(1))
    }
}

/// Tells what limits allow and what is left of them, in the place of what stood there.
pub(crate) fn put_remaining<'a>(head: &mut ResponseHeader, limits: impl IntoIterator<Item = &'a Remaining>) {
    let (mut policies, mut left) = (String::new(), String::new());
    for Remaining { name, quota, units, within } in limits {
        let comma = if policies.is_empty() { "" } else { ", " };
        let Quota { amount, unit, window, burst } = quota;
        // Writing to a text does not fail.
        let _ =
            write!(policies, "{comma}\"{}\";q={}{};w={}", Name(name), integer(*amount), unit_of(*unit), secs(*window));
        if let Some(burst) = burst {
            let _ = write!(policies, ";assay-burst={burst}");
        }
        let _ = write!(left, "{comma}\"{}\";r={};t={}", Name(name), integer(*units), secs(*within));
    }
    for (header, text) in [(RATELIMIT_POLICY, policies), (RATELIMIT, left)] {
        head.remove_header(&header);
        if !text.is_empty()
            && let Ok(value) = HeaderValue::try_from(text)
        {
            // Fails for invalid names or values alone; these are neither.
            let _ = head.insert_header(header, value);
        }
    }
}

/// A structured-fields string: the name is a word of the policy, quotes and backslashes can't be in it.
struct Name<'a>(&'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).try_for_each(|c| f.write_char(c))
    }
}

/// Section 3.1.2: requests are what it is where nothing is said.
fn unit_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "",
        Unit::Bytes => ";qu=\"content-bytes\"",
        Unit::Tokens => ";qu=\"tokens\"",
    }
}

/// In whole seconds, rounded up: whoever comes then is not early.
pub(crate) fn secs(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The largest integer of structured fields (RFC 9651, section 3.3.1).
fn integer(number: u64) -> u64 {
    number.min(999_999_999_999_999)
}

pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limits: &[Remaining]) -> (Option<String>, Option<String>) {
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header(RATELIMIT, "\"theirs\";r=1").unwrap();
        put_remaining(&mut head, limits);
        let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(RATELIMIT_POLICY), text(RATELIMIT))
    }

    fn remaining(name: &str, quota: Quota, units: u64, millis: u64) -> Remaining {
        Remaining { name: name.into(), quota, units, within: Duration::from_millis(millis) }
    }

    #[test]
    fn each_unit_is_named_and_seconds_are_rounded_up() {
        let minute = Duration::from_secs(60);
        let requests = Quota { amount: 60, unit: Unit::Requests, window: minute, burst: Some(5) };
        let bytes = Quota { amount: 1 << 52, unit: Unit::Bytes, window: minute * 60, burst: None };
        let tokens = Quota { amount: 20_000, unit: Unit::Tokens, window: minute * 1440, burst: None };
        let (policies, left) = told(&[
            remaining("a", requests, 4, 1_001),
            remaining("b", bytes, u64::MAX, 0),
            remaining("c", tokens, 0, 5_000),
        ]);
        let q = "\"a\";q=60;w=60;assay-burst=5, \"b\";q=999999999999999;qu=\"content-bytes\";w=3600, \"c\";q=20000;qu=\"tokens\";w=86400";
        assert_eq!(policies.as_deref(), Some(q));
        assert_eq!(left.as_deref(), Some("\"a\";r=4;t=2, \"b\";r=999999999999999;t=0, \"c\";r=0;t=5"));
    }

    #[test]
    fn a_name_can_not_break_out_and_no_limit_is_no_header() {
        let quota = Quota { amount: 1, unit: Unit::Requests, window: Duration::from_secs(1), burst: None };
        let (policies, _) = told(&[remaining("a\"\\\r\n;q=9 b", quota, 0, 0)]);
        assert_eq!(policies.as_deref(), Some("\"aq9b\";q=1;w=1"));
        assert_eq!(told(&[]), (None, None));
    }
}
