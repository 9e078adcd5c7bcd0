//! Stage 5's way to the `admission` crate: what the gateway knows, in its words.
//!
//! In: settings, and a verified request. Out: a house with seats, and who asks for one. A device counts by itself only where
//! platform Evidence vouches for its key: a device id in software is free, and a script makes a million. Else its network
//! does, IPv6 by /64. Both go in as a keyed hash, so that nobody can choose whose turn he shares.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use attest_core::token::verify::Verified;
use settings::{Concurrency, UpstreamSettings};

pub(crate) use ::admission::{Admission, Answering, Seat, Shed, Who};
use ::admission::{Capacity, Class, Limit, Queues};

mod held;

pub(crate) use held::Held;

/// An empty house for this upstream.
pub(crate) fn open(settings: &UpstreamSettings) -> Arc<Admission> {
    Admission::new(capacity(settings), Instant::now(), SECRET.hash_one(&settings.name))
}

/// Seats and queues as the configuration has them.
pub(crate) fn capacity(settings: &UpstreamSettings) -> Capacity {
    let queue = settings.queue;
    Capacity {
        limit: match settings.concurrency {
            Concurrency::Fixed(seats) => Limit::Fixed(seats),
            Concurrency::Adaptive(limit) => Limit::Adaptive { min: limit.min, max: limit.max, start: limit.start },
        },
        reserve: settings.reserve,
        queues: Queues {
            deadline: queue.deadline,
            length: queue.length,
            spare_wait: queue.spare_wait,
            spare_length: queue.spare_length,
        },
        streams: settings.streams,
    }
}

/// Who asks, with a permit of this class.
pub(crate) fn who(class: policies::Class, verified: Option<&Verified>, address: Option<IpAddr>) -> Who {
    let device = verified.filter(|verified| verified.kinds().has_platform()).and_then(Verified::device);
    let client = match device {
        Some(device) => SECRET.hash_one(device),
        None => SECRET.hash_one(network(address)),
    };
    Who { class: in_its_words(class), client }
}

/// What one subscriber has: an IPv4 address, a /64 of IPv6.
fn network(address: Option<IpAddr>) -> u128 {
    match address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6) & !u128::from(u64::MAX),
    }
}

fn in_its_words(class: policies::Class) -> Class {
    match class {
        policies::Class::Critical => Class::Critical,
        policies::Class::Attested => Class::Attested,
        policies::Class::Partial => Class::Partial,
        policies::Class::Unattested => Class::Unattested,
    }
}

/// Of this process; a restart deals anew.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> u64 {
        who(policies::Class::Unattested, None, address.parse().ok()).client
    }

    #[test]
    fn a_subscriber_is_one_client_however_many_addresses_it_uses() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
