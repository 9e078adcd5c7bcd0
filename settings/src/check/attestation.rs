//! `attestation:` checked.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf};

use attest_core::{feed::FeedPublicKey, target::Scheme};
use policies::yaml::Place;

use super::{Check, Kind, faults::DAY, listeners::moved, millis, secs};
use crate::{
    Overrides,
    file::{
        attestation::{RawAttestation, RawRemote, RawServe, RawServeAdmin, RawServeLimits},
        network::{Address, Url},
    },
    model::{AdminApi, Attestation, AttestationSource, FeedPin, RemoteSettings, ServeLimits, ServeSettings},
    shape::{Fault, Field},
};

impl Check<'_, '_> {
    /// `unlock`: the file of `keys.unlock`, where there is one: the service uses it where it names none of its own.
    pub(crate) fn attestation(
        &self,
        raw: &RawAttestation,
        owner: Place,
        unlock: Option<Option<&PathBuf>>,
        overrides: &Overrides,
    ) -> Option<Attestation> {
        let source = match (raw.serve.at, raw.remote.at) {
            (Some(_), Some(at)) => {
                let fault =
                    Fault::new("both `serve` and `remote`: the service either runs from this file or elsewhere");
                self.refuse(at, "two_sources", fault.hint("keep one of them"));
                None
            }
            (None, None) => {
                let fault = Fault::new("neither `serve` nor `remote`: nobody issues these tokens");
                self.refuse(owner, "missing_field", fault.hint("write serve: { path: /assay/v1 }, or remote: { url: …, gateway_token_file: …, feed_key_file: … }"));
                None
            }
            _ => None,
        };
        let source = source
            .or_else(|| {
                raw.serve
                    .good()
                    .and_then(|(serve, at)| self.serve(serve, at, unlock, overrides))
                    .map(AttestationSource::Serve)
            })
            .or_else(|| {
                raw.remote.good().and_then(|(remote, at)| self.remote(remote, at)).map(AttestationSource::Remote)
            });
        let mut apps = BTreeMap::new();
        for row in raw.apps.value.iter().flat_map(|table| &table.0) {
            if let Some(app) = self.app(row) {
                apps.insert(row.name.clone(), app);
            }
        }
        match (raw.serve.at, raw.apps.at) {
            (Some(at), None) => {
                let fault = Fault::new("no app can be attested: `apps` is missing");
                self.warn(at, "no_apps", fault.hint("write apps: { shop: { linux: { require: [measurement] } } }"));
            }
            (None, Some(at)) => {
                let fault = Fault::new("`apps` belongs to the service, which runs elsewhere");
                self.refuse(at, "does_nothing", fault.hint("take the lines out here"));
            }
            _ => {}
        }
        let example = "{ issuer: https://api.example.com/assay, audience: api.example.com }";
        let token = self.need(&raw.token, owner, "token", example).and_then(|(token, at)| self.token(token, at));
        Some(Attestation { source: source?, token: token?, apps })
    }

    fn serve(
        &self,
        raw: &RawServe,
        owner: Place,
        unlock: Option<Option<&PathBuf>>,
        overrides: &Overrides,
    ) -> Option<ServeSettings> {
        let tls = raw.tls.good().and_then(|(tls, at)| self.tls(&tls.certificate, &tls.key, at));
        let address = raw.address.good().map(|(Address(address), at)| {
            let address = moved(*address, overrides.service, overrides);
            if !address.ip().is_loopback() && raw.tls.is_absent() {
                let fault = Fault::new(
                    "the attestation API carries evidence and the gateways' token; not on loopback it needs TLS",
                );
                self.refuse(
                    at,
                    "plaintext_service",
                    fault.hint(format!("add tls: {{ certificate: …, key: … }}, or write 127.0.0.1:{}", address.port())),
                );
            }
            address
        });
        if let (Some(at), true) = (raw.tls.at, raw.address.is_absent()) {
            self.refuse(
                at,
                "does_nothing",
                Fault::new("`tls` here is that of `address`, and there is none")
                    .hint("take it out: the public listener has its own"),
            );
        }
        let gateway_token_file = self.token_file(&raw.gateway_token_file);
        let admin = raw.admin.good().and_then(|(admin, at)| self.admin_api(admin, at, overrides));
        let own = raw.unlock.good().map(|(raw, at)| {
            self.need(&raw.file, at, "file", "secrets/kek.key");
            self.unlock_file(&raw.file)
        });
        let unlock = match own {
            Some(own) => own,
            None if raw.unlock.is_absent() && unlock.is_none() => {
                let fault =
                    Fault::new("the service's own secrets are sealed, and nothing opens them: `unlock` is missing");
                self.refuse(
                    owner,
                    "missing_field",
                    fault.hint("write unlock: { file: secrets/kek.key }, here or under `keys`"),
                );
                None
            }
            None => unlock.flatten().cloned(),
        };
        Some(ServeSettings {
            host: raw.host.value.as_ref().map(|host| host.0.clone()),
            path: raw.path.value.as_ref().map_or_else(|| "/assay/v1".to_owned(), |path| path.0.clone()),
            address,
            tls,
            gateway_token_file,
            unlock: unlock?,
            quantum: self.span(&raw.quantum, "quantum", (millis(1), secs(1)), millis(25)),
            challenge_life: self.span(&raw.challenge_life, "challenge_life", (secs(5), secs(600)), secs(60)),
            limits: self.serve_limits(raw.limits.value.as_ref()),
            admin,
            // Of the whole file, routes included: `document` sets it.
            keys_stale: DAY,
        })
    }

    fn admin_api(&self, raw: &RawServeAdmin, owner: Place, overrides: &Overrides) -> Option<AdminApi> {
        let tls = raw.tls.good().and_then(|(tls, at)| self.tls(&tls.certificate, &tls.key, at));
        let (Address(address), at) = self.need(&raw.address, owner, "address", "127.0.0.1:9902")?;
        let address = moved(*address, None, overrides);
        if !address.ip().is_loopback() && raw.tls.is_absent() {
            let fault = Fault::new(
                "the admin API decides who passes, and its tokens travel with every request; not on loopback it needs TLS",
            );
            let hint = format!("add tls: {{ certificate: …, key: … }}, or write 127.0.0.1:{}", address.port());
            self.refuse(at, "plaintext_admin", fault.hint(hint));
        }
        Some(AdminApi { address, tls })
    }

    fn serve_limits(&self, raw: Option<&RawServeLimits>) -> ServeLimits {
        let absent = Field::ABSENT;
        let count = |field: Option<&Field<u64>>, name: &str, bounds, default| {
            NonZeroU32::new(self.count(field.unwrap_or(&absent), name, bounds, default)).unwrap_or(NonZeroU32::MIN)
        };
        ServeLimits {
            per_address_per_minute: count(
                raw.map(|raw| &raw.per_address_per_minute),
                "per_address_per_minute",
                (1, 1_000_000),
                120,
            ),
            concurrency: count(raw.map(|raw| &raw.concurrency), "concurrency", (1, 10_000), 64),
            open_challenges: count(raw.map(|raw| &raw.open_challenges), "open_challenges", (100, 10_000_000), 100_000),
        }
    }

    fn remote(&self, raw: &RawRemote, owner: Place) -> Option<RemoteSettings> {
        let url =
            self.need(&raw.url, owner, "url", "https://attest.example.com/assay/v1").and_then(|(Url(url), at)| {
                if url.scheme == Scheme::Http && !url.is_loopback() {
                    let fault =
                        Fault::new("key sets hold secrets, and the gateway's token goes along: not over plaintext");
                    self.refuse(
                        at,
                        "plaintext_remote",
                        fault.hint("write https://; for a private authority add ca_file:"),
                    );
                    return None;
                }
                let port = if url.port == url.scheme.default_port() { String::new() } else { format!(":{}", url.port) };
                Some(format!("{}://{}{port}{}", url.scheme, url.host, url.path))
            });
        self.need(&raw.gateway_token_file, owner, "gateway_token_file", "secrets/gateway.token");
        self.need(&raw.feed_key_file, owner, "feed_key_file", "secrets/feed.pub");
        let gateway_token_file = self.token_file(&raw.gateway_token_file);
        let feed = self.file(&raw.feed_key_file, Kind::Text, 4096).and_then(|(path, content, at)| {
            let text = content.line().unwrap_or_default().trim();
            if FeedPublicKey::parse(text).is_ok() {
                return Some((path, FeedPin(text.to_owned())));
            }
            let fault = Fault::new(format!("`{}` does not hold the public key of a feed", path.display()));
            self.refuse(
                at,
                "not_a_feed_key",
                fault.hint("copy feed.pub from the service's state folder: one line, `ed25519:…`"),
            );
            None
        });
        let ca_file = self.certificates(&raw.ca_file);
        let refresh = self.span(&raw.refresh, "refresh", (secs(1), secs(3600)), secs(10));
        let revocations_every =
            self.span(&raw.revocations_every, "revocations_every", (millis(500), secs(60)), secs(2));
        let (feed_key_file, feed_key) = feed?;
        Some(RemoteSettings {
            url: url?,
            gateway_token_file: gateway_token_file?,
            feed_key_file,
            feed_key,
            refresh,
            revocations_every,
            ca_file,
        })
    }
}
