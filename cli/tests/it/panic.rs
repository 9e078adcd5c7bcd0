//! `assay panic` and `assay fleet`: orders to gateways.

use super::Folder;
use serde_json::json;

#[test]
fn an_order_without_end_reason_or_routes_is_wrong_usage() {
    let folder = Folder::begun();
    let order = |more: &[&str]| folder.here(&[&["panic", "lockdown"], more].concat(), 2);
    order(&["--route", "paid", "--reason", "r"]);
    order(&["--route", "paid", "--for", "1h"]);
    let (_, said) = order(&["--for", "1h", "--reason", "r"]);
    assert!(said.contains("--route <ROUTE>|--all"), "{said}");
    order(&["--all", "--route", "paid", "--for", "1h", "--reason", "r"]);
    order(&["--all", "--for", "0h", "--reason", "r"]);
    folder.here(&["panic", "extend-tokens", "--all", "--for", "1h", "--reason", "r"], 2);
    folder.here(&["panic", "end", "0", "--reason", "r"], 2);
    assert_eq!(folder.json(&["panic", "list"], 0)["items"], json!([]));
}

#[test]
fn an_order_out_of_bounds_changes_nothing() {
    let folder = Folder::begun();
    for bad in [
        &["panic", "lockdown", "--all", "--for", "8d", "--reason", "r"][..],
        &["panic", "lockdown", "--all", "--for", "1h", "--reason", ""],
        &["panic", "lockdown", "--route", "Paid", "--for", "1h", "--reason", "r"],
        &["panic", "extend-tokens", "--by", "25h", "--all", "--for", "1h", "--reason", "r"],
    ] {
        folder.here(bad, 2);
    }
    folder.here(&["panic", "end", "7", "--reason", "there is none"], 1);
    assert_eq!(folder.json(&["panic", "list", "--over"], 0)["items"], json!([]));
}

#[test]
fn a_broken_file_keeps_nobody_from_giving_orders() {
    let folder = Folder::begun();
    folder.change("gw/assay.yaml", "127.0.0.1:9901", "127.0.0.1:1");
    let path = folder.at("gw/assay.yaml");
    let settings = settings::load(&path, &settings::Overrides::default()).unwrap().settings;
    let good = std::fs::read(&path).unwrap();
    folder.change("gw/assay.yaml", "upstream: api", "upstream: apy");
    let order = ["panic", "lockdown", "--route", "api", "--for", "1h", "--reason", "r"];
    let (_, said) = folder.here(&order, 1);
    assert!(said.contains("there is no upstream `apy`"), "nothing ran here before: {said}");

    let now = attest_core::time::UnixTime::from_secs(1_795_000_000);
    assert!(proxy::LastGood::of(&settings.state.dir).keep(&settings.bundle, now).unwrap());
    let (_, said) = folder.here(&order, 0);
    assert!(said.contains("gw/assay.yaml is broken") && said.contains("ago"), "{said}");
    // The gateway is not running; what counts is that it was asked where the configuration before says.
    let (_, said) = folder.here(&["status"], 3);
    assert!(said.contains("127.0.0.1:1 did not answer"), "{said}");
    std::fs::write(&path, good).unwrap();
    let (list, said) = folder.here(&["panic", "list"], 0);
    assert!(list.contains("lockdown") && !said.contains("broken"), "{list}{said}");
}

#[test]
fn an_order_is_given_listed_and_ended_once() {
    let folder = Folder::begun();
    let given =
        folder.json(&["panic", "lockdown", "--route", "paid", "--for", "2h", "--reason", "credential stuffing"], 0);
    assert_eq!((&given["order"]["number"], &given["order"]["routes"]), (&json!(1), &json!(["paid"])));
    assert_eq!(given["routes_nowhere"], json!([]), "no gateway has told anything yet");
    folder.here(&["panic", "extend-tokens", "--by", "30m", "--all", "--for", "1h", "--reason", "r"], 0);
    let list = folder.here(&["panic", "list"], 0).0;
    assert!(list.contains("lockdown") && list.contains("all routes") && list.contains("30 min longer"), "{list}");
    folder.here(&["panic", "end", "1", "--reason", "over"], 0);
    folder.here(&["panic", "end", "1", "--reason", "again"], 1);
    assert_eq!(folder.json(&["panic", "list"], 0)["items"].as_array().unwrap().len(), 1);
    assert!(folder.here(&["panic", "list", "--over"], 0).0.contains("ended"));
    let audit = folder.here(&["audit", "list"], 0).0;
    assert!(audit.contains("order.lockdown") && audit.contains("order.end"), "{audit}");
}

#[test]
fn a_fleet_that_told_nothing_is_said_to_be_so() {
    let folder = Folder::begun();
    assert!(folder.here(&["fleet"], 0).0.contains("no gateway has told"));
    assert_eq!(folder.json(&["fleet"], 0), json!({ "gateways": [], "remarks": [] }));
}
