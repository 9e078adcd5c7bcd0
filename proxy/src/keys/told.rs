//! `GET /keys`: what is in the store, what of it is in use, and how often. Never a value.

use std::sync::Arc;

use attest_core::time::UnixTime;
use keystore::Keystore;
use keystore::store::KeyInfo;
use serde_json::{Value, json};

use super::{LiveKey, VersionUses};
use crate::generation::Generation;

/// The whole document. Of a key that no route names nothing was counted.
pub(crate) fn told(generation: &Generation) -> Value {
    let keys = generation.keys.load_full();
    let Some(keys) = keys.as_deref() else { return json!({ "store": null, "keys": [] }) };
    let list = keys.store.list().iter().map(|key| {
        let live = generation.live.get(&key.name);
        let routes = generation.routes.iter().filter(|route| route.key.as_ref().is_some_and(|of| *of.name == key.name));
        json!({
            "name": key.name,
            "disabled": key.disabled,
            "routes": routes.map(|route| &*route.name).collect::<Vec<_>>(),
            "versions": key.versions.iter().map(|version| {
                let uses = live.and_then(|live| uses(live, version.version.get(), &version.fingerprint));
                json!({
                    "version": version.version,
                    "state": version.state,
                    "fingerprint": version.fingerprint,
                    "hosts": version.bounds.hosts,
                    "uses": uses.as_ref().map_or(0, |uses| uses.uses()),
                    "last_use": uses.as_ref().and_then(|uses| uses.last()).map(|last| last.secs()),
                    "refused": uses.as_ref().map_or(0, |uses| uses.refused()),
                    "last_refused": uses.and_then(|uses| uses.refused_last()).map(|last| last.secs()),
                })
            }).collect::<Vec<_>>(),
        })
    });
    let list: Vec<Value> = list.collect();
    json!({
        "store": { "id": keys.store.id(), "generation": keys.store.generation(), "taken_at": keys.taken.secs() },
        "keys": list,
    })
}

/// The names of the keys that are switched off now.
pub(crate) fn disabled(store: &Keystore, now: UnixTime) -> Vec<&str> {
    let off = |key: &&KeyInfo| key.disabled.is_some_and(|disabled| disabled.is_in_force(now));
    store.list().iter().filter(off).map(|key| key.name.as_str()).collect()
}

fn uses(live: &LiveKey, version: u32, fingerprint: &str) -> Option<Arc<VersionUses>> {
    let in_use = live.in_use();
    let same = |uses: &&Arc<VersionUses>| uses.version.get() == version && *uses.fingerprint == *fingerprint;
    in_use.uses.iter().find(same).cloned()
}
