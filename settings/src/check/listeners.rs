//! `listeners:` checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use policies::yaml::Place;

use super::{Check, millis, secs};
use crate::{
    Overrides,
    file::{
        listeners::{RawAdmin, RawConnectionLimits, RawListeners, RawPublic},
        network::{Address, Network},
    },
    model::{AdminListener, ConnectionLimits, Listeners, PublicListener},
    shape::{Fault, Field},
};

impl Check<'_, '_> {
    pub(crate) fn listeners(&self, raw: &RawListeners, overrides: &Overrides) -> Listeners {
        let public = raw.public.good().and_then(|(raw, at)| self.public(raw, at, overrides));
        let probe = raw.probe.good().and_then(|(raw, at)| {
            let (Address(address), _) = self.need(&raw.address, at, "address", "0.0.0.0:8081")?;
            Some(moved(*address, overrides.probe, overrides))
        });
        let admin = raw.admin.good().and_then(|(raw, at)| self.admin(raw, at, overrides));
        let taken = [
            ("public", public.as_ref().map(|listener| listener.address), raw.public.at),
            ("probe", probe, raw.probe.at),
            ("admin", admin.as_ref().map(|listener| listener.address), raw.admin.at),
        ];
        for (index, (name, address, at)) in taken.iter().enumerate() {
            let same = taken.iter().take(index).find(|(_, other, _)| overlap(*address, *other));
            if let (Some((other, ..)), Some(at)) = (same, at) {
                let fault = Fault::new(format!("`{name}` and `{other}` listen on the same port"));
                self.refuse(*at, "same_port", fault.hint("give each listener a port of its own"));
            }
        }
        Listeners { public, probe, admin }
    }

    fn public(&self, raw: &RawPublic, owner: Place, overrides: &Overrides) -> Option<PublicListener> {
        let tls = raw.tls.good().and_then(|(tls, at)| self.tls(&tls.certificate, &tls.key, at));
        let client_ca_file = raw.tls.good().and_then(|(tls, _)| self.certificates(&tls.client_ca_file));
        let mut trusted_proxies = Vec::new();
        for (Network(net), at) in raw.trusted_proxies.value.iter().flatten().filter_map(Field::good) {
            if net.prefix_len() == 0 {
                let fault = Fault::new(format!("`{net}` is everybody: each client could name its own address"));
                self.refuse(
                    at,
                    "everybody_trusted",
                    fault.hint("name the networks of your proxies, or take the line out"),
                );
            }
            trusted_proxies.push(*net);
        }
        let h2c = self.flag(&raw.h2c, false);
        if let (true, Some(at), false) = (h2c, raw.h2c.at, raw.tls.is_absent()) {
            let fault = Fault::new("`h2c` is HTTP/2 without TLS, and this listener has TLS");
            self.refuse(at, "h2c_with_tls", fault.hint("take the line out: with TLS, HTTP/2 is negotiated"));
        }
        let limits =
            raw.limits.good().map_or_else(ConnectionLimits::default, |(limits, _)| self.connection_limits(limits));
        let (Address(address), at) = self.need(&raw.address, owner, "address", "0.0.0.0:8443")?;
        let address = moved(*address, overrides.public, overrides);
        if raw.tls.is_absent() && !address.ip().is_loopback() && trusted_proxies.is_empty() {
            let fault = Fault::new("clients reach this listener without TLS: tokens can be read and used on the way");
            self.warn(
                at,
                "plaintext_listener",
                fault.hint("add tls: { certificate: …, key: … }, or name the proxy that speaks TLS in trusted_proxies"),
            );
        }
        Some(PublicListener { address, tls, client_ca_file, trusted_proxies, h2c, limits })
    }

    fn admin(&self, raw: &RawAdmin, owner: Place, overrides: &Overrides) -> Option<AdminListener> {
        let token_file = self.token_file(&raw.token_file);
        let (Address(address), at) = self.need(&raw.address, owner, "address", "127.0.0.1:9901")?;
        let address = moved(*address, overrides.admin, overrides);
        if !address.ip().is_loopback() {
            if raw.token_file.is_absent() {
                let fault =
                    Fault::new("the admin listener can reload and tells everything; not on loopback it needs a token");
                self.refuse(
                    at,
                    "open_admin",
                    fault.hint(format!("write 127.0.0.1:{}, or add token_file: secrets/admin.token", address.port())),
                );
            } else {
                let fault = Fault::new("the admin listener has no TLS: its token can be read on the way");
                self.warn(at, "plaintext_admin", fault.hint("let nobody but your own machines reach this port"));
            }
        }
        Some(AdminListener { address, token_file })
    }

    fn connection_limits(&self, raw: &RawConnectionLimits) -> ConnectionLimits {
        let default = ConnectionLimits::default();
        let long = (secs(1), secs(3600));
        ConnectionLimits {
            connections: self.count(&raw.connections, "connections", (1, 1_000_000), default.connections),
            head_bytes: self
                .size(&raw.head, "head", (1 << 10, 1 << 18))
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(default.head_bytes),
            head_timeout: self.span(&raw.head_timeout, "head_timeout", (millis(100), secs(300)), default.head_timeout),
            idle_timeout: self.span(&raw.idle_timeout, "idle_timeout", long, default.idle_timeout),
            body_timeout: self.span(&raw.body_timeout, "body_timeout", long, default.body_timeout),
            write_timeout: self.span(&raw.write_timeout, "write_timeout", long, default.write_timeout),
            drain: self.span(&raw.drain, "drain", long, default.drain),
        }
    }
}

/// The address after what the command line says: another one altogether, and never off loopback with `--dev`.
pub(crate) fn moved(address: SocketAddr, instead: Option<SocketAddr>, overrides: &Overrides) -> SocketAddr {
    let mut address = instead.unwrap_or(address);
    if overrides.dev && !address.ip().is_loopback() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

/// Whether two listeners can't both have what they ask for. Port 0 is another one each time.
pub(crate) fn overlap(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}
