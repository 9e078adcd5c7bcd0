//! `GET /status`: how the gateway is, in one document. Names and figures, no secret.

use std::time::Duration;

use attest_core::time::UnixTime;
use axum::Json;
use axum::extract::State;
use policies::Mode;
use serde_json::{Value, json};

use super::Admin;
use crate::feeds::Feed;
use crate::guard::State as GuardState;
use crate::route::Route;

pub(super) async fn status(State(admin): State<Admin>) -> Json<Value> {
    let runtime = &admin.runtime;
    let generation = runtime.generation.load_full();
    let last = admin.reloader.last();
    let upstreams = generation.upstreams.values().map(|upstream| {
        let admission = &upstream.admission;
        let [critical, attested, partial, unattested] = admission.inflight_by_class();
        json!({
            "name": &*upstream.name,
            "addresses": upstream.addresses(),
            "problem": upstream.resolved().problem,
            "concurrency": admission.limit(),
            "gradient": admission.gradient(),
            "waiting": admission.waiting(),
            "streams": admission.streams(),
            "uploads": admission.uploads(),
            "inflight": {
                "critical": critical, "attested": attested, "partial": partial, "unattested": unattested,
            },
        })
    });
    let steady = runtime.clock.steady();
    let age = |age: Option<Duration>| age.map(|age| age.as_secs());
    let key_set = generation.own.as_ref().map(|own| &own.key_sets).map(|key_sets| {
        json!({
            "number": key_sets.number(),
            "age_seconds": age(key_sets.age(steady)),
            "problem": key_sets.problem().text(),
        })
    });
    let revocations = generation.own.as_ref().map(|own| &own.revocations).map(|revocations| {
        let known = revocations.known();
        json!({
            "number": known.map(|(number, _)| number),
            "devices": known.map(|(_, devices)| devices),
            "age_seconds": age(revocations.age(steady)),
            "stale": revocations.is_stale(steady),
            "problem": revocations.problem().text(),
        })
    });
    let keys = generation.keys.load_full().map(|keys| {
        json!({
            "generation": keys.store.generation(),
            "taken_at": keys.taken.secs(),
            "disabled": crate::keys::disabled(&keys.store, runtime.clock.now()),
            "problem": admin.reloader.keys_problem(),
        })
    });
    let shared = runtime.shared.as_ref().map(|shared| json!({ "up": shared.is_up() }));
    let now = runtime.clock.now();
    let routes = generation.routes.iter().map(|told| route(told, now, steady));
    let orders = generation.own.as_ref().map(|own| {
        let orders = own.revocations.orders();
        let orders = orders.in_force(now).map(|order| {
            json!({
                "id": order.id,
                "kind": order.kind.as_str(),
                "routes": order.routes,
                "until": order.ends().secs(),
                "reason": order.reason,
                "by": order.by,
            })
        });
        orders.collect::<Vec<_>>()
    });
    let recorder = &runtime.observed.recorder;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "generation": generation.number,
        "taken_at": generation.taken.secs(),
        "last_good": admin.reloader.last_good().map(|taken| json!({ "taken_at": taken.secs() })),
        "uptime_seconds": runtime.epoch.elapsed().as_secs(),
        "draining": runtime.is_draining(),
        "last_reload": { "ok": last.ok, "error": last.error, "at": last.at.secs() },
        "connections": runtime.metrics.listeners.open(),
        "key_set": key_set,
        "revocations": revocations,
        "shared_state": shared,
        "keys": keys,
        "orders": orders,
        "records": { "file": recorder.writes(), "dropped": recorder.dropped() },
        "upstreams": upstreams.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
    }))
}

fn route(route: &Route, now: UnixTime, steady: Duration) -> Value {
    let watch = &route.watch;
    let mode = watch.mode(now);
    let guard = route.settings.guard.map(|asked| {
        let (regressed, active) = watch.guard.counted(steady);
        let state = watch.guard.state();
        let state = match state {
            GuardState::Watching if !watch.guard.is_watching(now) => "idle",
            state => state.as_str(),
        };
        json!({
            "state": state,
            "share": asked.share,
            "devices": asked.devices,
            "window_seconds": asked.window.as_secs(),
            "devices_regressed": regressed,
            "active": active,
            "tripped": watch.guard.trip().map(|trip| json!({
                "at": trip.at.secs(), "devices_regressed": trip.regressed, "active": trip.active,
            })),
        })
    });
    json!({
        "name": &*route.name,
        "upstream": &*route.upstream.name,
        "policy": route.settings.policy.name(),
        "enforcement": route.settings.policy.enforcement(),
        "key": route.key.as_ref().map(|key| {
            let in_use = key.in_use();
            json!({
                "name": &*key.name,
                "version": in_use.handle.version().get(),
                "fingerprint": in_use.handle.fingerprint().to_string(),
            })
        }),
        "mode": mode.mode.as_str(),
        "overruled": mode.mode != Mode::Normal,
        "order": mode.order,
        "guard": guard,
        "candidate": watch.shadow.as_ref().map(|shadow| shadow.told()),
    })
}
