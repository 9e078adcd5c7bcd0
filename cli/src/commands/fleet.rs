//! `assay fleet`: all gateways in one table, and what about them needs somebody.
//!
//! In: what gateways told the service of themselves. Out: a row for each, and remarks on those that differ from the rest.

use std::collections::BTreeMap;

use crate::args::Fleet;
use crate::output::{End, Output, Stop};
use crate::verifier::{Verifier, all, stop};
use crate::words::{columns, lasting, moment};
use attest_admin::types::{Gateway, Order, OrderQuery, PageQuery};
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::version::Version;
use serde_json::json;

/// Runs `fleet`.
pub(crate) async fn run(args: &Fleet, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let gateways = all(async |after| verifier.gateways(&PageQuery { limit: None, after }).await).await.map_err(stop)?;
    let query = |after| OrderQuery { after, ..OrderQuery::default() };
    let orders = all(async |after| verifier.orders(&query(after)).await).await.map_err(stop)?;
    let now = SystemClock.now();
    let remarks = remarks(&gateways, &orders, now);
    output.answer(&json!({ "gateways": gateways, "remarks": remarks }), || {
        if gateways.is_empty() {
            return "no gateway has told of itself; one does within seconds of its start, if it asks this service for keys"
                .to_owned();
        }
        let rows: Vec<_> = gateways.iter().map(|gateway| row(gateway, now)).collect();
        let head = ["GATEWAY", "VERSION", "CONFIGURATION", "ORDERS", "REVOCATIONS", "KEYS", "UP", "REFUSED", "HEARD"];
        let told: Vec<_> = remarks.iter().map(|remark| format!("\n! {remark}")).collect();
        format!("{}{}", columns(head, &rows), told.concat())
    });
    Ok(End::Yes)
}

fn row(gateway: &Gateway, now: UnixTime) -> [String; 9] {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let orders: Vec<_> = gateway.orders.iter().map(ToString::to_string).collect();
    let refused = gateway.refused.saturating_add(gateway.limited).saturating_add(gateway.overloaded);
    [
        gateway.name.clone(),
        gateway.version.clone(),
        format!("{} (#{})", gateway.configuration, gateway.generation),
        if orders.is_empty() { "-".to_owned() } else { orders.join(",") },
        number(gateway.revocations),
        number(gateway.key_sets),
        lasting(gateway.uptime_secs),
        format!("{refused}/{}", gateway.requests),
        moment(gateway.last_seen, now),
    ]
}

/// A gateway hears of an order within its poll of revocations, and tells so within its next report.
const REACHED_AFTER_SECS: i64 = 20;

/// What needs somebody. A gateway that is silent is held to nothing else: it may be gone.
fn remarks(gateways: &[Gateway], orders: &[Order], now: UnixTime) -> Vec<String> {
    let mut remarks = Vec::new();
    for gateway in gateways.iter().filter(|gateway| gateway.silent && !was_restarted(gateway, gateways)) {
        remarks.push(format!("{} was last heard of {}", gateway.name, moment(gateway.last_seen, now)));
    }
    let heard: Vec<&Gateway> = gateways.iter().filter(|gateway| !gateway.silent).collect();
    let newest = heard.iter().filter_map(|gateway| Version::parse(&gateway.version)).max();
    for gateway in &heard {
        if newest.as_ref().is_some_and(|newest| Version::parse(&gateway.version).is_none_or(|own| own < *newest)) {
            remarks.push(format!("{} runs {}, and others a newer version", gateway.name, gateway.version));
        }
        if !gateway.reload_ok {
            let name = &gateway.name;
            remarks.push(format!("{name} refused its last configuration: `assay status` there says why"));
        }
        let reached = |order: &&Order| now.secs() >= order.since.saturating_add(REACHED_AFTER_SECS);
        for order in orders.iter().filter(|order| order.in_force).filter(reached) {
            if now.secs() < order.until && !gateway.orders.contains(&order.number) {
                remarks.push(format!("order {} has not reached {}", order.number, gateway.name));
            }
        }
    }
    let mut configurations: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for gateway in &heard {
        configurations.entry(&gateway.configuration).or_default().push(&gateway.name);
    }
    if configurations.len() > 1 {
        let told =
            configurations.iter().map(|(configuration, names)| format!("{configuration} at {}", names.join(", ")));
        remarks.push(format!("configurations differ: {}", told.collect::<Vec<_>>().join("; ")));
    }
    remarks
}

/// Whether another process of the same machine has come in its place since: names are host and process where none is configured.
fn was_restarted(silent: &Gateway, gateways: &[Gateway]) -> bool {
    let Some((host, _)) = silent.name.rsplit_once(':') else { return false };
    gateways.iter().any(|other| {
        !other.silent
            && other.first_seen >= silent.last_seen
            && other.name.rsplit_once(':').is_some_and(|(same, _)| same == host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest_admin::types::OrderKind;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn gateway(name: &str) -> Gateway {
        let facts = json!({
            "name": name, "version": "0.4.0", "generation": 1, "configuration": "a1", "reload_ok": true, "uptime_secs": 60,
            "orders": [], "routes": [], "more_routes": false, "requests": 9, "refused": 1, "limited": 0, "overloaded": 1,
            "first_seen": NOW.secs() - 60, "last_seen": NOW.secs() - 2, "silent": false,
        });
        serde_json::from_value(facts).unwrap_or_else(|why| unreachable!("{why}"))
    }

    fn order(number: u64, age: i64) -> Order {
        Order {
            number,
            kind: OrderKind::Lockdown,
            routes: Vec::new(),
            all_routes: true,
            since: NOW.secs() - age,
            until: NOW.secs() + 600,
            reason: "r".to_owned(),
            by: "ann".to_owned(),
            extend_by_secs: None,
            ended: None,
            ended_by: None,
            in_force: true,
        }
    }

    #[test]
    fn a_fleet_of_one_mind_needs_nobody() {
        assert!(remarks(&[gateway("a"), gateway("b")], &[], NOW).is_empty());
        assert!(remarks(&[gateway("a")], &[order(7, 19)], NOW).is_empty(), "it may be on its way");
    }

    #[test]
    fn who_was_restarted_in_place_is_not_missed() {
        let silent = |name: &str, last_seen| Gateway { silent: true, last_seen, ..gateway(name) };
        let before = NOW.secs() - 120;
        assert!(remarks(&[silent("h:1", before), gateway("h:2")], &[], NOW).is_empty());
        for others in [
            vec![gateway("other:2")],
            vec![gateway("h")],
            vec![Gateway { first_seen: before - 1, ..gateway("h:2") }],
            vec![Gateway { silent: true, ..gateway("h:2") }],
        ] {
            let gateways = [vec![silent("h:1", before)], others].concat();
            assert!(remarks(&gateways, &[], NOW).iter().any(|told| told.starts_with("h:1 was last heard of")));
        }
    }

    #[test]
    fn who_differs_is_pointed_out() {
        let told = |gateway: Gateway, orders: &[Order]| remarks(&[self::gateway("a"), gateway], orders, NOW).join("\n");
        assert!(told(Gateway { version: "0.3.9".into(), ..gateway("b") }, &[]).contains("b runs 0.3.9"));
        assert!(told(Gateway { reload_ok: false, ..gateway("b") }, &[]).contains("b refused its last"));
        let differs = told(Gateway { configuration: "b2".into(), ..gateway("b") }, &[]);
        assert_eq!(differs, "configurations differ: a1 at a; b2 at b");
        let late = told(Gateway { orders: vec![7], ..gateway("b") }, &[order(7, 20)]);
        assert_eq!(late, "order 7 has not reached a");
        let silent = Gateway { silent: true, version: "0.1.0".into(), configuration: "z".into(), ..gateway("b") };
        assert_eq!(told(silent, &[]), "b was last heard of 2 s ago");
    }

    #[test]
    fn a_row_tells_what_was_refused_of_how_many() {
        let row = row(&Gateway { orders: vec![3, 7], ..gateway("edge:1") }, NOW);
        assert_eq!((row[0].as_str(), row[3].as_str(), row[7].as_str()), ("edge:1", "3,7", "2/9"));
    }
}
