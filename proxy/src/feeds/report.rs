//! How this gateway is, told to the service, so that operators see the whole fleet in one place.
//!
//! In: the running state. Out: [`GatewayFacts`], every few seconds. Names, numbers and fixed words alone: no text of a
//! configuration, an error or a client is in reach. A service that is away, or too old to listen, costs nothing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use attest_core::feed::{GatewayCounts, GatewayFacts, MAX_REPORTED_ROUTES, is_gateway_name};
use tokio::time::sleep;

use super::OwnFeeds;
use crate::reload::Reloader;
use crate::runtime::Runtime;

/// Time between two reports.
const EVERY: Duration = Duration::from_secs(5);
/// Bytes of the configuration's digest that are told: enough to tell configurations apart.
const DIGEST_BYTES: usize = 8;

/// Tells until the process ends.
pub(crate) async fn report(runtime: Weak<Runtime>, reloader: Weak<Reloader>) {
    let name = name();
    let mut was_told = true;
    loop {
        let Some((own, facts)) = facts(&runtime, &reloader, &name) else { return };
        if let Some(own) = own {
            let told = own.revocations.source().report(&facts).await;
            match &told {
                Err(why) if was_told => tracing::info!("the service can't be told how this gateway is: {why}"),
                _ => {}
            }
            was_told = told.is_ok();
        }
        sleep(EVERY).await;
    }
}

/// Whom to tell, and what; nothing once the gateway has ended.
fn facts(
    runtime: &Weak<Runtime>,
    reloader: &Weak<Reloader>,
    name: &str,
) -> Option<(Option<Arc<OwnFeeds>>, GatewayFacts)> {
    let (runtime, reloader) = (runtime.upgrade()?, reloader.upgrade()?);
    let generation = runtime.generation.load_full();
    let own = generation.own.clone();
    let (last, now) = (reloader.last(), runtime.clock.now());
    let orders = own.as_ref().map(|own| own.revocations.orders().in_force(now).map(|order| order.id).collect());
    let routes = generation.routes.iter().map(|route| route.name.to_string());
    let facts = GatewayFacts {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: generation.number,
        configuration: short(&generation.settings.digest),
        reload_ok: last.ok,
        reload_error: (!last.ok).then(|| "refused".to_owned()),
        uptime_secs: runtime.epoch.elapsed().as_secs(),
        orders: orders.unwrap_or_default(),
        revocations: own.as_ref().and_then(|own| own.revocations.known()).map(|(number, _)| number),
        key_sets: own.as_ref().and_then(|own| own.key_sets.number()),
        routes: routes.take(MAX_REPORTED_ROUTES).collect(),
        more_routes: generation.routes.len() > MAX_REPORTED_ROUTES,
        counts: counts(&generation.routes),
    };
    Some((own, facts))
}

/// The beginning of a digest, in hexadecimal.
fn short(digest: &[u8; 32]) -> String {
    digest.iter().take(DIGEST_BYTES).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What was counted on the routes there are.
fn counts(routes: &[Arc<crate::route::Route>]) -> GatewayCounts {
    let mut counts = GatewayCounts::default();
    for route in routes {
        let [allowed, deprioritized, blocked, limited, shed, no_user, not_allowed] = route.meters.requests.by_action();
        counts.requests += allowed + deprioritized + blocked + limited + shed + no_user + not_allowed;
        counts.refused += blocked + no_user;
        counts.limited += limited;
        counts.overloaded += shed;
    }
    counts
}

/// Host and process: what tells this gateway from others, until it is started anew.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String = host.trim().chars().filter(good).take(MAX_HOST).collect();
    let name = format!("{host}:{}", std::process::id());
    if is_gateway_name(&name) { name } else { format!("gateway:{}", std::process::id()) }
}

/// Characters of the host's name that are told.
const MAX_HOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_has_a_name_that_the_service_takes() {
        assert!(is_gateway_name(&name()) && name().ends_with(&std::process::id().to_string()));
    }
}
