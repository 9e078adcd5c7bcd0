//! Which addresses may be dialled.
//!
//! In comes an address as a resolver gave it; out goes whether a connection may be opened. Metadata
//! services of clouds never, however they are written; private, loopback and link-local ones only
//! when the place lists them. What hides an IPv4 address inside an IPv6 one is unwrapped first.
//! Whoever calls dials this very address, so what was checked is what is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Why an address is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// A cloud's metadata service: it hands out credentials to whoever asks from this machine.
    #[error("it belongs to a cloud's metadata service, which is never dialled")]
    Metadata,
    /// Private, loopback, link-local or shared space that is not listed.
    #[error("it is private and not listed under private_addresses")]
    Private,
    /// Unspecified, multicast, broadcast, documentation and the like.
    #[error("it is not an address that can be dialled")]
    NotAHost,
}

/// Which private addresses are dialled for one place. Metadata services never are, whatever it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    private: Private,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Private {
    Listed(Arc<[IpNet]>),
    Any,
}

impl Default for Private {
    fn default() -> Self {
        Self::Listed(Arc::default())
    }
}

impl AddressRules {
    /// Public addresses alone.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// Public addresses, and private ones in these networks.
    #[must_use]
    pub fn listed(networks: &[IpNet]) -> Self {
        Self { private: Private::Listed(networks.into()) }
    }

    /// Private addresses too: for places whose own proof says who they are, and which stand in a private network more
    /// often than not.
    #[must_use]
    pub const fn any_private() -> Self {
        Self { private: Private::Any }
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// The reason against it.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = unwrapped(address);
        if is_metadata(address) || local_nat64(address).is_some_and(|behind| behind.into_iter().any(is_metadata)) {
            return Err(Forbidden::Metadata);
        }
        match (kind(address), &self.private) {
            (Kind::Public, _) | (Kind::Private, Private::Any) => Ok(()),
            (Kind::Private, Private::Listed(nets)) if nets.iter().any(|net| net.contains(&address)) => Ok(()),
            (Kind::Private, Private::Listed(_)) => Err(Forbidden::Private),
            (Kind::NotAHost, _) => Err(Forbidden::NotAHost),
        }
    }
}

/// Whether it is this machine's own loopback, however it is written.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    unwrapped(address).is_loopback()
}

/// The IPv4 address inside an IPv6 one, where there is one: mapped and compatible (RFC 4291), NAT64
/// (RFC 6052), 6to4 (RFC 3056), ISATAP (RFC 5214).
pub(crate) fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        // `::` and `::1` are no IPv4 addresses.
        [0, 0, 0, 0, 0, 0] if g == 0 && h <= 1 => address,
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x2002, high, low, _, _, _] => v4(high, low),
        [_, _, _, _, 0 | 0x200, 0x5efe] => v4(g, h),
        _ => address,
    }
}

/// What an address of a network's own NAT64 (RFC 8215) may stand for: how long the prefix is, and so where the IPv4 address
/// is in it (RFC 6052, section 2.2), only the network knows.
fn local_nat64(address: IpAddr) -> Option<[IpAddr; 4]> {
    let IpAddr::V6(v6) = address else { return None };
    let [0x00, 0x64, 0xff, 0x9b, 0x00, 0x01, a, b, _, c, d, e, w, x, y, z] = v6.octets() else { return None };
    Some([[a, b, c, d], [b, c, d, e], [c, d, e, w], [w, x, y, z]].map(IpAddr::from))
}

/// AWS, Azure, GCP and most others; AWS over IPv6; ECS tasks; Alibaba, Tencent, Scaleway; Oracle and Azure's wire server.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => [
            Ipv4Addr::new(169, 254, 169, 254),
            Ipv4Addr::new(169, 254, 169, 253),
            Ipv4Addr::new(169, 254, 0, 23),
            Ipv4Addr::new(169, 254, 42, 42),
            Ipv4Addr::new(169, 254, 170, 2),
            Ipv4Addr::new(169, 254, 170, 23),
            Ipv4Addr::new(100, 100, 100, 200),
            Ipv4Addr::new(192, 0, 0, 192),
            Ipv4Addr::new(168, 63, 129, 16),
        ]
        .contains(&v4),
        IpAddr::V6(v6) => [
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
            Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
            Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        ]
        .contains(&v6),
    }
}

enum Kind {
    Public,
    Private,
    NotAHost,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

/// The registries of RFC 6890.
fn kind_v4(v4: Ipv4Addr) -> Kind {
    let [a, b, c, _] = v4.octets();
    match (a, b, c) {
        (0, ..) | (224..=255, ..) | (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Kind::NotAHost,
        (10 | 127, ..)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (169, 254, _)
        | (100, 64..=127, _)
        | (198, 18..=19, _)
        | (192, 0, 0) => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(v6: Ipv6Addr) -> Kind {
    let [a, b, c, ..] = v6.segments();
    // Teredo (2001::/32) hides an IPv4 address behind a relay of nobody's; ORCHID (2001:10::/28, 2001:20::/28) are names;
    // the others are for documentation (RFC 3849, RFC 9637).
    let nowhere = (a == 0x2001 && matches!(b, 0 | 0x10..=0x2f | 0xdb8)) || (a == 0x3fff && b < 0x1000);
    if (a, b, c) == (0x64, 0xff9b, 1)
        || v6.is_loopback()
        || a & 0xfe00 == 0xfc00
        || a & 0xffc0 == 0xfe80
        || a & 0xffc0 == 0xfec0
    {
        Kind::Private
    } else if a & 0xe000 == 0x2000 && !nowhere {
        Kind::Public
    } else {
        // The one block of public addresses is 2000::/3 (IANA); of what is not given out yet nobody knows what it will be.
        Kind::NotAHost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str, listed: &[&str]) -> Result<(), Forbidden> {
        let listed: Vec<IpNet> = listed.iter().map(|net| net.parse().unwrap()).collect();
        AddressRules::listed(&listed).check(address.parse().unwrap())
    }

    #[test]
    fn refuses_metadata_services_however_they_are_written_and_listed() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "2606:4700::5efe:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "169.254.42.42",
            "fd00:42::42",
        ] {
            assert_eq!(judged(address, &["0.0.0.0/0", "::/0"]), Err(Forbidden::Metadata), "{address}");
        }
    }

    #[test]
    fn refuses_private_addresses_that_are_not_listed() {
        for address in [
            "10.0.4.7",
            "127.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "::ffff:10.0.4.7",
            "64:ff9b::10.0.4.7",
            "2002:0a00:0407::",
            "64:ff9b:1::1.1.1.1",
            "2606:4700::200:5efe:10.0.4.7",
        ] {
            assert_eq!(judged(address, &["10.0.5.0/24"]), Err(Forbidden::Private), "{address}");
        }
        assert_eq!(judged("::ffff:10.0.4.7", &["10.0.4.0/24"]), Ok(()));
        assert_eq!(judged("::1", &["::1/128"]), Ok(()));
    }

    #[test]
    fn refuses_what_is_no_host() {
        for address in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "3fff::1",
            "100::1",
            "1::1",
            "4000::1",
            "5f00::1",
            "a000::1",
        ] {
            assert_eq!(judged(address, &["0.0.0.0/0", "::/0"]), Err(Forbidden::NotAHost), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in
            ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "100.128.0.1", "2a00:1450::1", "3ffe::1", "2620:fe::fe"]
        {
            assert_eq!(judged(address, &[]), Ok(()), "{address}");
        }
    }
}
