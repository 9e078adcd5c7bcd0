//! In: the address of a request, and whether its token was wrong. Out: go on, or how long to wait. What is proven: no
//! address tries more than [`ATTEMPTS`] wrong tokens a minute, and the table that counts has one size for ever, whatever
//! addresses come (a map that grows with addresses is itself the attack). A token that was good is not made to wait for
//! its neighbours' wrong ones: whoever shares an operator's address could else keep him out while it matters.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong tokens of one address (IPv6: its /64) within [`WINDOW`].
pub const ATTEMPTS: u32 = 20;
/// The time that they are counted over.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Places in the table. Two addresses that meet in one place share it; which ones meet is decided by a hash keyed anew at
/// each start, so nobody can seek a place beside a chosen victim.
const PLACES: usize = 4096;
/// Tokens remembered as good; there are no more than a thousand at a time.
const GOOD: usize = 1024;

/// Wrong tokens, by address; and which tokens were good.
pub(crate) struct Attempts {
    hasher: RandomState,
    places: Box<[Mutex<Place>]>,
    /// Under the keyed hash alone. It only lets them be asked about: the store decides.
    good: Mutex<HashSet<u64>>,
}

/// What was counted in one place since its window began.
#[derive(Clone, Copy, Default)]
struct Place {
    since: Option<Instant>,
    wrong: u32,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            good: Mutex::default(),
        }
    }

    /// Whether `address` may show `token` at `now`.
    ///
    /// # Errors
    /// How long until it may.
    pub(crate) fn check(&self, address: IpAddr, token: &[u8], now: Instant) -> Result<(), Duration> {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.hasher.hash_one(token));
        if good { Ok(()) } else { self.check_address(address, now) }
    }

    fn check_address(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.with(address, |place| match place.since {
            Some(since) if now.saturating_duration_since(since) < WINDOW && place.wrong >= ATTEMPTS => {
                Err(WINDOW.saturating_sub(now.saturating_duration_since(since)))
            }
            _ => Ok(()),
        })
    }

    /// Remembers that `token` was good.
    pub(crate) fn good(&self, token: &[u8]) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= GOOD {
            good.clear();
        }
        good.insert(self.hasher.hash_one(token));
    }

    /// Counts a wrong `token`, also one that was good once.
    pub(crate) fn wrong(&self, address: IpAddr, token: &[u8], now: Instant) {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hasher.hash_one(token));
        self.with(address, |place| {
            let over = place.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW);
            if over {
                *place = Place { since: Some(now), wrong: 0 };
            }
            place.wrong = place.wrong.saturating_add(1);
        });
    }

    fn with<T>(&self, address: IpAddr, change: impl FnOnce(&mut Place) -> T) -> T {
        let index = usize::try_from(self.hasher.hash_one(network(address))).unwrap_or(0) % PLACES;
        match self.places.get(index) {
            Some(place) => change(&mut place.lock().unwrap_or_else(PoisonError::into_inner)),
            // Out of reach: the remainder is below PLACES.
            None => change(&mut Place::default()),
        }
    }
}

/// What one client holds by itself: an IPv4 address, or a whole IPv6 /64.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 | 1 << 127,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_after_the_last_waits_for_the_rest_of_the_minute() {
        let (attempts, begin) = (Attempts::new(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..ATTEMPTS {
            assert_eq!(attempts.check(address, b"x", begin), Ok(()));
            attempts.wrong(address, b"x", begin);
        }
        let later = begin + Duration::from_secs(20);
        assert_eq!(attempts.check(address, b"x", later), Err(Duration::from_secs(40)));
        assert_eq!(attempts.check(address, b"x", begin + WINDOW), Ok(()));
        attempts.wrong(address, b"x", begin + WINDOW);
        assert_eq!(attempts.check(address, b"x", begin + WINDOW), Ok(()), "a new window begins from nothing");
    }

    #[test]
    fn a_good_token_does_not_wait_for_its_neighbours_until_it_is_good_no_more() {
        let (attempts, now) = (Attempts::new(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        attempts.good(b"ours");
        for _ in 0..ATTEMPTS {
            attempts.wrong(address, b"x", now);
        }
        assert!(attempts.check(address, b"x", now).is_err() && attempts.check(address, b"ours", now).is_ok());
        attempts.wrong(address, b"ours", now);
        assert!(attempts.check(address, b"ours", now).is_err());
        for number in 0..GOOD * 2 {
            attempts.good(&number.to_be_bytes());
        }
        assert!(attempts.good.lock().unwrap().len() <= GOOD);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_and_strangers_are_not() {
        let (attempts, now) = (Attempts::new(), Instant::now());
        for n in 0..ATTEMPTS {
            attempts.wrong(format!("2001:db8::{n:x}").parse().unwrap(), b"x", now);
        }
        assert!(attempts.check("2001:db8::ffff".parse().unwrap(), b"x", now).is_err());
        let others =
            (0..50).filter(|n| attempts.check(format!("198.51.100.{n}").parse().unwrap(), b"x", now).is_ok()).count();
        assert!(others >= 48, "{others}"); // two may meet in one place, by chance
        assert_eq!(network("::ffff:192.0.2.7".parse().unwrap()), network("192.0.2.7".parse().unwrap()));
    }
}
