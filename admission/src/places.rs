//! What goes on without a seat: streams after their head, uploads before their end. Counted and capped too.
//!
//! In: a client and the cap of the moment. Out: yes or no, in a few atomic steps, without allocation. The lower classes
//! leave a quarter of the places. Once half of them are taken, one client gets an eighth at most: found by the lesser of
//! two of 64 counters, so that a client shares its count with others only where both collide (1 in 4,096 for two clients),
//! and then is refused a place at worst, never given one too many.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::house::Who;
use crate::mixed;

const COUNTERS: usize = 64;

/// Places of one kind.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicU32,
    lower: AtomicU32,
    by_client: [AtomicU32; COUNTERS],
}

impl Default for Places {
    fn default() -> Self {
        Self { taken: AtomicU32::new(0), lower: AtomicU32::new(0), by_client: [const { AtomicU32::new(0) }; COUNTERS] }
    }
}

impl Places {
    /// Whether there is a place for this client among `cap`. Takes nothing, writes nothing.
    pub(crate) fn has_room(&self, who: Who, cap: u32) -> bool {
        let taken = self.taken.load(SeqCst);
        let has_its_share = taken >= cap / 2 && self.held_by(who) >= (cap / 8).max(1);
        let fits = who.class.is_upper() || self.lower.load(SeqCst) < for_lower(cap);
        taken < cap && !has_its_share && fits
    }

    /// Takes a place, if there is one for this client among `cap`.
    pub(crate) fn take(&self, who: Who, cap: u32) -> bool {
        if !self.has_room(who, cap) {
            return false;
        }
        if !who.class.is_upper() && !raised(&self.lower, for_lower(cap)) {
            return false;
        }
        if !raised(&self.taken, cap) {
            if !who.class.is_upper() {
                self.lower.fetch_sub(1, SeqCst);
            }
            return false;
        }
        for counter in self.counters(who) {
            counter.fetch_add(1, SeqCst);
        }
        true
    }

    /// Gives a place back that was taken for `who`.
    pub(crate) fn leave(&self, who: Who) {
        for counter in self.counters(who) {
            counter.fetch_sub(1, SeqCst);
        }
        if !who.class.is_upper() {
            self.lower.fetch_sub(1, SeqCst);
        }
        self.taken.fetch_sub(1, SeqCst);
    }

    /// Places taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken.load(SeqCst)
    }

    fn held_by(&self, who: Who) -> u32 {
        self.counters(who).map(|counter| counter.load(SeqCst)).min().unwrap_or(0)
    }

    fn counters(&self, who: Who) -> impl Iterator<Item = &AtomicU32> {
        let spread = mixed(who.client);
        let one = usize::try_from(spread % 64).unwrap_or(0);
        // Never the same one: 1 to 63 further on.
        let other = (one + 1 + usize::try_from((spread >> 32) % 63).unwrap_or(0)) % COUNTERS;
        [one, other].into_iter().filter_map(|at| self.by_client.get(at))
    }
}

/// Of so many places, those that the lower classes may take.
fn for_lower(cap: u32) -> u32 {
    cap - (cap / 4).max(1).min(cap)
}

/// One more, if that is not more than `most`.
fn raised(count: &AtomicU32, most: u32) -> bool {
    count.fetch_update(SeqCst, SeqCst, |n| (n < most).then_some(n + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    fn who(class: Class, client: u64) -> Who {
        Who { class, client }
    }

    #[test]
    fn refuses_more_than_the_cap_and_the_lower_classes_its_last_quarter() {
        let places = Places::default();
        let lower = (0..100).filter(|n| places.take(who(Class::Unattested, *n), 16)).count();
        assert_eq!(lower, 12);
        let upper = (0..100).filter(|n| places.take(who(Class::Attested, 1_000 + n), 16)).count();
        assert_eq!((upper, places.taken()), (4, 16));
        assert!(!places.take(who(Class::Critical, 9), 0), "zero is none");
        assert!(!places.take(who(Class::Unattested, 9), 0));
    }

    #[test]
    fn one_client_gets_half_of_the_places_at_most_and_an_eighth_once_they_are_taken() {
        let places = Places::default();
        let heavy = who(Class::Attested, 7);
        let taken = (0..100).filter(|_| places.take(heavy, 64)).count();
        assert_eq!(taken, 32);
        // 31 others fit, each with its own; the heavy one gets no more.
        let others = (100..131).filter(|n| places.take(who(Class::Attested, *n), 64)).count();
        assert!(others >= 30, "{others}");
        assert!(!places.take(heavy, 64));
        for _ in 0..taken {
            places.leave(heavy);
        }
        assert!(places.take(heavy, 64));
    }

    #[test]
    fn what_was_taken_comes_back() {
        let places = Places::default();
        let all: Vec<Who> = (0..200).map(|n| who(crate::CLASSES[n as usize % 4], n)).collect();
        let taken: Vec<Who> = all.into_iter().filter(|who| places.take(*who, 100)).collect();
        assert!(taken.len() > 50);
        for who in taken {
            places.leave(who);
        }
        assert_eq!((places.taken(), places.lower.load(SeqCst)), (0, 0));
        assert!(places.by_client.iter().all(|counter| counter.load(SeqCst) == 0));
    }
}
