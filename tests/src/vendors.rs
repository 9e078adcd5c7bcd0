//! A gateway in front of one vendor's API, by its preset. In: where the vendor's server is, and what of it may be called.
//! Out: a running house with one route to it, and the key sealed for it.

use std::ffi::OsStr;

use crate::command::assay_fed;
use crate::files::Files;
use crate::house::House;
use crate::wire::{self, Answer};

/// What stands behind the gateway.
pub struct Upstream<'a> {
    /// The preset.
    pub preset: &'a str,
    /// Where its API really is: a server of the test's own.
    pub url: &'a str,
    /// The secret that the vendor has issued.
    pub secret: &'a str,
    /// The preset's parameters.
    pub set: &'a [(&'a str, &'a str)],
    /// `operations:` of the route.
    pub operations: &'a str,
    /// `token.from` of the route.
    pub from: &'a str,
    /// Where the route is: `/vendor`, taken off on the way; `/` takes nothing off.
    pub at: &'a str,
    /// Paths that the key is put for instead of all that the preset has; empty: those.
    pub paths: &'a [&'a str],
}

impl<'a> Upstream<'a> {
    /// With every default: the token in its own header, below `/vendor`.
    #[must_use]
    pub fn new(preset: &'a str, url: &'a str, secret: &'a str) -> Self {
        Self { preset, url, secret, set: &[], operations: "all", from: "[Assay-Token]", at: "/vendor", paths: &[] }
    }
}

/// The house.
pub struct PresetHouse {
    /// All of it.
    pub house: House,
    at: String,
}

impl PresetHouse {
    /// Seals the key with `assay key put --preset`, adds upstream and route, and has the change taken.
    #[must_use]
    pub fn start(upstream: &Upstream<'_>) -> Self {
        let host = upstream.url.trim_start_matches("http://");
        let house = House::together(Files::new(), host, "a-key-that-nobody-asks-for-here");
        let config = house.config();
        let given: Vec<String> = upstream.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut words: Vec<&dyn AsRef<OsStr>> =
            vec![&"--json", &"key", &"put", &"preset", &"--preset", &upstream.preset, &"--to", &upstream.url];
        for value in &given {
            words.extend([&"--set" as &dyn AsRef<OsStr>, value]);
        }
        for path in upstream.paths {
            words.extend([&"--path" as &dyn AsRef<OsStr>, path]);
        }
        words.extend([&"-c" as &dyn AsRef<OsStr>, &config]);
        assay_fed(&words, upstream.secret.as_bytes()).ends(0);
        let below = upstream.at.trim_end_matches('/');
        house.change(|yaml| with_route(&yaml, upstream, below));
        Self { house, at: below.to_owned() }
    }

    /// What a client takes for the API's own URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.house.public, self.at)
    }

    /// A request with the token in its own header. `target` is as the vendor has it.
    #[must_use]
    pub fn call(&self, token: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("Assay-Token", token)];
        all.extend(headers);
        wire::call(&self.house.public, method, &format!("{}{target}", self.at), &all, body)
    }
}

fn with_route(yaml: &str, upstream: &Upstream<'_>, below: &str) -> String {
    let set: Vec<String> = upstream.set.iter().map(|(name, value)| format!("{name}: \"{value}\"")).collect();
    let set = if set.is_empty() { String::new() } else { format!("set: {{ {} }}, ", set.join(", ")) };
    let (preset, url) = (upstream.preset, upstream.url);
    let up = format!(
        "upstreams:\n  preset: {{ preset: {preset}, {set}url: \"{url}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}\n"
    );
    let strip = if below.is_empty() { String::new() } else { format!("    rewrite: {{ strip: {below} }}\n") };
    let (from, operations) = (upstream.from, upstream.operations);
    let route = format!(
        "routes:\n  preset:\n    match: {{ path: \"{below}/**\" }}\n{strip}    upstream: preset\n    key: preset\n    token: {{ from: {from} }}\n    operations: {operations}\n    ceilings: {{ device: {{ requests: 100000/1d }} }}\n    policy:\n      default: block\n      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]\n"
    );
    yaml.replacen("upstreams:\n", &up, 1).replacen("routes:\n", &route, 1)
}
