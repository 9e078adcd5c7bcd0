//! A list of networks: sorted ranges that neither touch nor overlap.
//!
//! In: networks and addresses. Out: whether an address lies in one of them, by one binary search.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last address of each range, sorted, apart from each other.
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// The ranges that `networks` cover together.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let mut draft = Draft::default();
        networks.into_iter().for_each(|network| draft.push(network));
        draft.finish()
    }

    /// Whether `address` lies in one of them; an IPv4 address that is written as IPv6 counts as IPv4. Allocates nothing.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, u32::from(address)),
            IpAddr::V6(address) => holds(&self.v6, u128::from(address)),
        }
    }

    /// Whether it holds any address of `network`. Takes the logarithm of its length.
    pub(crate) fn touches(&self, network: IpNet) -> bool {
        match canonical(network) {
            IpNet::V4(net) => meets(&self.v4, (u32::from(net.network()), u32::from(net.broadcast()))),
            IpNet::V6(net) => meets(&self.v6, (u128::from(net.network()), u128::from(net.broadcast()))),
        }
    }

    /// Whether every address of `inner` lies in one of these.
    pub(crate) fn covers(&self, inner: &Self) -> bool {
        inner.v4.iter().all(|range| spans(&self.v4, *range)) && inner.v6.iter().all(|range| spans(&self.v6, *range))
    }

    /// The ranges, IPv4 as IPv6, both ends included, sorted.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u128, u128)> {
        let v4 = self.v4.iter().map(|(first, last)| (mapped(*first), mapped(*last)));
        self.v6.iter().copied().chain(v4)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ranges.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

/// An address as one number: IPv4 as IPv6 writes it.
pub(crate) fn number_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => mapped(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn mapped(v4: u32) -> u128 {
    0xffff_0000_0000 | u128::from(v4)
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    spans(ranges, (address, address))
}

/// Whether one of the sorted, disjoint `ranges` has anything in common with `other`.
fn meets<T: Ord + Copy>(ranges: &[(T, T)], other: (T, T)) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= other.1);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| other.0 <= *last)
}

/// Whether one of the ranges holds all of `inner`.
fn spans<T: Ord + Copy>(ranges: &[(T, T)], inner: (T, T)) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= inner.0);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| inner.1 <= *last)
}

/// Reads a network or an address; one of IPv4 that is written as IPv6 is the one of IPv4.
///
/// # Errors
/// What is wrong, and the remedy.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, (String, String)> {
    let refused = |hint: String| Err((format!("`{text}` is not a network"), hint));
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(net), _) if net.trunc() == net => Ok(canonical(net)),
        (Ok(net), _) => refused(format!("the address has bits beyond its prefix: write {}", net.trunc())),
        (_, Ok(address)) => Ok(IpNet::from(address.to_canonical())),
        _ => refused("write a network or an address: 203.0.113.0/24, \"2001:db8::/32\" or 203.0.113.7".to_owned()),
    }
}

fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(address), Some(prefix)) => Ipv4Net::new(address, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}

/// A list of networks while it is read.
#[derive(Default)]
pub(super) struct Draft {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Draft {
    pub(super) fn add(&mut self, entry: &str) -> Result<(), (String, String)> {
        self.push(parse_network(entry)?);
        Ok(())
    }

    fn push(&mut self, network: IpNet) {
        match canonical(network) {
            IpNet::V4(net) => self.v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
            IpNet::V6(net) => self.v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
        }
    }

    pub(super) fn finish(self) -> Networks {
        Networks { v4: merged(self.v4, |last| last.checked_add(1)), v6: merged(self.v6, |last| last.checked_add(1)) }
    }
}

/// Sorted, and those that overlap or touch made one.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut out: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some(before) if next(before.1).is_none_or(|next| first <= next) => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out.into()
}
