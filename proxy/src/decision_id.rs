//! The id that a request's answer, log line and support case share.
//!
//! 26 characters of Crockford's base32, always: 48 bits of time, then 80 that only this process can
//! connect. They are a keyed mix of a counter, not the counter: an id must not tell a client how many
//! requests others made.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use attest_core::time::UnixTime;

/// An id; printed only when an answer or a log line needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecisionId(u128);

/// Makes ids that differ.
#[derive(Debug)]
pub(crate) struct DecisionIds {
    mix: RandomState,
    process: u16,
    next: AtomicU64,
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl DecisionIds {
    /// A maker of its own, seeded by the system.
    pub(crate) fn new() -> Self {
        let mix = RandomState::new();
        let process = mix.hash_one("process").to_be_bytes();
        let [a, b, ..] = process;
        Self { mix, process: u16::from_be_bytes([a, b]), next: AtomicU64::new(0) }
    }

    /// The next id.
    pub(crate) fn next(&self, now: UnixTime) -> DecisionId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mixed = self.mix.hash_one(count);
        // 48 bits of milliseconds last until the year 10889.
        let millis = u128::from(u64::try_from(now.millis()).unwrap_or(0) & 0xffff_ffff_ffff);
        DecisionId((millis << 80) | (u128::from(self.process) << 64) | u128::from(mixed))
    }
}

impl DecisionId {
    /// The 26 characters.
    pub(crate) fn text(self) -> DecisionText {
        let mut text = [b'0'; 26];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            let digit = usize::from(rest.to_le_bytes()[0] & 31);
            *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        DecisionText(text)
    }

    /// A number that differs from request to request: where in a window a client falls.
    pub(crate) fn spread(self) -> u64 {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        u64::from(u32::from_be_bytes([a, b, c, d]))
    }
}

/// An id as text, without an allocation.
#[derive(Clone, Copy)]
pub(crate) struct DecisionText([u8; 26]);

impl DecisionText {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        // The alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_have_one_length_and_begin_with_the_time() {
        let ids = DecisionIds::new();
        let (early, late) = (UnixTime::from_millis(1_000), UnixTime::from_millis(2_000));
        let texts: Vec<String> = (0..1_000).map(|_| ids.next(early).text().as_str().to_owned()).collect();
        let distinct: std::collections::HashSet<&String> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len());
        assert!(texts.iter().all(|text| text.len() == 26));
        let late = ids.next(late).text().as_str().to_owned();
        assert!(texts.iter().all(|text| *text < late));
    }
}
