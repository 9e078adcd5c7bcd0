//! Whom a limit counts.

use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::digest;
use policies::{Limit, Per, Permit};

use crate::route::Route;

/// One device, network, app or route; or everybody.
#[derive(Debug, Hash, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    Device(&'a str, &'a str),
    Address(&'a str, IpAddr),
    App(&'a str, &'a str),
    Route(&'a str),
    All,
}

impl<'a> Subject<'a> {
    /// Whom `per` counts in this request.
    pub(crate) fn of(per: Per, permit: &'a Permit, route: &'a Route, address: Option<IpAddr>) -> Self {
        let verified = permit.verified();
        let name = &*route.settings.name;
        let network = || Self::Address(name, network(address));
        match per {
            // A device id in software is free: a script makes a million. Only where platform Evidence
            // vouches for its key does a device count by itself, else its network does.
            Per::Device => match verified.device() {
                Some(device) if verified.kinds().has_platform() => Self::Device(name, device),
                _ => network(),
            },
            Per::Address => network(),
            Per::App => {
                verified.claims().and_then(|claims| claims.app()).map_or_else(network, |app| Self::App(name, app))
            }
            // Neither users nor callers are known here: their network counts, never nobody.
            Per::User | Per::Caller | Per::Token => network(),
            Per::Route | Per::Key => Self::Route(name),
            Per::All => Self::All,
        }
    }

    /// Its name in a state that machines share: the same on each of them, and no way back to a device or an address.
    pub(crate) fn shared_key(&self, limit: &Limit) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            // With its length: no two lists of parts are one text.
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(b"assay limit");
        part(limit.name.as_bytes());
        part(limit.per.as_str().as_bytes());
        match self {
            Self::Device(route, device) => [b"device", route.as_bytes(), device.as_bytes()].map(&mut part),
            Self::App(route, app) => [b"app", route.as_bytes(), app.as_bytes()].map(&mut part),
            Self::Address(route, IpAddr::V4(v4)) => [b"v4", route.as_bytes(), &v4.octets()].map(&mut part),
            Self::Address(route, IpAddr::V6(v6)) => [b"v6", route.as_bytes(), &v6.octets()].map(&mut part),
            Self::Route(route) => [b"route", route.as_bytes(), b""].map(&mut part),
            Self::All => [b"all".as_slice(), b"", b""].map(&mut part),
        };
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

/// An address as limits count it: IPv6 by /64, since that is what one subscriber has.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}
