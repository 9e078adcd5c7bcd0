//! Names that tell requests of one device together without telling the device.
//!
//! In: a device id or an address. Out: 64 bits, the same for the same input as long as the key lives, evenly spread, with no way back
//! for whoever has not the key. They also feed the counts of distinct devices, which nobody can then bend by choosing his id.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use siphasher::sip::SipHasher13;
use zeroize::Zeroizing;

/// The key. Kept as long as what was written with it is to be read together.
pub struct Pseudonyms(Zeroizing<[u8; 16]>);

impl Pseudonyms {
    /// From 16 random bytes.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Of a device id.
    #[must_use]
    pub fn device(&self, device: &str) -> u64 {
        self.hash(b'd', device.as_bytes())
    }

    /// Of the network that `address` counts in: itself for IPv4, its /64 for IPv6.
    #[must_use]
    pub fn network(&self, address: IpAddr) -> u64 {
        match address.to_canonical() {
            IpAddr::V4(address) => self.hash(b'4', &address.octets()),
            IpAddr::V6(address) => self.hash(b'6', &(u128::from(address) >> 64).to_be_bytes()),
        }
    }

    fn hash(&self, kind: u8, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(kind);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms([redacted])")
    }
}

/// The network of `address` as a record holds it: wide enough to be no one's own.
pub(crate) fn coarse(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).map_or(IpNet::from(IpAddr::from(address)), IpNet::from),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).map_or(IpNet::from(IpAddr::from(address)), IpNet::from),
    }
    .trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_gives_other_names_and_none_is_shown() {
        let (one, other) = (Pseudonyms::new([1; 16]), Pseudonyms::new([2; 16]));
        assert_eq!(one.device("a"), one.device("a"));
        assert_ne!(one.device("a"), other.device("a"));
        assert_ne!(one.device("a"), one.device("b"));
        assert_eq!(format!("{one:?}"), "Pseudonyms([redacted])");
    }

    #[test]
    fn an_ipv6_client_counts_as_its_64_and_a_mapped_address_as_ipv4() {
        let names = Pseudonyms::new([1; 16]);
        let of = |text: &str| names.network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    }

    #[test]
    fn a_record_holds_no_whole_address() {
        let of = |text: &str| coarse(text.parse().unwrap()).to_string();
        assert_eq!(of("203.0.113.77"), "203.0.113.0/24");
        assert_eq!(of("::ffff:203.0.113.77"), "203.0.113.0/24");
        assert_eq!(of("2001:db8:1:2::1"), "2001:db8:1::/48");
    }
}
