//! A. In: 16 random bytes, or a challenge that came back. Out: a challenge, or `Consumed`, once. What is proven: the
//! challenge is ours, of this store's epoch and in time; and it leaves here at most once, because looking up and setting
//! the entry are one step under one lock.
//!
//! Issuing stores nothing, so a flood of requests for challenges costs no memory; only challenges that come back do. A
//! live entry is never evicted (that would let a challenge be used twice): full means 503, and a network that
//! fills its share is refused long before the others are. What a restart forgets, the new epoch refuses: the epoch lasts
//! exactly as long as this value does.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use attest_core::{
    challenge::{Challenge, ChallengeError, ChallengeKey, VerifiedChallenge},
    time::UnixTime,
};

use super::{Capacity, Consumed, NotConsumed};
use crate::network::Network;

/// The life of a challenge is cut into this many slots; entries are dropped a slot at a time.
const SLOTS_PER_LIFE: i64 = 4;

/// Issues challenges, and remembers which were used.
pub(crate) struct ChallengeStore {
    key: ChallengeKey,
    key_set: String,
    epoch: [u8; 8],
    life: Duration,
    slot_millis: i64,
    used: Mutex<Used>,
}

struct Used {
    capacity: Capacity,
    /// Oldest first; a challenge belongs to the slot in which it expires.
    slots: VecDeque<Slot>,
    total: usize,
    /// Slots up to and including this one are dropped for good, even if the clock goes back.
    horizon: i64,
}

struct Slot {
    number: i64,
    nonces: HashSet<[u8; 16]>,
    networks: HashMap<Network, usize>,
}

impl ChallengeStore {
    /// An empty store of a new epoch (random at each start), for challenges of `key_set` that live for `life`.
    pub(crate) fn new(key: ChallengeKey, key_set: &str, epoch: [u8; 8], life: Duration, capacity: Capacity) -> Self {
        let life_millis = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        Self {
            key,
            key_set: key_set.to_owned(),
            epoch,
            life,
            slot_millis: (life_millis / SLOTS_PER_LIFE).max(1),
            used: Mutex::new(Used { capacity, slots: VecDeque::new(), total: 0, horizon: i64::MIN }),
        }
    }

    /// A challenge of this epoch, of 16 fresh random bytes.
    pub(crate) fn issue(&self, nonce: [u8; 16], now: UnixTime) -> Challenge {
        Challenge::issue(nonce, self.epoch, &self.key_set, now, &self.key)
    }

    /// How long a challenge can be used.
    pub(crate) fn life(&self) -> Duration {
        self.life
    }

    /// Verifies a challenge that came back.
    ///
    /// # Errors
    /// As [`Challenge::verify`].
    pub(crate) fn verify(&self, challenge: &Challenge, now: UnixTime) -> Result<VerifiedChallenge, ChallengeError> {
        challenge.verify(&self.key, &self.key_set, self.epoch, now, self.life)
    }

    /// Whether `challenge` was used already. Only a hint for the order of work: `consume` decides.
    pub(crate) fn is_spent(&self, challenge: &VerifiedChallenge) -> bool {
        let number = self.slot_number(challenge.issued().plus(self.life));
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.slots.iter().any(|slot| slot.number == number && slot.nonces.contains(challenge.nonce()))
    }

    /// Uses `challenge` up, for a request that came from `network` at `now`.
    ///
    /// # Errors
    /// `Spent` for every call but the first; `Over` where the entry may have been forgotten; `Full` where there is no
    /// room to remember it.
    pub(crate) fn consume(
        &self,
        challenge: VerifiedChallenge,
        network: Network,
        now: UnixTime,
    ) -> Result<Consumed, NotConsumed> {
        let number = self.slot_number(challenge.issued().plus(self.life));
        let current = self.slot_number(now);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.drop_before(current);
        if number <= used.horizon {
            return Err(NotConsumed::Over);
        }
        if used.slots.iter().any(|slot| slot.number == number && slot.nonces.contains(challenge.nonce())) {
            return Err(NotConsumed::Spent);
        }
        let held: usize = used.slots.iter().filter_map(|slot| slot.networks.get(&network)).sum();
        if used.total >= used.capacity.total || held >= used.capacity.share(used.total) {
            return Err(NotConsumed::Full);
        }
        let slot = used.slot(number);
        slot.nonces.insert(*challenge.nonce());
        *slot.networks.entry(network).or_default() += 1;
        used.total += 1;
        Ok(Consumed::new())
    }

    /// Holds at most `capacity` from now on. What is held already stays: a live entry is never dropped.
    pub(crate) fn resize(&self, capacity: Capacity) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).capacity = capacity;
    }

    /// How many entries are held.
    pub(crate) fn len(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    fn slot_number(&self, time: UnixTime) -> i64 {
        time.millis().div_euclid(self.slot_millis)
    }
}

impl Used {
    /// Drops the slots whose challenges are all over.
    fn drop_before(&mut self, current: i64) {
        self.horizon = self.horizon.max(current - 1);
        while self.slots.front().is_some_and(|slot| slot.number <= self.horizon) {
            if let Some(slot) = self.slots.pop_front() {
                self.total -= slot.nonces.len();
            }
        }
    }

    /// The slot `number`, made in its place where it is not there yet.
    fn slot(&mut self, number: i64) -> &mut Slot {
        let place = self.slots.partition_point(|slot| slot.number < number);
        if self.slots.get(place).is_none_or(|slot| slot.number != number) {
            self.slots.insert(place, Slot { number, nonces: HashSet::new(), networks: HashMap::new() });
        }
        #[expect(clippy::indexing_slicing, reason = "the line above has put a slot there")]
        &mut self.slots[place]
    }
}

#[cfg(test)]
mod tests;
