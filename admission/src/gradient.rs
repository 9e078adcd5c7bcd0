//! How many seats there are, where nobody wrote it down.
//!
//! In: what the answers of one window said. Out: the limit for the next. It is Netflix's Gradient2 on the time to the head
//! of an answer (`concurrency-limits`, Gradient2Limit.java): the limit goes with the ratio of the time that is usual to the
//! time seen now, plus room for a queue of its root. Five things are different, each for a way in which that one fails:
//!
//! * *Usual* is learned while less than half of the seats are in use, and under a load only that the upstream got faster. A
//!   long average over everything would learn the queue that the limit itself allowed, and grow without end.
//! * Within what chance explains for as many answers as there were, nothing is taken for a change: noise does not ratchet.
//! * When half of the seats were taken away and answers did not get faster, seats were not the reason. Then the slow time
//!   is the usual one, and the seats are given back: an upstream that is slow by itself is not strangled as well.
//! * After a cut by refusals it grows by a quarter a window until it is near to where it was, and so it begins.
//! * Answers to the lower classes move it by a fiftieth a second at most, and never what is usual for the upper: whoever can
//!   send slow or cheap requests without a token does not steer.

/// What the limit goes by.
#[derive(Debug)]
pub(crate) struct Gradient {
    limit: f64,
    min: f64,
    max: f64,
    upper: Usual,
    lower: Usual,
    cut: Option<Cut>,
    /// Where it was before refusals cut it; growth is fast below.
    recover_to: f64,
    /// Nothing was seen yet that speaks against more.
    beginning: bool,
    falling: bool,
    last: f64,
}

/// The time to the head of an answer without a queue, in seconds.
#[derive(Debug, Default)]
struct Usual {
    time: Option<f64>,
    /// What was seen last while all seats were needed, and how many there were.
    under_load: Option<(f64, f64)>,
}

/// Where a series of cuts began.
#[derive(Clone, Copy, Debug)]
struct Cut {
    limit: f64,
    time: f64,
}

/// What one window showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Mean time to the head, in seconds, and over how many answers; nothing where there were too few.
    pub(crate) answers: Option<(f64, u32)>,
    /// Whether it is what requests of the upper classes saw.
    pub(crate) upper: bool,
    /// Whether the upstream refused: enough answers, to enough clients.
    pub(crate) refused: bool,
    /// The most seats in use at once.
    pub(crate) peak: u32,
    /// Its length in seconds.
    pub(crate) length: f64,
}

/// Slower than usual by less than this is no reason for fewer seats.
const TOLERANCE: f64 = 1.3;
/// How much of a step is made at once.
const SMOOTHING: f64 = 0.3;
/// What one window of refusals leaves.
const AFTER_REFUSALS: f64 = 0.75;
/// What the lower classes can change in a second.
const OTHERS_A_SECOND: f64 = 0.02;
/// Seconds in which what is usual follows what is seen.
const USUAL_SECONDS: f64 = 30.0;

impl Gradient {
    pub(crate) fn new(min: u32, max: u32, start: u32) -> Self {
        Self {
            limit: f64::from(start),
            min: f64::from(min),
            max: f64::from(max),
            upper: Usual::default(),
            lower: Usual::default(),
            cut: None,
            recover_to: 0.0,
            beginning: true,
            falling: false,
            last: 1.0,
        }
    }

    /// Takes other bounds; what was learned stays.
    pub(crate) fn bound(&mut self, min: u32, max: u32) {
        (self.min, self.max) = (f64::from(min), f64::from(max));
        self.limit = self.limit.clamp(self.min, self.max);
    }

    /// The limit of the moment.
    pub(crate) fn limit(&self) -> u32 {
        // Between 1 and u32::MAX by construction.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to bounds that are u32")]
        {
            self.limit.floor().clamp(self.min, self.max) as u32
        }
    }

    /// The last ratio of usual to seen, 0.5 to 1: below 1 the upstream was slower than it should be.
    pub(crate) fn last(&self) -> f64 {
        self.last
    }

    /// What is usual for the upper classes, in seconds, once it is known.
    pub(crate) fn usual(&self, upper: bool) -> Option<f64> {
        if upper { self.upper.time } else { self.lower.time }
    }

    /// Goes by what one window showed.
    pub(crate) fn step(&mut self, seen: &Window) {
        let before = self.limit;
        if seen.upper {
            self.by_upper(seen)
        } else {
            self.by_lower(seen)
        }
        self.limit = self.limit.clamp(self.min, self.max);
        self.falling = self.limit < before;
    }

    fn by_upper(&mut self, seen: &Window) {
        if seen.refused {
            if self.limit > self.min {
                // While it falls, from the top; when it was growing again, half of the way was too much.
                let top = if self.falling { self.recover_to } else { f64::midpoint(self.recover_to, self.limit) };
                self.recover_to = top.max(self.limit);
            }
            self.beginning = false;
            self.cut = None;
            self.limit *= AFTER_REFUSALS;
            return;
        }
        let Some((time, count)) = seen.answers else { return };
        let load = self.load(seen);
        let usual = self.upper.learn(time, count, load, self.limit, seen.length);
        self.last = ratio(usual, time, count);
        if load != Load::Needed {
            // Fewer in flight than there are seats: nothing is learned about more, and nothing is wrong.
            return;
        }
        if self.last < 1.0 {
            self.beginning = false;
            self.recover_to = 0.0;
            if self.was_in_vain(time) {
                return;
            }
        } else {
            self.cut = None;
            if self.beginning || self.limit < 0.9 * self.recover_to {
                self.limit *= if self.beginning { 1.5 } else { 1.25 };
                return;
            }
            self.recover_to = 0.0;
        }
        let next = self.limit * self.last + self.limit.sqrt();
        self.limit += SMOOTHING * (next - self.limit);
    }

    /// Whether cutting has not helped: then it is undone, and what is seen is usual.
    fn was_in_vain(&mut self, time: f64) -> bool {
        let cut = *self.cut.get_or_insert(Cut { limit: self.limit, time });
        if self.limit > (0.5 * cut.limit).max(self.min) || self.limit >= cut.limit {
            return false;
        }
        self.cut = None;
        if time < 0.8 * cut.time {
            return false;
        }
        self.upper.time = Some(time);
        self.limit = cut.limit;
        true
    }

    fn by_lower(&mut self, seen: &Window) {
        let most = self.limit * OTHERS_A_SECOND * seen.length.min(1.0);
        if seen.refused {
            self.limit -= most;
            return;
        }
        let Some((time, count)) = seen.answers else { return };
        // Drifts with whatever is seen, as it has no other way to learn; at this pace it does no harm.
        let usual = self.lower.learn(time, count, Load::Idle, self.limit, seen.length);
        self.last = ratio(usual, time, count);
        if self.load(seen) == Load::Needed {
            self.limit += if self.last < 1.0 { -most } else { most };
        }
    }

    fn load(&self, seen: &Window) -> Load {
        let (peak, limit) = (f64::from(seen.peak), self.limit.floor());
        if peak < 0.5 * limit {
            Load::Idle
        } else if peak < 0.8 * limit {
            Load::Some
        } else {
            Load::Needed
        }
    }
}

impl Usual {
    /// Learns from `count` answers that took `time` in the mean, with `limit` seats of which all were `needed`, or so few
    /// that the upstream was `idle`; what is usual now.
    fn learn(&mut self, time: f64, count: u32, load: Load, limit: f64, length: f64) -> f64 {
        let known = self.time.unwrap_or(time);
        // Faster than chance explains.
        let chance = 1.0 - (3.0 * deviation(count)).clamp(0.3, 0.9);
        let learned = match (load, self.under_load) {
            // Under a load there is a queue in what is seen, then and now. What it was without one changed as much; but
            // fewer seats make answers faster by themselves, and more of them don't.
            (Load::Needed, Some((before, seats))) if time < before * chance * (limit / seats).min(1.0) => {
                known * time / before
            }
            _ if time < known * chance => time,
            (Load::Idle, _) => known + (length / USUAL_SECONDS).min(0.5) * (time - known),
            _ => known,
        };
        self.under_load = match (load, self.under_load) {
            (Load::Needed, Some((before, seats))) if learned == known => {
                Some((before + SMOOTHING * (time - before), seats + SMOOTHING * (limit - seats)))
            }
            (Load::Needed, _) => Some((time, limit)),
            _ => None,
        };
        self.time = Some(learned);
        learned
    }
}

/// How many of the seats were in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Less than half: what is seen has no queue in it.
    Idle,
    /// In between.
    Some,
    /// Nearly all.
    Needed,
}

/// Usual to seen, as far as chance and tolerance leave something to explain.
fn ratio(usual: f64, time: f64, count: u32) -> f64 {
    (TOLERANCE * (1.0 + deviation(count)) * usual / time).clamp(0.5, 1.0)
}

/// How far a mean of so many times is off by chance; as for times that vary as much as they are long.
fn deviation(count: u32) -> f64 {
    1.0 / f64::from(count.max(1)).sqrt()
}

#[cfg(test)]
mod tests;
