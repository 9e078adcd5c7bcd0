//! Which devices were let through lately, and since when, in eight megabytes.
//!
//! In come keyed hashes of a device on a route, each time that an attested request of it is let through; out goes whether it was
//! established before a moment: first let through then or earlier, and not silent for a day since. A device costs one word in a
//! cache line of eight; one that is known costs one read of that line, and a write in ten minutes.
//!
//! The table is bounded: 1,048,576 words. Where a line is full, a device that was silent for a day gives way, then the one that
//! came last. So a flood of new devices pushes out itself, never those that were there before it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use attest_core::time::UnixTime;

/// Lines of eight words: a power of two.
const LINES: usize = 1 << 17;
/// An hour, in counts of ten minutes.
const HOUR: i64 = 6;
/// A day, after which a silent device is no longer one of those that attested lately.
const LATELY: i64 = 24 * HOUR;
/// What a first sight may lie back, at most: it moves along with older devices, so that the count of a month never wraps.
const OLDEST: i64 = 13 * LATELY;

/// What is known of devices. One for the life of the process.
pub(crate) struct History {
    lines: Box<[Line]>,
}

/// One cache line.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// A word: 40 bits of the hash, the moment of the first sight and of the last. Zero is nobody.
#[derive(Clone, Copy)]
struct Word(u64);

/// A count of ten minutes, modulo 4096: four weeks.
const MOMENTS: u64 = 1 << 12;
const HALF: i64 = 1 << 11;

impl Default for History {
    fn default() -> Self {
        Self::of(LINES)
    }
}

impl History {
    fn of(lines: usize) -> Self {
        Self { lines: (0..lines).map(|_| Line::default()).collect() }
    }

    /// Notes that the device with this hash was let through.
    pub(crate) fn seen(&self, hash: u64, now: UnixTime) {
        let (now, tag) = (moment(now), tag(hash));
        let line = self.line(hash);
        let mut weakest: Option<(i64, &AtomicU64)> = None;
        for place in &line.0 {
            let word = Word(place.load(Relaxed));
            if word.tag() == tag && word.is_late(now) {
                if ahead(word.last(), now) > 0 {
                    // Lost against another thread: that one wrote the same moment, or gave the place away.
                    let _ = place.compare_exchange(word.0, word.again(now).0, Relaxed, Relaxed);
                }
                return;
            }
            // Empty and silent ones first; then the one that came last.
            let worth = if word.is_late(now) { 1 + ahead(word.first(), now).max(0) } else { 0 };
            if weakest.as_ref().is_none_or(|(least, _)| worth < *least) {
                weakest = Some((worth, place));
            }
        }
        if let Some((_, place)) = weakest {
            place.store(Word::new(tag, now, now).0, Relaxed);
        }
    }

    /// Whether the device with this hash was first let through at `before` or earlier, and lately too.
    pub(crate) fn is_established(&self, hash: u64, before: UnixTime, now: UnixTime) -> bool {
        let (now, before, tag) = (moment(now), moment(before), tag(hash));
        self.line(hash).0.iter().any(|place| {
            let word = Word(place.load(Relaxed));
            word.tag() == tag && word.is_late(now) && ahead(word.first(), before) >= 0
        })
    }

    fn line(&self, hash: u64) -> &Line {
        // The tag is made of the upper bits, the line of the lower ones.
        let at = usize::try_from(hash).unwrap_or(0) & (self.lines.len() - 1);
        self.lines.get(at).unwrap_or(&NOWHERE)
    }

    /// All words with their places, for the file.
    pub(super) fn words(&self) -> impl Iterator<Item = (usize, u64)> {
        let words = self.lines.iter().flat_map(|line| line.0.iter()).map(|place| place.load(Relaxed));
        words.enumerate().filter(|(_, word)| *word != 0)
    }

    /// Puts a word back where it stood.
    pub(super) fn put_back(&self, at: usize, word: u64) {
        if let Some(place) = self.lines.get(at / 8).and_then(|line| line.0.get(at % 8)) {
            place.store(word, Relaxed);
        }
    }
}

/// Of no use but to be pointed at: the number of lines is never zero.
static NOWHERE: Line = Line([const { AtomicU64::new(0) }; 8]);

impl Word {
    fn new(tag: u64, first: u64, last: u64) -> Self {
        Self(tag << 24 | first << 12 | last)
    }

    fn tag(self) -> u64 {
        self.0 >> 24
    }

    fn first(self) -> u64 {
        self.0 >> 12 & (MOMENTS - 1)
    }

    fn last(self) -> u64 {
        self.0 & (MOMENTS - 1)
    }

    /// Whether it was seen within the last day. A clock that was set back by less than an hour is no silence.
    fn is_late(self, now: u64) -> bool {
        self.0 != 0 && (-HOUR..=LATELY).contains(&ahead(self.last(), now))
    }

    /// The same, seen now.
    fn again(self, now: u64) -> Self {
        let known_for = ahead(self.first(), now).clamp(0, OLDEST);
        Self::new(self.tag(), now.wrapping_sub(known_for.unsigned_abs()) & (MOMENTS - 1), now)
    }
}

/// By how many counts `to` is after `from`; negative if it is before. Right within two weeks.
fn ahead(from: u64, to: u64) -> i64 {
    let forward = to.wrapping_sub(from) & (MOMENTS - 1);
    let forward = i64::try_from(forward).unwrap_or(0);
    if forward < HALF { forward } else { forward - 2 * HALF }
}

fn moment(at: UnixTime) -> u64 {
    u64::try_from(at.secs().div_euclid(600)).unwrap_or(0) & (MOMENTS - 1)
}

/// Never zero: a zero word is nobody.
fn tag(hash: u64) -> u64 {
    (hash >> 24).max(1)
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    fn at(hours: i64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + hours * 3_600)
    }

    #[test]
    fn somebody_never_let_through_is_not_established() {
        let history = History::of(8);
        history.seen(77, at(0));
        assert!(!history.is_established(78 << 24, at(0), at(1)));
        assert!(!History::of(8).is_established(0, at(0), at(0)));
    }

    #[test]
    fn a_device_is_established_from_its_first_sight_until_it_was_silent_for_a_day() {
        let history = History::of(8);
        let hash = 0xdead_beef_0000_0001;
        history.seen(hash, at(3));
        assert!(!history.is_established(hash, at(2), at(4)), "it came after the moment");
        assert!(history.is_established(hash, at(3), at(4)));
        history.seen(hash, at(20));
        assert!(history.is_established(hash, at(3), at(40)));
        assert!(!history.is_established(hash, at(3), at(46)), "silent for a day");
        history.seen(hash, at(50));
        assert!(!history.is_established(hash, at(3), at(51)), "it begins anew");
    }

    #[test]
    fn a_device_that_comes_every_day_for_months_stays_established() {
        let history = History::of(8);
        for hour in (0..24 * 90).step_by(5) {
            history.seen(9, at(hour));
            assert!(
                hour == 0
                    || history.is_established(9, at(hour - 4).minus(std::time::Duration::from_secs(3_600)), at(hour))
            );
        }
    }

    #[test]
    fn a_flood_of_new_devices_pushes_out_none_that_was_there_before() {
        let history = History::of(64);
        let hasher = RandomState::new();
        let old: Vec<u64> = (0..100_u64).map(|n| hasher.hash_one(n)).collect();
        for hash in &old {
            history.seen(*hash, at(0));
        }
        let kept = |now| old.iter().filter(|hash| history.is_established(**hash, at(0), now)).count();
        // 100 in 64 lines of 8: none was pushed out.
        assert_eq!(kept(at(1)), 100);
        for n in 0..100_000_u64 {
            history.seen(hasher.hash_one(1_000 + n), at(2));
        }
        assert_eq!(kept(at(3)), 100);
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_forgets_nobody() {
        let history = History::of(8);
        history.seen(5 << 24, at(1));
        let back = UnixTime::from_secs(at(1).secs() - 1_200);
        history.seen(5 << 24, back);
        assert!(history.is_established(5 << 24, at(1), at(2)));
        assert_eq!(history.words().count(), 1);
    }

    #[test]
    fn what_was_put_back_is_known_again() {
        let (one, two) = (History::of(8), History::of(8));
        one.seen(3 << 24 | 5, at(0));
        for (at, word) in one.words() {
            two.put_back(at, word);
        }
        two.put_back(1_000_000, 7);
        assert!(two.is_established(3 << 24 | 5, at(0), at(1)));
    }
}
