//! What the upstream's answers say, window by window, by whose word.
//!
//! In: each answer's time to its head, and each refusal (429, 503, no connection, no answer in time). Out: windows for the
//! [`Gradient`], and how long the lower classes shall leave the upstream alone. Proven between: an answer costs a few atomic
//! additions; and nobody speaks for others alone:
//!
//! * one refusal is none: three at least, a twentieth of the window's answers, and from three clients at least, or from all
//!   that asked if they were fewer. A client that provokes 429 for its own account changes nothing for others;
//! * the upper classes' word goes first. Only where they said too little the lower ones' counts, and moves little;
//! * a time counts for eight times what is usual at most: one answer that took a minute is not sixty that took a second;
//! * `Retry-After` pauses the lower classes, for ten seconds at most; the upper ones go by the limit alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::capacity::Limit;
use crate::gradient::{Gradient, Window};
use crate::house::Who;
use crate::mixed;

/// The shortest window. It is twice as long as answers usually take, where that is longer.
const WINDOW: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST_WINDOW: Duration = Duration::from_secs(5);
/// Windows after which the lower classes' word counts, where the upper said too little.
const PATIENCE: u32 = 4;
/// How old what was said may be.
const STALE: Duration = Duration::from_secs(30);
/// Fewer answers are no mean.
const FEWEST: u32 = 16;
/// The longest that an upstream's `Retry-After` is respected.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What came in since the window began.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    upper: Tally,
    lower: Tally,
    /// When the window may be closed, in nanoseconds of the house's time.
    due: AtomicU64,
}

#[derive(Debug, Default)]
struct Tally {
    micros: AtomicU64,
    answers: AtomicU32,
    refusals: AtomicU32,
    /// One bit of 64 for each client that was answered or refused, and for each that was refused.
    clients: AtomicU64,
    refused: AtomicU64,
    retry_after_ms: AtomicU64,
    /// The most seats in use when one of them came.
    peak: AtomicU32,
    /// A time counts for no more.
    most_micros: AtomicU64,
}

impl Signals {
    /// The head of an answer came after `time`. Whether the window may be closed now.
    pub(crate) fn answered(&self, who: Who, time: Duration, inflight: u32, at: u64) -> bool {
        let tally = self.of(who);
        let most = match tally.most_micros.load(Relaxed) {
            0 => u64::MAX,
            most => most,
        };
        tally.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(most).min(1 << 32), Relaxed);
        tally.answers.fetch_add(1, Relaxed);
        tally.clients.fetch_or(bit(who), Relaxed);
        tally.peak.fetch_max(inflight, Relaxed);
        at >= self.due.load(Relaxed)
    }

    /// The upstream said no, or nothing at all. Whether the window may be closed now.
    pub(crate) fn refused(&self, who: Who, retry_after: Option<Duration>, inflight: u32, at: u64) -> bool {
        let tally = self.of(who);
        tally.refusals.fetch_add(1, Relaxed);
        tally.clients.fetch_or(bit(who), Relaxed);
        tally.refused.fetch_or(bit(who), Relaxed);
        if let Some(after) = retry_after {
            let after = after.min(LONGEST_PAUSE).as_millis();
            tally.retry_after_ms.fetch_max(u64::try_from(after).unwrap_or(0), Relaxed);
        }
        tally.peak.fetch_max(inflight, Relaxed);
        at >= self.due.load(Relaxed)
    }

    fn of(&self, who: Who) -> &Tally {
        if who.class.is_upper() { &self.upper } else { &self.lower }
    }
}

impl Tally {
    fn count(&self) -> u32 {
        self.answers.load(Relaxed).saturating_add(self.refusals.load(Relaxed))
    }

    /// Takes what was gathered; the next window begins with nothing.
    fn take(&self) -> Told {
        let (micros, answers) = (self.micros.swap(0, Relaxed), self.answers.swap(0, Relaxed));
        let (refusals, clients) = (self.refusals.swap(0, Relaxed), self.clients.swap(0, Relaxed));
        let (refused, pause) = (self.refused.swap(0, Relaxed), self.retry_after_ms.swap(0, Relaxed));
        let enough = refusals >= 3 && refusals.saturating_mul(20) >= answers.saturating_add(refusals);
        let from_enough = refused.count_ones() >= clients.count_ones().min(3);
        // Microseconds of a window fit a float to far more than is needed.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 in any window")]
        let mean = micros as f64 / 1e6 / f64::from(answers.max(1));
        Told {
            peak: self.peak.swap(0, Relaxed),
            answers: (answers >= FEWEST).then_some((mean.max(1e-6), answers)),
            refused: enough && from_enough,
            pause: Duration::from_millis(pause),
        }
    }
}

struct Told {
    peak: u32,
    answers: Option<(f64, u32)>,
    refused: bool,
    pause: Duration,
}

/// Who a client is, in one of 64 bits.
fn bit(who: Who) -> u64 {
    1 << (mixed(who.client ^ 0x5eed) & 63)
}

/// Closes windows. One at a time: behind a lock that nobody waits for.
#[derive(Debug)]
pub(crate) struct Control {
    gradient: Option<Gradient>,
    /// When what the upper classes said was last taken, and the lower.
    upper_began: u64,
    lower_began: u64,
    kept_open: u32,
}

/// What a closed window leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The limit from now on, where it is ours to find out.
    pub(crate) limit: Option<u32>,
    /// How long the lower classes shall leave the upstream alone.
    pub(crate) pause: Duration,
    /// Usual to seen, 0.5 to 1.
    pub(crate) gradient: f64,
}

impl Control {
    pub(crate) fn new(limit: Limit) -> Self {
        let (min, max) = limit.bounds();
        let gradient = match limit {
            Limit::Fixed(_) => None,
            Limit::Adaptive { .. } => Some(Gradient::new(min, max, limit.at_start())),
        };
        Self { gradient, upper_began: 0, lower_began: 0, kept_open: 0 }
    }

    /// Takes a reload's limit; what was learned stays where it is still asked for. The limit from now on.
    pub(crate) fn resize(&mut self, limit: Limit) -> u32 {
        let (min, max) = limit.bounds();
        match (&mut self.gradient, limit) {
            (Some(gradient), Limit::Adaptive { .. }) => gradient.bound(min, max),
            _ => self.gradient = Self::new(limit).gradient,
        }
        self.gradient.as_ref().map_or(max, Gradient::limit)
    }

    /// Closes the window at `at`, if it holds enough.
    pub(crate) fn close(&mut self, signals: &Signals, at: u64) -> Option<Verdict> {
        if at < signals.due.load(Relaxed) {
            return None;
        }
        let window = self.window();
        signals.due.store(at.saturating_add(nanos(window)), Relaxed);
        let since = |began| Duration::from_nanos(at.saturating_sub(began));
        if since(self.upper_began) > STALE {
            // What lies there is from long before.
            signals.upper.take();
            self.upper_began = at;
        }
        let by_upper = signals.upper.count() >= FEWEST;
        if !by_upper && self.kept_open < PATIENCE {
            self.kept_open += 1;
            return None;
        }
        self.kept_open = 0;
        // Where the upper classes said too little, what they said waits for more.
        let (told, length) = if by_upper {
            signals.lower.take();
            (signals.upper.take(), since(self.upper_began))
        } else {
            (signals.lower.take(), since(self.lower_began))
        };
        self.lower_began = at;
        if by_upper {
            self.upper_began = at;
        }
        let seen = Window {
            answers: told.answers,
            upper: by_upper,
            refused: told.refused,
            peak: told.peak,
            length: length.as_secs_f64(),
        };
        if let Some(gradient) = &mut self.gradient {
            gradient.step(&seen);
            for (tally, upper) in [(&signals.upper, true), (&signals.lower, false)] {
                tally.most_micros.store(gradient.usual(upper).map_or(0, |usual| micros(8.0 * usual)), Relaxed);
            }
        }
        Some(Verdict {
            limit: self.gradient.as_ref().map(Gradient::limit),
            pause: if told.refused { told.pause } else { Duration::ZERO },
            gradient: self.gradient.as_ref().map_or(1.0, Gradient::last),
        })
    }

    fn window(&self) -> Duration {
        let usual = self.gradient.as_ref().and_then(|gradient| gradient.usual(true)).unwrap_or(0.0);
        Duration::from_secs_f64((2.0 * usual).min(60.0)).clamp(WINDOW, LONGEST_WINDOW)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole microseconds of a positive number of seconds; at least one.
fn micros(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds.clamp(1e-6, 3600.0)).as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
