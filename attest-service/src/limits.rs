//! In: the address of a request. Out: go on, or how long to wait. What is proven: no client gets more than its rate,
//! and the table that counts has one size for ever, whatever addresses are sent (a map that grows with addresses is
//! itself the attack).

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};

use crate::network::Client;

/// Places in the table: 8 bytes each. Two clients that meet in one place share its rate; which ones meet is
/// decided by a hash that is keyed anew at each start, so nobody can seek a place beside a chosen victim.
const PLACES: usize = 1 << 16;

/// The rate of each client address.
pub(crate) struct RateLimits {
    limiter: RateLimiter<Client, Places, DefaultClock, NoOpMiddleware>,
    clock: DefaultClock,
    per_minute: NonZeroU32,
}

impl RateLimits {
    /// `per_minute` requests a minute for each client, as many of them at once.
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        let clock = DefaultClock::default();
        Self {
            limiter: RateLimiter::new(Quota::per_minute(per_minute), Places::new(), clock.clone()),
            clock,
            per_minute,
        }
    }

    /// The rate.
    pub(crate) fn per_minute(&self) -> NonZeroU32 {
        self.per_minute
    }

    /// Counts one request of `address`.
    ///
    /// # Errors
    /// How long until the next one may pass.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        self.limiter.check_key(&Client::of(address)).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// A fixed table of counters.
struct Places {
    hasher: RandomState,
    counters: Box<[InMemoryState]>,
}

impl Places {
    fn new() -> Self {
        Self { hasher: RandomState::new(), counters: (0..PLACES).map(|_| InMemoryState::default()).collect() }
    }
}

impl StateStore for Places {
    type Key = Client;

    fn measure_and_replace<T, F, E>(&self, key: &Client, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let place = (self.hasher.hash_one(key) as usize) % PLACES;
        match self.counters.get(place) {
            Some(counter) => counter.measure_and_replace(&NotKeyed::NonKey, f),
            // Out of reach (the remainder is below PLACES); a fresh counter's answer is the mild one.
            None => InMemoryState::default().measure_and_replace(&NotKeyed::NonKey, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: u32) -> RateLimits {
        RateLimits::new(NonZeroU32::new(per_minute).unwrap())
    }

    #[test]
    fn refuses_the_request_after_the_burst_and_says_how_long() {
        let limits = limits(3);
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert_eq!(limits.check(address), Ok(()));
        }
        let wait = limits.check(address).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
    }

    #[test]
    fn one_client_does_not_use_up_anothers_rate() {
        let limits = limits(1);
        assert!(limits.check("192.0.2.1".parse().unwrap()).is_ok());
        assert!(limits.check("192.0.2.1".parse().unwrap()).is_err());
        let others = (0..50).filter(|n| limits.check(format!("198.51.100.{n}").parse().unwrap()).is_ok()).count();
        assert!(others >= 48, "{others}"); // two may meet in one place, by chance
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_a_rate() {
        let limits = limits(1);
        assert!(limits.check("2001:db8::1".parse().unwrap()).is_ok());
        assert!(limits.check("2001:db8::2".parse().unwrap()).is_err());
    }
}
