//! One class's queue, fair between clients without knowing them: shuffle sharding.
//!
//! In: waiters with their client's number. Out: one after the other, from 64 small queues in turn. Each client is dealt a
//! hand of 8 of the 64, and joins the shortest of them (as API Priority and Fairness of Kubernetes does). A heavy client
//! fills its own hand; another is squashed only if all of its 8 are in heavy hands: for 1 heavy client in 2.3e-10 of cases,
//! for 4 in 4.9e-4, for 16 in 0.36. With fewer waiting than queues each has one of its own, and the turns are the order of
//! arrival.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Shed, Waiter};
use crate::mixed;

/// Small queues in a class.
const QUEUES: usize = 1 << QUEUE_BITS;
const QUEUE_BITS: u32 = 6;
/// Of them, those that one client may join.
const HAND: usize = 8;

#[derive(Debug)]
pub(super) struct Fair {
    salt: u64,
    /// By number: oldest first.
    queues: [BTreeMap<u64, Waiter>; QUEUES],
    /// The queues that are not empty, and perhaps some that have become so, in the order of their turns.
    turns: VecDeque<usize>,
    /// Those in `turns`, a bit for each.
    listed: u64,
    len: u32,
    /// Since when somebody has been waiting without a break.
    since: Option<Instant>,
}

impl Fair {
    pub(super) fn new(salt: u64) -> Self {
        Self {
            salt,
            queues: [const { BTreeMap::new() }; QUEUES],
            turns: VecDeque::new(),
            listed: 0,
            len: 0,
            since: None,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Since when somebody has been waiting without a break.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The queue that a client joins: the shortest of its hand.
    pub(super) fn queue_of(&self, client: u64) -> usize {
        hand(client, self.salt).into_iter().min_by_key(|at| self.length(*at)).unwrap_or(0)
    }

    /// Adds a waiter to the queue `at`; its number, by which it can be found again. `id` rises with every call.
    pub(super) fn push(&mut self, at: usize, id: u64, waiter: Waiter, now: Instant) -> u64 {
        let number = (id << QUEUE_BITS) | u64::try_from(at % QUEUES).unwrap_or(0);
        let Some(queue) = self.queues.get_mut(at % QUEUES) else { return number };
        queue.insert(number, waiter);
        self.len += 1;
        self.since.get_or_insert(now);
        if self.listed & (1 << at) == 0 {
            self.listed |= 1 << at;
            self.turns.push_back(at);
        }
        number
    }

    /// The next in turn: its queue's oldest, or its newest.
    pub(super) fn pop(&mut self, oldest: bool) -> Option<Waiter> {
        while let Some(at) = self.turns.pop_front() {
            self.listed &= !(1 << at);
            let Some(queue) = self.queues.get_mut(at) else { continue };
            let next = if oldest { queue.pop_first() } else { queue.pop_last() };
            // A queue whose waiters have left keeps its turn until it comes.
            let Some((_, waiter)) = next else { continue };
            if !queue.is_empty() {
                self.listed |= 1 << at;
                self.turns.push_back(at);
            }
            self.gone(1);
            return Some(waiter);
        }
        None
    }

    /// Removes a waiter by its number.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let at = usize::try_from(number % QUEUES as u64).unwrap_or(0);
        let found = self.queues.get_mut(at).is_some_and(|queue| queue.remove(&number).is_some());
        self.gone(u32::from(found));
        found
    }

    /// Takes a waiter out of the longest queue, its newest or its oldest, if that is longer than the one at `at`,
    /// which a newcomer would join; its own may lose its oldest to it.
    pub(super) fn crowd_out(&mut self, at: usize, newest: bool) -> Option<Waiter> {
        let own = self.length(at);
        let longest = (0..QUEUES).max_by_key(|at| self.length(*at))?;
        let longer = if newest { self.length(longest) > own + 1 } else { self.length(longest) > 0 };
        let queue = self.queues.get_mut(longest).filter(|_| longer)?;
        let (_, waiter) = if newest { queue.pop_last() } else { queue.pop_first() }?;
        self.gone(1);
        Some(waiter)
    }

    /// Sheds those that have waited for longer than `patience` in the queue at `at`; how many.
    pub(super) fn drop_older(&mut self, at: usize, now: Instant, patience: Duration) -> u32 {
        let mut dropped = 0;
        while let Some(queue) = self.queues.get_mut(at)
            && let Some(oldest) = queue.first_entry()
            && now.saturating_duration_since(oldest.get().since) > patience
        {
            oldest.remove().shed(Shed::Deadline);
            dropped += 1;
        }
        self.gone(dropped);
        dropped
    }

    /// At most so many are seated before a newcomer in the queue at `at`.
    pub(super) fn ahead_of(&self, at: usize) -> u32 {
        let own = self.length(at);
        let turns = u32::try_from(self.turns.len()).unwrap_or(u32::MAX);
        own.saturating_add(1).saturating_mul(turns).min(self.len)
    }

    fn length(&self, at: usize) -> u32 {
        self.queues.get(at).map_or(0, |queue| u32::try_from(queue.len()).unwrap_or(u32::MAX))
    }

    fn gone(&mut self, count: u32) {
        self.len = self.len.saturating_sub(count);
        if self.len == 0 {
            self.since = None;
        }
    }
}

/// The queues of a client: 8 of 64, all different, dealt by its number.
fn hand(client: u64, salt: u64) -> [usize; HAND] {
    let mut deck: [u8; QUEUES] = std::array::from_fn(|card| u8::try_from(card).unwrap_or(0));
    let mut draw = mixed(client ^ salt);
    std::array::from_fn(|dealt| {
        let left = u64::try_from(QUEUES - dealt).unwrap_or(1);
        let at = dealt + usize::try_from(draw % left).unwrap_or(0);
        // 64 * 63 * .. * 57 is far below 2^64, so one draw deals the whole hand.
        draw /= left;
        deck.swap(dealt, at);
        deck.get(dealt).map_or(0, |card| usize::from(*card))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;
    use crate::house::Who;
    use std::collections::HashSet;
    use tokio::sync::oneshot;

    /// Lets requests of these clients wait; their numbers.
    fn wait(queue: &mut Fair, clients: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let now = Instant::now();
        let join = |(id, client)| {
            let waiter = Waiter::new(oneshot::channel().0, Who { class: Class::Attested, client }, now);
            queue.push(queue.queue_of(client), id, waiter, now)
        };
        (0..).zip(clients).map(join).collect()
    }

    #[test]
    fn a_hand_is_eight_different_queues_and_always_the_same() {
        let mut dealt = [0_u32; QUEUES];
        for client in 0..10_000 {
            let cards = hand(client, 5);
            assert_eq!(cards, hand(client, 5));
            assert_eq!(cards.iter().collect::<HashSet<_>>().len(), HAND);
            cards.iter().for_each(|card| dealt[*card] += 1);
        }
        assert!(dealt.iter().all(|count| (1_000..1_500).contains(count)), "evenly: {dealt:?}");
    }

    /// Of so many light clients, the share whose whole hand is in heavy ones, over many houses.
    fn squashed(heavy: u64) -> f64 {
        let (mut squashed, mut all) = (0_u32, 0_u32);
        for salt in 0..200 {
            let heavy: HashSet<usize> = (0..heavy).flat_map(|client| hand(client, salt)).collect();
            for light in 1_000..2_000 {
                squashed += u32::from(hand(light, salt).iter().all(|card| heavy.contains(card)));
                all += 1;
            }
        }
        f64::from(squashed) / f64::from(all)
    }

    #[test]
    fn a_light_client_is_squashed_as_rarely_as_it_is_stated() {
        assert_eq!(squashed(1), 0.0, "2.3e-10");
        let four = squashed(4);
        assert!((2e-4..1e-3).contains(&four), "{four} for 4.9e-4");
        let sixteen = squashed(16);
        assert!((0.30..0.42).contains(&sixteen), "{sixteen} for 0.36");
    }

    #[test]
    fn the_light_client_is_served_in_its_turn_whatever_the_heavy_one_has_waiting() {
        let mut queue = Fair::new(1);
        wait(&mut queue, std::iter::repeat_n(7, 500).chain([8]));
        let served = (0..=HAND).filter_map(|_| queue.pop(true)).filter(|waiter| waiter.who.client == 8).count();
        assert_eq!(served, 1, "within one round");
    }

    #[test]
    fn few_that_wait_are_served_in_the_order_of_arrival() {
        let mut queue = Fair::new(3);
        wait(&mut queue, 0..8);
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop(true)).map(|waiter| waiter.who.client).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_full_queue_makes_room_for_a_light_client_at_the_cost_of_the_heaviest() {
        let mut queue = Fair::new(1);
        wait(&mut queue, std::iter::repeat_n(7, 100));
        let (light, heavy) = (queue.queue_of(8), queue.queue_of(7));
        assert_eq!(queue.crowd_out(light, true).unwrap().who.client, 7);
        assert!(queue.crowd_out(heavy, true).is_none(), "not for itself");
        assert_eq!(
            (queue.len(), queue.crowd_out(heavy, false).is_some()),
            (99, true),
            "the lower classes drop their oldest"
        );
    }

    #[test]
    fn whoever_leaves_is_gone_and_the_turns_go_on() {
        let mut queue = Fair::new(1);
        let numbers = wait(&mut queue, 0..20);
        assert!(numbers.iter().take(19).all(|number| queue.remove(*number)));
        assert!(!queue.remove(numbers[3]));
        assert_eq!(queue.pop(true).unwrap().who.client, 19);
        assert!(queue.pop(true).is_none() && queue.since().is_none());
        assert!(queue.turns.len() <= QUEUES);
    }
}
