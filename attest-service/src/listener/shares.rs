//! In: the peer of a new connection. Out: a place for it, until the returned value is dropped; or none. What is proven: one
//! client holds a share of the connections and no more, so that whoever opens them and says nothing leaves the others
//! theirs. The table holds open connections alone, so it is as bounded as they are.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::network::Client;

/// Connections by client.
#[derive(Clone)]
pub(super) struct Shares {
    held: Arc<Mutex<HashMap<Client, usize>>>,
    most: usize,
}

/// One connection's place.
pub(super) struct Place {
    shares: Shares,
    client: Option<Client>,
}

impl Shares {
    /// At most `most` for each client.
    pub(super) fn of(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// A place for a connection from `peer`. Loopback is not counted: the gateway on this machine comes from there with
    /// everybody's requests.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        if peer.to_canonical().is_loopback() {
            return Some(Place { shares: self.clone(), client: None });
        }
        let client = Client::of(peer);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Place { shares: self.clone(), client: Some(client) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                held.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_holds_its_share_and_no_more_and_another_has_its_own() {
        let shares = Shares::of(2);
        let (one, other) = ("2001:db8::1".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let first = shares.take(one).unwrap();
        let _second = shares.take("2001:db8::2".parse().unwrap()).unwrap();
        assert!(shares.take(one).is_none() && shares.take(other).is_some());
        drop(first);
        assert!(shares.take(one).is_some());
    }

    #[test]
    fn what_has_ended_leaves_nothing_and_loopback_is_not_counted() {
        let shares = Shares::of(1);
        for number in 0..10_000_u32 {
            assert!(shares.take(IpAddr::V4(number.into())).is_some());
        }
        assert!(shares.held.lock().unwrap().is_empty());
        let local = "127.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..10).map(|_| shares.take(local).unwrap()).collect();
        assert_eq!(held.len(), 10);
    }
}
