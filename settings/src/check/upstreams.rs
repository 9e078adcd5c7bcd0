//! `upstreams:` checked.

use attest_core::target::Scheme;
use keystore::Trust;
use policies::yaml::Place;

use super::{Check, Kind, millis, secs};
use crate::{
    file::{
        network::{Network, Origin, UrlParts, may_be_listed_as_private},
        upstreams::{Concurrency as Seats, RawQueue, RawTimeouts, RawUpstream},
    },
    model::{Concurrency, Queue, Timeouts, UpstreamSettings},
    shape::{Fault, Field},
};

impl Check<'_, '_> {
    pub(crate) fn upstream(&self, name: &str, raw: &RawUpstream, owner: Place) -> Option<UpstreamSettings> {
        let mut private_addresses = Vec::new();
        for (Network(net), at) in raw.private_addresses.value.iter().flatten().filter_map(Field::good) {
            if !may_be_listed_as_private(net) {
                let fault = Fault::new(format!("`{net}` is not a private network that can be listed"));
                self.refuse(at, "not_private", fault.hint(
                    "name a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, 100.64.0.0/10, ::1/128 or fc00::/7 without metadata addresses; public addresses need no entry",
                ));
            }
            private_addresses.push(*net);
        }
        let danger = self.flag(&raw.danger_plaintext_loopback, false);
        let (concurrency, reserve) = self.seats(raw);
        let queue = self.queue(raw.queue.value.as_ref(), Concurrency::Fixed(concurrency));
        let timeouts = raw.timeouts.good().map_or_else(Timeouts::default, |(timeouts, _)| self.timeouts(timeouts));
        let ca_file = self.certificates(&raw.ca_file);
        let trust = match (&ca_file, self.file(&raw.ca_file, Kind::Live, usize::MAX)) {
            (Some(_), Some((_, content, _))) => Trust::in_private_roots(&content.bytes),
            _ => Trust::PublicRoots,
        };
        let (Origin(url), at) = self.need(&raw.url, owner, "url", "https://api.example.com")?;
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
            scheme: url.scheme,
            host: url.host.clone(),
            port: url.port,
            private_addresses,
            danger_plaintext_loopback: danger,
            concurrency: Concurrency::Fixed(concurrency),
            reserve,
            queue,
            streams: concurrency.saturating_mul(4),
            timeouts,
            ca_file,
            trust,
            http2: self.flag(&raw.http2, false),
        })
    }

    /// Plaintext only to loopback and only when it was typed; an address that the dialler would refuse is refused here.
    fn reachable(&self, url: &UrlParts, at: Place, danger: bool, private: &[ipnet::IpNet]) {
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

    fn seats(&self, raw: &RawUpstream) -> (u32, u32) {
        let concurrency = raw.concurrency.good().map_or(256, |(Seats(seats), _)| *seats);
        let default = (concurrency / 16).max(1).min(concurrency.saturating_sub(1));
        if concurrency == 1 {
            // One seat: nothing can be kept apart.
            if let Some((_, at)) = raw.reserve.good() {
                self.refuse(
                    at,
                    "out_of_bounds",
                    Fault::new("of one seat none can be reserved").hint("take the line out, or raise concurrency"),
                );
            }
            return (1, 0);
        }
        (concurrency, self.count(&raw.reserve, "reserve", (1, concurrency - 1), default))
    }

    fn queue(&self, raw: Option<&RawQueue>, concurrency: Concurrency) -> Queue {
        let default = Queue::beside(concurrency);
        raw.map_or(default, |raw| Queue {
            deadline: self.span(&raw.deadline, "deadline", (millis(10), secs(60)), default.deadline),
            length: self.count(&raw.length, "length", (1, 1_000_000), default.length),
            ..default
        })
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
