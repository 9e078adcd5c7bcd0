//! Which clients of a lower class wait at all while there is not enough for all of them.
//!
//! In: the clients that would have to wait, and what became of those that did. Out: who may wait. To shed requests at random
//! makes everybody's app fail now and then; to shed clients lets some of them work. So clients are dealt into 128 cohorts,
//! anew every hour, and as many cohorts may wait as there are seats for: when waits end in vain, the fewest that asked for
//! a little more than was served in the last window; when none does, one eighth more in each window.
//!
//! It never wastes capacity: who finds a free seat that nobody waits for takes it, whatever its cohort.

use std::time::{Duration, Instant};

use crate::mixed;

/// Cohorts that clients are dealt into.
const COHORTS: usize = 128;
/// How often the number of cohorts that may wait is looked at.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a client stays in its cohort.
const PERIOD: Duration = Duration::from_secs(3600);

/// The cohorts of one class.
#[derive(Debug)]
pub(crate) struct Cohorts {
    /// Cohorts below this may wait.
    accepted: usize,
    asked: [u32; COHORTS],
    served: u32,
    in_vain: u32,
    window_began: Option<Instant>,
}

impl Default for Cohorts {
    fn default() -> Self {
        Self { accepted: COHORTS, asked: [0; COHORTS], served: 0, in_vain: 0, window_began: None }
    }
}

impl Cohorts {
    /// Whether this client may wait now. `since`: the time since the house was opened, `salt`: its secret.
    pub(crate) fn may_wait(&mut self, client: u64, salt: u64, since: Duration, now: Instant) -> bool {
        self.turn(now);
        let cohort = cohort(client, salt, since);
        if let Some(asked) = self.asked.get_mut(cohort) {
            *asked = asked.saturating_add(1);
        }
        cohort < self.accepted
    }

    /// Whether this client may not wait now; counted as having asked only then, since it will not be asked about again.
    pub(crate) fn refuses(&mut self, client: u64, salt: u64, since: Duration, now: Instant) -> bool {
        cohort(client, salt, since) >= self.accepted && !self.may_wait(client, salt, since, now)
    }

    /// One that waited got a seat.
    pub(crate) fn served(&mut self) {
        self.served = self.served.saturating_add(1);
    }

    /// So many waited in vain.
    pub(crate) fn in_vain(&mut self, count: u32) {
        self.in_vain = self.in_vain.saturating_add(count);
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.window_began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < WINDOW {
            return;
        }
        if passed > 10 * WINDOW {
            // Long enough without anybody who had to wait.
            self.accepted = COHORTS;
        } else if self.in_vain > self.served / 50 {
            let target = self.served + self.served / 20 + 1;
            let (mut asked, most) = (0_u32, self.most_of_one());
            let enough = self.asked.iter().position(|count| {
                asked = asked.saturating_add((*count).min(most));
                asked >= target
            });
            self.accepted = enough.map_or(COHORTS, |last| last + 1);
        } else {
            self.accepted = (self.accepted + (self.accepted / 8).max(1)).min(COHORTS);
        }
        *self = Self { accepted: self.accepted, window_began: Some(now), ..Self::default() };
    }

    /// For how much the asking of one cohort counts: four times what is usual among those that asked. One client that asks
    /// for everything waits in vain by itself, and is no reason to shed others.
    fn most_of_one(&self) -> u32 {
        let mut asked = self.asked;
        asked.sort_unstable();
        let that_asked = asked.get(asked.partition_point(|count| *count == 0)..).unwrap_or_default();
        // Of an even number the lesser: of two clients either may be the heavy one.
        let usual = that_asked.get(that_asked.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        usual.saturating_mul(4)
    }
}

/// The cohort of a client in this hour. Keyed by the salt: nobody can tell beforehand which address is in a good one.
fn cohort(client: u64, salt: u64, since: Duration) -> usize {
    let period = since.as_secs() / PERIOD.as_secs();
    let spread = mixed(client ^ mixed(salt ^ period.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    usize::try_from(spread >> 57).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which `clients` ask `each` times and so many of those that may wait are served; who may wait.
    fn second(cohorts: &mut Cohorts, now: &mut Instant, clients: u64, each: u32, seats: u32) -> Vec<u64> {
        let mut seats_left = seats;
        let mut waiting = Vec::new();
        for round in 0..each {
            for client in 0..clients {
                if !cohorts.refuses(client, 1, Duration::ZERO, *now)
                    && cohorts.may_wait(client, 1, Duration::ZERO, *now)
                {
                    if round == 0 {
                        waiting.push(client);
                    }
                    if seats_left > 0 {
                        seats_left -= 1;
                        cohorts.served();
                    } else {
                        cohorts.in_vain(1);
                    }
                }
            }
        }
        *now += WINDOW;
        waiting
    }

    #[test]
    fn sheds_the_same_clients_while_there_is_too_little_and_nobody_after() {
        let (mut cohorts, mut now) = (Cohorts::default(), Instant::now());
        assert_eq!(second(&mut cohorts, &mut now, 1_000, 10, 2_500).len(), 1_000);
        let few = second(&mut cohorts, &mut now, 1_000, 10, 2_500);
        assert!((240..330).contains(&few.len()), "{}: about a quarter", few.len());
        let mut shared = 0;
        for _ in 0..20 {
            let now_waiting = second(&mut cohorts, &mut now, 1_000, 10, 2_500);
            shared += now_waiting.iter().filter(|client| few.contains(client)).count() * 100 / few.len();
        }
        assert!(shared / 20 > 90, "{}% of them stayed", shared / 20);
        for _ in 0..20 {
            second(&mut cohorts, &mut now, 1_000, 10, 100_000);
        }
        assert_eq!(second(&mut cohorts, &mut now, 1_000, 10, 100_000).len(), 1_000);
    }

    #[test]
    fn one_client_that_asks_for_everything_does_not_shed_the_others() {
        for heavy in 1_000..1_010 {
            let (mut cohorts, mut now) = (Cohorts::default(), Instant::now());
            let mut light = 0;
            for _ in 0..5 {
                for _ in 0..10_000 {
                    if cohorts.may_wait(heavy, 1, Duration::ZERO, now) {
                        cohorts.in_vain(1);
                    }
                }
                (0..500).for_each(|_| cohorts.served());
                light = (0..200).filter(|client| cohorts.may_wait(*client, 1, Duration::ZERO, now)).count();
                now += WINDOW;
            }
            assert_eq!(light, 200, "beside {heavy}, in cohort {}", cohort(heavy, 1, Duration::ZERO));
        }
    }

    #[test]
    fn a_quiet_time_forgets_that_there_was_too_little() {
        let (mut cohorts, mut now) = (Cohorts::default(), Instant::now());
        second(&mut cohorts, &mut now, 1_000, 10, 100);
        assert!(second(&mut cohorts, &mut now, 1_000, 10, 100).len() < 100);
        now += 60 * WINDOW;
        assert_eq!(second(&mut cohorts, &mut now, 1_000, 1, 1_000).len(), 1_000);
    }

    #[test]
    fn cohorts_are_dealt_anew_every_hour_and_are_a_secret_of_the_house() {
        let hour = |n| (0..500).map(|client| cohort(client, 1, PERIOD * n)).collect::<Vec<_>>();
        let same = |a: &[usize], b: &[usize]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert_eq!(hour(0), hour(0));
        assert!(same(&hour(0), &hour(1)) < 20);
        let other: Vec<_> = (0..500).map(|client| cohort(client, 2, Duration::ZERO)).collect();
        assert!(same(&hour(0), &other) < 20);
    }
}
