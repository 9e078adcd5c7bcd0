//! In: the address a request came from. Out: the network it counts under, so that one source which holds
//! many addresses is still one source. Nothing is proven: an address is a hint, never an identity.

use std::net::{IpAddr, Ipv4Addr};

/// A client's network: the /24 of an IPv4 address, the /64 of an IPv6 one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Network {
    /// The first three bytes of an IPv4 address.
    V4([u8; 3]),
    /// The first eight bytes of an IPv6 address.
    V6(u64),
}

impl Network {
    /// The network of `address`; IPv4 addresses in their IPv6 clothing (`::ffff:a.b.c.d`) count as IPv4.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(v6) => Self::V6(upper_half(v6)),
        }
    }
}

impl Network {
    /// The same in bytes, for a store that is shared: a family, then the network.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::V4(network) => [&[4][..], &network].concat(),
            Self::V6(network) => [&[6][..], &network.to_be_bytes()].concat(),
        }
    }
}

/// What one client may hold by itself: an IPv4 address, or a whole IPv6 /64 (a phone is given one).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Client {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// The first eight bytes of an IPv6 address.
    V6(u64),
}

impl Client {
    /// The client behind `address`, as far as an address can tell.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => Self::V6(upper_half(v6)),
        }
    }
}

impl Client {
    /// The same in bytes, for a count that is shared: a family, then the client.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::V4(address) => [&[4][..], &address.octets()].concat(),
            Self::V6(network) => [&[6][..], &network.to_be_bytes()].concat(),
        }
    }
}

fn upper_half(v6: std::net::Ipv6Addr) -> u64 {
    (v6.to_bits() >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_network_and_strangers_do_not() {
        assert_eq!(network("192.0.2.1"), network("192.0.2.254"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothing_is_the_same_client() {
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.8"));
        assert_eq!(Client::of("::ffff:192.0.2.7".parse().unwrap()), Client::of("192.0.2.7".parse().unwrap()));
        assert_ne!(Client::of("192.0.2.7".parse().unwrap()), Client::of("192.0.2.8".parse().unwrap()));
    }
}
