//! The plainest reading of the language, straight from the document: top to bottom, one condition after the other. The compiled
//! and indexed rules must agree with it over random policies and requests.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{facts, load, target};
use crate::{RequestFacts, Subject, explain};

const ENDED: &str = "2027-01-01T00:00:00Z";
const ENDS: &str = "2027-03-01T00:00:00Z";

#[derive(Clone, Debug)]
struct Request {
    method: String,
    host: String,
    path: String,
    route: String,
    address: IpAddr,
    header: Option<String>,
}

fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

fn number(version: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(6, 0);
    parts
}

fn path_matches(pattern: &str, path: &str) -> bool {
    if let Some(base) = pattern.strip_suffix("/**") {
        let depth = base.matches('/').count();
        let head: String = path.split('/').take(depth + 1).collect::<Vec<_>>().join("/");
        return path_matches(base, &head) || base.is_empty();
    }
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| match pattern.split_once('*') {
            None => *pattern == part,
            Some(("", "")) => !part.is_empty(),
            Some((before, after)) => {
                part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
            }
        })
}

/// Nothing: the claim is not known.
fn plain_condition(field: &str, wanted: &Value, who: &Subject<'_>, what: &Request) -> Option<bool> {
    let any = |test: &dyn Fn(&str) -> bool| Some(words(wanted).into_iter().any(test));
    let claim = ["tier", "evidence", "app", "app_version", "expired_for"].contains(&field);
    if claim && !who.genuine {
        return None;
    }
    match field {
        "verdict" => any(&|word| match word {
            "any" => true,
            "invalid" => who.verdict.is_invalid(),
            word => who.verdict.as_str() == word,
        }),
        "method" => any(&|word| word == what.method),
        "path" => any(&|pattern| path_matches(pattern, &what.path)),
        "host" => any(&|pattern| match pattern.strip_prefix('*') {
            Some(end) => what.host.ends_with(end) && what.host.len() > end.len(),
            None => what.host == pattern,
        }),
        "route" => any(&|route| route == what.route),
        "tier" => any(&|tier| tier == who.tier.as_str()),
        "evidence" => any(&|kind| match kind {
            "platform" => who.kinds.iter().any(EvidenceKind::is_platform),
            kind => who.kinds.iter().any(|have| have.as_str() == kind),
        }),
        "app" => who.app.and_then(|app| any(&|name| name == app)),
        "app_version" => who.version.map(|version| {
            let version = number(version);
            wanted["min"].as_str().is_none_or(|min| version >= number(min))
                && wanted["below"].as_str().is_none_or(|below| version < number(below))
        }),
        "expired_for" => who.expired_for.map(|age| {
            age <= Duration::from_secs(wanted["max"].as_str().unwrap().trim_end_matches('s').parse().unwrap())
        }),
        "network" => any(&|net| net.parse::<ipnet::IpNet>().unwrap().contains(&what.address)),
        "header" => {
            let test = &wanted["X-Color"];
            let value = what.header.as_deref();
            Some(match (test["present"].as_bool(), test["equals"].as_str(), test["prefix"].as_str()) {
                (Some(present), ..) => value.is_some() == present,
                (_, Some(text), _) => value == Some(text),
                (_, _, prefix) => value.is_some_and(|value| value.starts_with(prefix.unwrap())),
            })
        }
        "not" => {
            let inner: Option<Vec<bool>> = wanted
                .as_object()
                .unwrap()
                .iter()
                .map(|(field, wanted)| plain_condition(field, wanted, who, what))
                .collect();
            inner.map(|all| !all.into_iter().all(|one| one))
        }
        other => panic!("{other}"),
    }
}

/// Rule, action, class and monitored rules, read straight from the document.
fn plain_reading(policy: &Value, who: &Subject<'_>, what: &Request) -> (String, String, Option<String>, Vec<String>) {
    let mut monitored = Vec::new();
    for rule in policy["rules"].as_array().unwrap() {
        let name = rule["name"].as_str().unwrap().to_owned();
        let mode = rule["mode"].as_str().unwrap_or("enforce");
        if mode == "disabled" || rule["until"] == ENDED {
            continue;
        }
        let when = rule["when"].as_object().unwrap();
        if !when.iter().all(|(field, wanted)| plain_condition(field, wanted, who, what) == Some(true)) {
            continue;
        }
        if mode == "monitor" {
            monitored.push(name);
            continue;
        }
        let (action, class) = match &rule["then"] {
            Value::String(action) => (action.clone(), None),
            then => {
                let (action, inner) = then.as_object().unwrap().iter().next().unwrap();
                (action.clone(), inner["class"].as_str().map(str::to_owned))
            }
        };
        return (name, action, class, monitored);
    }
    ("default".to_owned(), policy["default"].as_str().unwrap().to_owned(), None, monitored)
}

// --- random policies and requests --------------------------------------------------------------------------------------

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(values).prop_map(Value::from),
        prop::sample::subsequence(values, 1..=values.len().min(3)).prop_map(|words| json!(words)),
    ]
}

fn condition() -> BoxedStrategy<(&'static str, Value)> {
    prop_oneof![
        3 => some_of(&["GET", "POST", "HEAD", "PURGE"]).prop_map(|v| ("method", v)),
        6 => some_of(&["/", "/a", "/a/b", "/a/b/c", "/a/**", "/a/b/**", "/a/*", "/*/b", "/**", "/a/b-*", "/b/*/**", "/b"]).prop_map(|v| ("path", v)),
        2 => some_of(&["h.test", "x.test", "*.h.test", "*.test"]).prop_map(|v| ("host", v)),
        2 => some_of(&["r1", "r2"]).prop_map(|v| ("route", v)),
        1 => some_of(&["none", "warning", "affirming"]).prop_map(|v| ("tier", v)),
        1 => some_of(&["platform", "measurement", "android-key"]).prop_map(|v| ("evidence", v)),
        2 => some_of(&["app1", "app2"]).prop_map(|v| ("app", v)),
        1 => prop_oneof![Just(json!({"min": "3.2"})), Just(json!({"below": "3.10"})), Just(json!({"min": "2", "below": "3.2"}))].prop_map(|v| ("app_version", v)),
        1 => Just(("expired_for", json!({"max": "60s"}))),
        1 => some_of(&["10.0.0.0/8", "192.0.2.7/32", "0.0.0.0/0"]).prop_map(|v| ("network", v)),
        1 => prop_oneof![Just(json!({"present": true})), Just(json!({"present": false})), Just(json!({"equals": "red"})), Just(json!({"prefix": "r"}))]
            .prop_map(|v| ("header", json!({"X-Color": v}))),
    ]
    .boxed()
}

fn verdict_words() -> impl Strategy<Value = Value> {
    some_of(&[
        "any",
        "missing",
        "attested",
        "attested",
        "invalid",
        "failed",
        "expired",
        "revoked",
        "bad_signature",
        "malformed",
    ])
}

fn map_of(conditions: Vec<(&'static str, Value)>) -> Value {
    Value::Object(conditions.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

fn rule() -> impl Strategy<Value = Value> {
    let not = prop_oneof![
        3 => Just(None),
        1 => (prop::collection::vec(condition(), 1..3), prop::option::of(verdict_words())).prop_map(|(conditions, verdict)| {
            let mut not = map_of(conditions);
            if let Some(verdict) = verdict {
                not["verdict"] = verdict;
            }
            Some(not)
        }),
    ];
    let then = prop_oneof![
        Just(json!("allow")),
        Just(json!("deprioritize")),
        Just(json!("block")),
        Just(json!({"allow": {"class": "critical"}})),
        Just(json!({"deprioritize": {"class": "unattested"}})),
    ];
    let mode = prop_oneof![4 => Just("enforce"), 1 => Just("monitor"), 1 => Just("disabled")];
    let until = prop_oneof![3 => Just(None), 1 => Just(Some(ENDED)), 1 => Just(Some(ENDS))];
    (verdict_words(), prop::collection::vec(condition(), 0..4), not, then, mode, until).prop_map(
        |(verdict, conditions, not, then, mode, until)| {
            let mut when = map_of(conditions);
            when["verdict"] = verdict;
            if let Some(not) = not {
                when["not"] = not;
            }
            let mut rule = json!({ "when": when, "then": then, "mode": mode });
            if let Some(until) = until.filter(|_| then_loosens(&rule)) {
                rule["until"] = until.into();
            }
            rule
        },
    )
}

fn then_loosens(rule: &Value) -> bool {
    rule["then"] != "block"
}

fn policy() -> impl Strategy<Value = Value> {
    (prop::collection::vec(rule(), 1..24), prop::sample::select(vec!["block", "deprioritize", "allow"])).prop_map(
        |(mut rules, default)| {
            for (number, rule) in rules.iter_mut().enumerate() {
                rule["name"] = format!("r{number}").into();
            }
            let mut policy = json!({ "default": default, "rules": rules });
            if default == "allow" {
                policy["danger_default_allow"] = true.into();
            }
            policy
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    (
        prop::sample::select(vec!["GET", "POST", "HEAD", "PURGE", "PATCH"]),
        prop::sample::select(vec!["h.test", "x.test", "y.h.test", "other.example"]),
        prop::sample::select(vec![
            "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d", "/a/b-1", "/b", "/b/x/y", "/c",
        ]),
        prop::sample::select(vec!["r1", "r2", "r3"]),
        prop::sample::select(vec![[10, 1, 2, 3], [192, 0, 2, 7], [203, 0, 113, 9]]),
        prop::option::of(prop::sample::select(vec!["red", "rose", "blue"])),
    )
        .prop_map(|(method, host, path, route, address, header)| Request {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            route: route.to_owned(),
            address: IpAddr::V4(Ipv4Addr::from(address)),
            header: header.map(str::to_owned),
        })
}

fn sender() -> impl Strategy<Value = Subject<'static>> {
    let rules_see = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Unverifiable).collect::<Vec<_>>();
    (
        prop_oneof![prop::sample::select(rules_see), Just(Verdict::Attested), Just(Verdict::Missing)],
        prop::sample::select(Tier::ALL.to_vec()),
        prop::option::of(prop::sample::select(EvidenceKind::ALL.to_vec())),
        prop::option::of(prop::sample::select(vec!["app1", "app2", "app3"])),
        prop::option::of(prop::sample::select(vec!["1.9", "3.2", "3.9.1", "3.10", "4"])),
        prop::option::of(0_u64..120),
    )
        .prop_map(|(verdict, tier, kind, app, version, age)| Subject {
            tier,
            kinds: kind.map_or(EvidenceKinds::EMPTY, |kind| EvidenceKinds::EMPTY.with(kind)),
            app,
            version,
            expired_for: age.map(Duration::from_secs),
            ..Subject::supposed(verdict)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_is_that_of_the_plain_reading(
        policy in policy(),
        calls in prop::collection::vec((request(), sender()), 1..12),
    ) {
        let compiled = load(&policy.to_string());
        for (request, who) in &calls {
            let target = target(&request.method, &request.host, &request.path);
            let mut headers = HeaderMap::new();
            if let Some(value) = &request.header {
                headers.insert("x-color", HeaderValue::from_str(value).unwrap());
            }
            let what = RequestFacts { route: &request.route, address: request.address, ..facts(&target, &headers) };
            let judged = compiled.0.judge(who, &what, &mut || {});
            let (rule, action, class, monitored) = plain_reading(&policy, who, request);
            prop_assert_eq!(compiled.0.name_of(judged.rule), rule.as_str());
            prop_assert_eq!(judged.action.as_str(), action.as_str());
            if let Some(class) = class {
                prop_assert_eq!(judged.class.as_str(), class.as_str());
            }
            let counted: Vec<_> = compiled.0.monitored_rules(judged.monitored).map(|(name, _)| name.to_owned()).collect();
            prop_assert_eq!(&counted, &monitored);
            // The explanation tells the same story.
            let told = explain(&compiled, who, &what);
            prop_assert_eq!(&told.rule, &rule);
            let matched: Vec<_> = told.trace.into_iter().filter(|step| step.matched).map(|step| step.rule).collect();
            let decided = (rule != "default").then_some(rule);
            prop_assert_eq!(matched, monitored.into_iter().chain(decided).collect::<Vec<_>>());
        }
    }

    #[test]
    fn monitoring_a_rule_never_changes_what_the_others_do(policy in policy(), request in request(), who in sender()) {
        let mut without = policy.clone();
        let mut monitored = policy;
        for (left, seen) in without["rules"].as_array_mut().unwrap().iter_mut().zip(monitored["rules"].as_array_mut().unwrap()) {
            if left["mode"] != "enforce" {
                left["mode"] = "disabled".into();
                seen["mode"] = "monitor".into();
            }
        }
        let target = target(&request.method, &request.host, &request.path);
        let headers = HeaderMap::new();
        let what = RequestFacts { route: &request.route, address: request.address, ..facts(&target, &headers) };
        let (without, monitored) = (load(&without.to_string()), load(&monitored.to_string()));
        let (a, b) = (without.0.judge(&who, &what, &mut || {}), monitored.0.judge(&who, &what, &mut || {}));
        prop_assert_eq!(without.0.name_of(a.rule), monitored.0.name_of(b.rule));
        prop_assert_eq!((a.action, a.class), (b.action, b.class));
    }
}
