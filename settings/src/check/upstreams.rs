//! `upstreams:` checked.

use attest_core::target::Scheme;
use keystore::Trust;
use policies::yaml::Place;

mod preset;

use super::{Check, Kind, millis, secs};
use crate::{
    file::{
        network::{Network, UrlParts, may_be_listed_as_private},
        upstreams::{Limit, RawAdaptive, RawConcurrency, RawQueue, RawTimeouts, RawUpstream, Seats},
    },
    model::{AdaptiveLimit, Concurrency, Queue, Timeouts, UpstreamSettings},
    shape::{Either, Fault, Field},
};

impl Check<'_, '_> {
    pub(crate) fn upstream(&self, name: &str, raw: &RawUpstream, owner: Place) -> Option<UpstreamSettings> {
        let private_addresses = self.private_addresses(&raw.private_addresses);
        let danger = self.flag(&raw.danger_plaintext_loopback, false);
        let concurrency = self.concurrency(&raw.concurrency);
        let reserve = self.reserve(&raw.reserve, concurrency);
        let queue = self.queue(raw.queue.value.as_ref(), concurrency);
        let streams = self.count(&raw.streams, "streams", (1, 1_000_000), concurrency.most().saturating_mul(4));
        let timeouts = raw.timeouts.good().map_or_else(Timeouts::default, |(timeouts, _)| self.timeouts(timeouts));
        let ca_file = self.certificates(&raw.ca_file);
        let trust = match (&ca_file, self.file(&raw.ca_file, Kind::Live, usize::MAX)) {
            (Some(_), Some((_, content, _))) => Trust::in_private_roots(&content.bytes),
            _ => Trust::PublicRoots,
        };
        let (preset, url, at) = self.preset_and_url(raw, owner)?;
        let url = &url;
        self.reachable(url, at, danger, &private_addresses);
        if let (true, Some(at), Scheme::Https) = (danger, raw.danger_plaintext_loopback.at, url.scheme) {
            let fault = Fault::new("`danger_plaintext_loopback` does nothing with https");
            self.refuse(at, "does_nothing", fault.hint("take the line out"));
        }
        for (name, at) in [("ca_file", raw.ca_file.at), ("http2", raw.http2.at)] {
            if let (Some(at), Scheme::Http) = (at, url.scheme) {
                self.refuse(
                    at,
                    "does_nothing",
                    Fault::new(format!("`{name}` does nothing with http")).hint("take the line out"),
                );
            }
        }
        Some(UpstreamSettings {
            name: name.to_owned(),
            preset,
            scheme: url.scheme,
            host: url.host.clone(),
            port: url.port,
            private_addresses,
            danger_plaintext_loopback: danger,
            concurrency,
            reserve,
            queue,
            streams,
            timeouts,
            ca_file,
            trust,
            http2: self.flag(&raw.http2, false),
        })
    }

    /// Networks that an operator lists as private, each of them one.
    pub(crate) fn private_addresses(&self, field: &Field<Vec<Field<Network>>>) -> Vec<ipnet::IpNet> {
        let mut private_addresses = Vec::new();
        for (Network(net), at) in field.value.iter().flatten().filter_map(Field::good) {
            if !may_be_listed_as_private(net) {
                let fault = Fault::new(format!("`{net}` is not a private network that can be listed"));
                self.refuse(at, "not_private", fault.hint(
                    "name a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, 100.64.0.0/10, ::1/128 or fc00::/7 without metadata addresses; public addresses need no entry",
                ));
            }
            private_addresses.push(*net);
        }
        private_addresses
    }

    /// Plaintext only to loopback and only when it was typed; an address that the dialler would refuse is refused here.
    pub(crate) fn reachable(&self, url: &UrlParts, at: Place, danger: bool, private: &[ipnet::IpNet]) {
        if url.scheme == Scheme::Http {
            if !url.is_loopback() {
                let fault = Fault::new(format!(
                    "`http://{}` is plaintext: only this machine's own services may be reached without TLS",
                    url.host
                ));
                self.refuse(
                    at,
                    "plaintext_upstream",
                    fault.hint("write https://; for a private authority add ca_file:"),
                );
            } else if !danger {
                let fault =
                    Fault::new("plaintext, even to loopback, has to be asked for: whatever else runs here may read it");
                self.refuse(
                    at,
                    "plaintext_upstream",
                    fault.hint("add danger_plaintext_loopback: true, or write https://"),
                );
            }
            return;
        }
        if url.host == "localhost" && !private.iter().any(|listed| listed.addr().is_loopback()) {
            let fault = Fault::new("`localhost` is a private address, and these are not dialled unless listed");
            self.refuse(at, "private_upstream", fault.hint("add private_addresses: [127.0.0.0/8]"));
        }
        let Some(address) = url.literal() else { return };
        let net = ipnet::IpNet::from(address);
        if private.iter().any(|listed| listed.contains(&address)) {
            return;
        }
        if may_be_listed_as_private(&net) {
            let fault =
                Fault::new(format!("`{address}` is a private address, and these are not dialled unless listed"));
            self.refuse(at, "private_upstream", fault.hint(format!("add private_addresses: [{net}]")));
        } else if address.is_unspecified() || address.is_multicast() || is_link_local(address) {
            let fault = Fault::new(format!("`{address}` is not the address of an API"));
            self.refuse(
                at,
                "private_upstream",
                fault.hint("link-local addresses, where metadata services live, can't be listed either"),
            );
        }
    }

    fn concurrency(&self, raw: &Field<Either<Seats, RawConcurrency>>) -> Concurrency {
        match raw.good() {
            None => Concurrency::default(),
            Some((Either::Plain(Seats(Limit::Fixed(seats))), _)) => Concurrency::Fixed(*seats),
            Some((Either::Plain(Seats(Limit::Adaptive)), _)) => Concurrency::Adaptive(AdaptiveLimit::default()),
            Some((Either::Structured(raw), at)) => {
                let bounds = self.need(&raw.adaptive, at, "adaptive", "{ min: 4, max: 1000 }");
                Concurrency::Adaptive(bounds.map_or_else(AdaptiveLimit::default, |(raw, at)| self.adaptive(raw, at)))
            }
        }
    }

    fn adaptive(&self, raw: &RawAdaptive, owner: Place) -> AdaptiveLimit {
        const BOUNDS: (u32, u32) = (1, 100_000);
        let default = AdaptiveLimit::default();
        let min = self.count(&raw.min, "min", BOUNDS, default.min);
        let max = self.count(&raw.max, "max", BOUNDS, default.max.max(min));
        if min > max {
            let fault = Fault::new(format!("`min` is {min} and `max` is {max}: nothing lies between them"));
            self.refuse(raw.max.at.or(raw.min.at).unwrap_or(owner), "out_of_bounds", fault.hint("min <= start <= max"));
            return default;
        }
        let start = default.start.clamp(min, max);
        AdaptiveLimit { min, max, start: self.count(&raw.start, "start", (min, max), start) }
    }

    fn reserve(&self, field: &Field<u64>, concurrency: Concurrency) -> u32 {
        let least = concurrency.least();
        if least == 1 {
            // One seat, if only at times: nothing can be kept apart.
            if let Some((_, at)) = field.good() {
                let fault = Fault::new("of one seat none can be reserved");
                self.refuse(
                    at,
                    "out_of_bounds",
                    fault.hint(match concurrency {
                        Concurrency::Fixed(_) => "take the line out, or raise concurrency",
                        Concurrency::Adaptive(_) => "take the line out, or raise min",
                    }),
                );
            }
            return 0;
        }
        let default = (concurrency.at_start() / 16).max(1).min(least - 1);
        self.count(field, "reserve", (1, least - 1), default)
    }

    fn queue(&self, raw: Option<&RawQueue>, concurrency: Concurrency) -> Queue {
        let default = Queue::beside(concurrency);
        let Some(raw) = raw else { return default };
        let deadline = self.span(&raw.deadline, "deadline", (millis(10), secs(60)), default.deadline);
        let length = self.count(&raw.length, "length", (1, 1_000_000), default.length);
        Queue {
            deadline,
            length,
            spare_wait: self.span(
                &raw.spare_wait,
                "spare_wait",
                (millis(1), deadline),
                default.spare_wait.min(deadline),
            ),
            spare_length: self.count(&raw.spare_length, "spare_length", (1, length), default.spare_length.min(length)),
        }
    }

    fn timeouts(&self, raw: &RawTimeouts) -> Timeouts {
        let default = Timeouts::default();
        Timeouts {
            connect: self.span(&raw.connect, "connect", (millis(10), secs(60)), default.connect),
            read: self.span(&raw.read, "read", (millis(10), secs(3600)), default.read),
            idle: self.span(&raw.idle, "idle", (secs(1), secs(3600)), default.idle),
        }
    }
}

fn is_link_local(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => address.is_link_local(),
        std::net::IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some() || net_is_metadata(address)
        }
    }
}

fn net_is_metadata(address: std::net::Ipv6Addr) -> bool {
    address == crate::file::network::METADATA_V6
}
