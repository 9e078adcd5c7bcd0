//! Traffic at a gateway, written down by it: replayed against a candidate, explained one by one, advised from.

use e2e::attester::Attester;
use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wait::until;
use serde_json::Value;

const KEY: &str = "sk_live_0123456789abcdef";
const SHOP: &str = r#"policy: shop
default: block
rules:
  - { name: genuine, when: { verdict: attested }, then: allow }
  - { name: readers, when: { verdict: [missing, malformed], path: "/shop/catalogue/**" }, then: deprioritize }
"#;
const ROUTE: &str = r#"
  shop:
    match: { path: "/shop/**" }
    upstream: own
    policy: shop.yaml
"#;

/// A house with the route `shop`, whose gateway writes down every decision.
fn house(api: &Recorder) -> House {
    let mut house = House::together(Files::new(), &api.address, KEY);
    house.files.write("shop.yaml", SHOP);
    house.change(|text| text.replacen("\nroutes:", &format!("\nroutes:{ROUTE}"), 1));
    let log = "log: { access: stdout, level: info, record: { file: records.ndjson, share: 100% } }";
    let text = house.yaml().replace("log: { access: stdout, level: info }", log);
    house.files.write("gateway.yaml", text);
    house.stop_gateway();
    house.restart_gateway();
    until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
    house
}

/// Three devices ask twice each, four people without an app read, one sends nonsense: eleven in all.
fn traffic(house: &House) {
    for _ in 0..3 {
        let token = Attester::genuine().token(&house.service);
        for path in ["/shop/orders?secret=canary-query", "/shop/catalogue/7"] {
            assert_eq!(house.get_as(&token, path).status, 200);
        }
    }
    for number in 0..4 {
        assert_eq!(house.get(&format!("/shop/catalogue/{number}"), &[]).status, 200);
    }
    assert_eq!(house.get("/shop/orders", &[("Assay-Token", "canary-nonsense")]).status, 403);
}

fn records(house: &House) -> Vec<Value> {
    let text = std::fs::read_to_string(house.files.at("records.ndjson")).unwrap_or_default();
    let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|record| record["route"] == "shop").collect()
}

fn replay(house: &House, candidate: &str) -> Ran {
    let file = house.files.write("next.yaml", candidate);
    let (recorded, config) = (house.files.at("records.ndjson"), house.config());
    assay(&[
        &"--json",
        &"policy",
        &"test",
        &"--replay",
        &recorded,
        &"--route",
        &"shop",
        &"--candidate",
        &file,
        &"-c",
        &config,
    ])
}

#[test]
fn recorded_traffic_tells_by_rule_and_devices_whom_a_candidate_would_hit() {
    let api = Recorder::start();
    let house = house(&api);
    traffic(&house);
    let written = until("eleven records", || Some(records(&house)).filter(|all| all.len() >= 11));
    assert_eq!(written.len(), 11);
    let text = std::fs::read_to_string(house.files.at("records.ndjson")).unwrap();
    for secret in ["canary", "127.0.0.1\"", "secret="] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }

    let same = replay(&house, SHOP).ends(0).json();
    assert_eq!((&same["replay"]["tried"], &same["replay"]["same"]), (&11.into(), &11.into()), "{same:#}");

    // Versions that nobody has yet, and a catalogue for apps alone.
    let next = SHOP
        .replace("verdict: attested }", "verdict: attested, app_version: { min: \"2.0\" } }")
        .replace("[missing, malformed]", "[malformed]");
    let told = replay(&house, &next).ends(1).json();
    let differences = told["replay"]["differences"].as_array().unwrap();
    let of = |rule: &str| {
        let found = differences.iter().find(|one| one["from_rule"] == rule);
        found.unwrap_or_else(|| panic!("{rule}: {told:#}"))
    };
    let (apps, readers) = (of("genuine"), of("readers"));
    assert_eq!((&apps["to_rule"], &apps["requests"], &apps["devices"]), (&"default".into(), &6.into(), &3.into()));
    assert_eq!(
        (&readers["to_rule"], &readers["requests"], &readers["devices"]),
        (&"default".into(), &4.into(), &0.into())
    );
    assert_eq!((differences.len(), &told["replay"]["same"]), (2, &1.into()), "{told:#}");
    // Each names decisions that were: the access log has them.
    let example = apps["examples"][0].as_str().unwrap().to_owned();
    assert_eq!(house.log_line(0, |line| line["id"] == example.as_str())["rule"], "genuine");

    // The records can't answer what nobody looked at when they were made.
    let asks = SHOP.replace("path: \"/shop/catalogue/**\"", "header: { X-Beta: { equals: \"1\" } }");
    let untold = replay(&house, &asks);
    assert_ne!(untold.code, 0, "{untold:?}");
    assert!(untold.json()["replay"]["untold"].as_u64().unwrap() >= 4, "{untold:?}");
}

fn explained(house: &House, more: &[&dyn AsRef<std::ffi::OsStr>], input: &[u8]) -> Value {
    let config = house.config();
    let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"--json", &"policy", &"explain"];
    words.extend(more);
    words.extend([&"-c" as &dyn AsRef<std::ffi::OsStr>, &config]);
    assay_fed(&words, input).ends(0).json()
}

#[test]
fn a_decision_is_explained_alike_from_the_gateways_memory_and_from_its_log() {
    let api = Recorder::start();
    let house = house(&api);
    traffic(&house);
    let gateway = format!("http://{}", house.admin);
    for (path, status, rule, verdict) in [
        ("/shop/invoices", 401, "default", "missing"),
        ("/shop/catalogue/9", 200, "readers", "missing"),
        ("/shop/own", 200, "genuine", "attested"),
    ] {
        let mark = house.gateway.out().mark();
        let headers = if rule == "genuine" { vec![("Assay-Token", house.token())] } else { Vec::new() };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = house.get(path, &headers);
        assert_eq!(answer.status, status);
        let line = house.log_line(mark, |line| line["path"] == path);
        let id = line["id"].as_str().unwrap();
        if status != 200 {
            assert_eq!(answer.json()["decision"], id, "the id in the answer is the one in the log");
        }
        let remembered = explained(&house, &[&"--decision", &id, &"--gateway", &gateway], b"");
        let logged = explained(&house, &[&"--log-line", &"-"], line.to_string().as_bytes());
        for why in [&remembered, &logged] {
            assert_eq!((&why["rule"], &why["recorded"]["agrees"]), (&rule.into(), &true.into()), "{path}: {why:#}");
            assert_eq!(why["verdict"], verdict, "{why:#}");
        }
        assert_eq!((&remembered["action"], &remembered["trace"]), (&logged["action"], &logged["trace"]), "{path}");
        assert_eq!(line["rule"], rule, "{line}");
    }
    // One that never was is nothing that can be told.
    let config = house.config();
    let id = "01JAAAAAAAAAAAAAAAAAAAAAAA";
    assay(&[&"policy", &"explain", &"--decision", &id, &"--gateway", &gateway, &"-c", &config])
        .ends(3)
        .complains(&[id]);
    // The policy has changed since: said, not hidden.
    let refused = house.get("/shop/catalogue/1", &[]);
    assert_eq!(refused.status, 200);
    let line = house.log_line(0, |line| line["path"] == "/shop/catalogue/1");
    house.files.write("shop.yaml", SHOP.replace("[missing, malformed]", "[malformed]"));
    let why = explained(&house, &[&"--log-line", &"-"], line.to_string().as_bytes());
    assert_eq!(
        (&why["rule"], &why["recorded"]["agrees"], &why["recorded"]["rule"]),
        (&"default".into(), &false.into(), &"readers".into())
    );
}

#[test]
fn advice_is_made_of_what_the_gateway_has_seen() {
    let api = Recorder::start();
    let house = house(&api);
    let gateway = format!("http://{}", house.admin);
    let advise = |route: &str| assay(&[&"--json", &"policy", &"advise", &route, &"--gateway", &gateway]);
    advise("shop").ends(3);
    traffic(&house);
    let share = |of: &Value, name: &str| {
        let found = of["categories"].as_array().unwrap().iter().find(|one| one["category"] == name);
        found.unwrap_or_else(|| panic!("{name}: {of:#}"))["requests"].as_u64().unwrap()
    };
    let advice = until("all that was asked", || {
        let advice = advise("shop").json();
        (advice["requests"] == 11).then_some(advice)
    });
    assert_eq!(
        (share(&advice, "verified"), share(&advice, "unknown_origin"), share(&advice, "invalid")),
        (6, 4, 1),
        "{advice:#}"
    );
    assert!(advice["summary"].as_str().unwrap().contains("verified"), "{advice:#}");
    assert_eq!(advice["recommendation"], "nothing_to_do", "it is enforced: {advice:#}");
    advise("shop").ends(0);
    // What a monitored policy would refuse is counted. Twelve requests of a minute are no week: it says that it is not sure.
    house.files.write("shop.yaml", SHOP.replace("default: block", "default: block\nenforcement: monitor"));
    until("the policy to be monitored", || (house.get("/shop/orders", &[]).status == 200).then_some(()));
    let refused = until("the refusal that was let through", || {
        let advice = advise("shop").json();
        (advice["requests"].as_u64()? >= 12).then_some(advice)
    });
    let unknown = refused["categories"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["category"] == "unknown_origin")
        .unwrap()
        .clone();
    assert!(unknown["refused"].as_u64().unwrap() >= 1, "{unknown}");
    assert_eq!(refused["confidence"], "low", "{refused:#}");
    assert_ne!(refused["recommendation"], "enforce", "{refused:#}");
    advise("shop").ends(3);
}
