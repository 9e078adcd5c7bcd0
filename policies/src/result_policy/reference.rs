//! The plainest reading of the language, straight from the document: top to bottom, one condition after the other. The compiled
//! and indexed rules must agree with it over random policies and requests.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::token::asv::{DeviceState, annotations};
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{facts, load_for, target};
use super::{Chosen, KeyRight, ResultPolicy};
use crate::lists::{Kind, List, Lists};
use crate::{Action, Cause, FailSafe, Mode, RequestFacts, RouteContext, Subject, User, explain};

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
    caller: Option<&'static str>,
    /// Issuer, subject and claims.
    user: Option<(&'static str, &'static str, serde_json::Map<String, Value>)>,
    mode: Mode,
}

impl Request {
    fn user(&self) -> Option<User<'_>> {
        self.user.as_ref().map(|(issuer, subject, claims)| User { issuer, subject, claims })
    }
}

/// What the lists of these tests hold.
const LISTS: [(&str, Kind, &[&str]); 5] = [
    ("near", Kind::Networks, &["10.0.0.0/9", "10.128.0.0/9", "192.0.2.7"]),
    ("far", Kind::Networks, &["203.0.113.0/24"]),
    ("shelf", Kind::Paths, &["/a/b", "/b/**", "/a/b-*"]),
    ("cellar", Kind::Paths, &["/a/*/c", "/c"]),
    ("known", Kind::Devices, &["d1", "d2"]),
];

static NAMED: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists::new();
    for (name, kind, entries) in LISTS {
        lists.insert(name, List::parse(kind, name, &entries.join("\n")).unwrap());
    }
    lists
});

static CALLERS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["p1".to_owned(), "p2".to_owned()]);

fn about() -> RouteContext<'static> {
    RouteContext { lists: &NAMED, callers: &CALLERS, user: true, ..RouteContext::new("r1") }
}

fn load(policy: &Value) -> ResultPolicy {
    load_for(&policy.to_string(), &about())
}

/// The entries of a list, or the value itself.
fn entries(value: &Value) -> Vec<&str> {
    let items = match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    items
        .into_iter()
        .flat_map(|item| match item["list"].as_str() {
            Some(name) => LISTS.iter().find(|(list, ..)| *list == name).unwrap().2.to_vec(),
            None => vec![item.as_str().unwrap()],
        })
        .collect()
}

/// The bucket of a sender in the percentage of a rule of policy `r1`.
fn bucket(rule: &str, who: &Subject<'_>, what: &Request) -> u64 {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, format!("assay-share-v1\0r1\0{rule}").as_bytes());
    let IpAddr::V4(address) = what.address else { panic!() };
    let message = match who.own_device {
        Some(device) => [b"d", device].concat(),
        None => [b"4".as_slice(), &address.octets()].concat(),
    };
    let tag = aws_lc_rs::hmac::sign(&key, &message);
    u64::from_be_bytes(tag.as_ref()[..8].try_into().unwrap()) % 100
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
fn plain_condition(field: &str, wanted: &Value, rule: &str, who: &Subject<'_>, what: &Request) -> Option<bool> {
    let any = |test: &dyn Fn(&str) -> bool| Some(words(wanted).into_iter().any(test));
    const CLAIMS: [&str; 9] =
        ["tier", "evidence", "app", "app_version", "expired_for", "device_state", "device_age", "device", "annotation"];
    let claim = CLAIMS.contains(&field);
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
        "path" => Some(entries(wanted).into_iter().any(|pattern| path_matches(pattern, &what.path))),
        "device_state" => any(&|state| state == who.device_state.as_str()),
        "device_age" => who.device_age.map(|age| {
            let hours =
                |bound: &str| wanted[bound].as_str().map(|text| text.trim_end_matches('h').parse::<u64>().unwrap());
            let age = age.as_secs() / 3_600;
            hours("min").is_none_or(|min| age >= min) && hours("below").is_none_or(|below| age < below)
        }),
        "device" => who.device.map(|device| entries(wanted).contains(&device)),
        "annotation" => any(&|word| word == "dev" && who.annotations & 1 == 1),
        "caller" => any(&|word| what.caller.is_some_and(|caller| word == "any" || word == caller)),
        "user" => {
            let wanted = wanted.as_object().unwrap();
            let asks = wanted.keys().any(|key| key != "present");
            let Some((issuer, subject, claims)) = &what.user else {
                return if asks { None } else { Some(wanted["present"] == false) };
            };
            if wanted.get("present") == Some(&json!(false)) {
                return Some(false);
            }
            let among = |key: &str, is: &str| wanted.get(key).is_none_or(|names| words(names).contains(&is));
            let mut met = among("issuer", issuer) && among("subject", subject);
            for (claim, values) in wanted.get("claims").and_then(Value::as_object).into_iter().flatten() {
                let values = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
                let have = claims.get(claim)?;
                met &= match have {
                    Value::Array(have) => have.iter().any(|one| values.contains(one)),
                    one => values.contains(one),
                };
            }
            Some(met)
        }
        "percentage" => Some(bucket(rule, who, what) < wanted.as_u64().unwrap()),
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
        "network" => Some(entries(wanted).into_iter().any(|net| match net.parse::<ipnet::IpNet>() {
            Ok(net) => net.contains(&what.address),
            Err(_) => net.parse::<IpAddr>().unwrap() == what.address,
        })),
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
                .map(|(field, wanted)| plain_condition(field, wanted, rule, who, what))
                .collect();
            inner.map(|all| !all.into_iter().all(|one| one))
        }
        other => panic!("{other}"),
    }
}

/// What comes of it in the mode of the request, on a route without a key: the action, and whether a lockdown overruled the policy.
fn in_mode(policy: &Value, rule: &str, action: &str, who: &Subject<'_>, what: &Request) -> (String, bool) {
    let asks_for_caller = policy["rules"]
        .as_array()
        .unwrap()
        .iter()
        .any(|written| written["name"] == rule && written["when"].get("caller").is_some());
    match what.mode {
        Mode::Normal => (action.to_owned(), false),
        Mode::Monitor(_) if action == "block" => ("allow".to_owned(), false),
        Mode::Monitor(_) => (action.to_owned(), false),
        Mode::Lockdown if who.verdict == Verdict::Attested || action == "block" => (action.to_owned(), false),
        Mode::Lockdown if asks_for_caller && what.caller.is_some() => (action.to_owned(), false),
        Mode::Lockdown => ("block".to_owned(), true),
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
        if !when.iter().all(|(field, wanted)| plain_condition(field, wanted, &name, who, what) == Some(true)) {
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
        1 => some_of(&["10.0.0.0/8", "192.0.2.7/32", "0.0.0.0/0", "192.0.2.7"]).prop_map(|v| ("network", v)),
        1 => prop_oneof![Just(json!({"list": "near"})), Just(json!(["203.0.113.9", {"list": "near"}])), Just(json!([{"list": "far"}, {"list": "near"}]))]
            .prop_map(|v| ("network", v)),
        1 => prop_oneof![Just(json!({"list": "shelf"})), Just(json!(["/a", {"list": "cellar"}])), Just(json!([{"list": "shelf"}, {"list": "cellar"}]))]
            .prop_map(|v| ("path", v)),
        1 => some_of(&["normal", "forced_pass"]).prop_map(|v| ("device_state", v)),
        1 => prop_oneof![Just(json!({"min": "24h"})), Just(json!({"below": "48h"})), Just(json!({"min": "2h", "below": "24h"}))].prop_map(|v| ("device_age", v)),
        1 => Just(("device", json!({"list": "known"}))),
        1 => Just(("annotation", json!("dev"))),
        2 => some_of(&["p1", "p2", "any"]).prop_map(|v| ("caller", v)),
        2 => prop_oneof![
            Just(json!({"present": true})),
            Just(json!({"present": false})),
            Just(json!({"issuer": "i1"})),
            Just(json!({"issuer": ["i1", "i2"], "subject": "u1"})),
            Just(json!({"claims": {"role": ["editor", "admin"], "paid": true}})),
            Just(json!({"claims": {"level": 3}})),
        ].prop_map(|v| ("user", v)),
        1 => prop::sample::select(vec![0, 10, 50, 90, 100]).prop_map(|v| ("percentage", json!(v))),
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
        prop::option::of(prop::sample::select(vec!["p1", "p2", "p3"])),
        prop::option::of((
            prop::sample::select(vec!["i1", "i2"]),
            prop::sample::select(vec!["u1", "u2"]),
            prop::sample::select(vec![
                json!({}),
                json!({"role": "editor", "paid": true}),
                json!({"role": ["viewer", "admin"], "paid": true, "level": 3}),
                json!({"role": "viewer", "paid": "true", "level": "3"}),
            ]),
        )),
        prop::sample::select(vec![
            Mode::Normal,
            Mode::Normal,
            Mode::Lockdown,
            Mode::Monitor(Cause::Panic),
            Mode::Monitor(Cause::Guard),
        ]),
    )
        .prop_map(|(method, host, path, route, address, header, caller, user, mode)| Request {
            caller,
            user: user.map(|(issuer, subject, claims)| (issuer, subject, claims.as_object().unwrap().clone())),
            mode,
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
        prop::sample::select(vec![DeviceState::Normal, DeviceState::ForcedPass]),
        prop::option::of(prop::sample::select(vec![1_u64, 2, 23, 24, 48, 1_000])),
        prop::option::of(prop::sample::select(vec!["d1", "d2", "d3"])),
        any::<bool>(),
    )
        .prop_map(|(verdict, tier, kind, app, version, age, device_state, hours, device, dev)| Subject {
            device_state,
            device_age: hours.map(|hours| Duration::from_secs(hours * 3_600)),
            device,
            own_device: device.map(str::as_bytes),
            annotations: if dev { annotations::DEV.into() } else { 0 },
            tier,
            kinds: kind.map_or(EvidenceKinds::EMPTY, |kind| EvidenceKinds::EMPTY.with(kind)),
            app,
            version,
            expired_for: age.map(Duration::from_secs),
            ..Subject::supposed(verdict)
        })
}

fn what_of<'a>(
    request: &'a Request,
    target: &'a attest_core::target::Target,
    headers: &'a HeaderMap,
) -> RequestFacts<'a> {
    RequestFacts {
        route: &request.route,
        address: request.address,
        caller: request.caller,
        user: request.user(),
        mode: request.mode,
        ..facts(target, headers)
    }
}

fn enforcement() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("enforce"),
        json!("monitor"),
        json!({"others": 0}),
        json!({"failed": 50, "missing": 0, "invalid": 10, "others": 90}),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_is_that_of_the_plain_reading(
        policy in policy(),
        calls in prop::collection::vec((request(), sender()), 1..12),
    ) {
        let compiled = load(&policy);
        for (request, who) in &calls {
            let target = target(&request.method, &request.host, &request.path);
            let mut headers = HeaderMap::new();
            if let Some(value) = &request.header {
                headers.insert("x-color", HeaderValue::from_str(value).unwrap());
            }
            let what = what_of(request, &target, &headers);
            let judged = compiled.0.judge(who, &what, &mut || {});
            let (rule, action, class, monitored) = plain_reading(&policy, who, request);
            let (outcome, locked_down) = in_mode(&policy, &rule, &action, who, request);
            prop_assert_eq!(compiled.0.name_of(judged.rule), rule.as_str());
            prop_assert_eq!((judged.action.as_str(), judged.locked_down), (outcome.as_str(), locked_down));
            prop_assert_eq!(judged.would, (outcome == "allow" && action == "block").then_some(Action::Block));
            if let (Some(class), true) = (class, outcome == action) {
                prop_assert_eq!(judged.class.as_str(), class.as_str());
            }
            let counted: Vec<_> = compiled.0.monitored_rules(judged.monitored).map(|(name, _)| name.to_owned()).collect();
            prop_assert_eq!(&counted, &monitored);
            // The explanation tells the same story.
            let told = explain(&compiled, who, &what);
            prop_assert_eq!(&told.rule, &rule);
            prop_assert_eq!(told.action, outcome.as_str());
            let matched: Vec<_> = told.trace.into_iter().filter(|step| step.matched).map(|step| step.rule).collect();
            let decided = (rule != "default").then_some(rule);
            prop_assert_eq!(matched, monitored.into_iter().chain(decided).collect::<Vec<_>>());
        }
    }

    #[test]
    fn monitoring_a_rule_never_changes_an_answer(
        policy in policy(),
        enforcement in enforcement(),
        calls in prop::collection::vec((request(), sender(), any::<bool>()), 1..6),
    ) {
        let mut without = policy.clone();
        let mut monitored = policy;
        without["enforcement"] = enforcement.clone();
        monitored["enforcement"] = enforcement;
        for (left, seen) in without["rules"].as_array_mut().unwrap().iter_mut().zip(monitored["rules"].as_array_mut().unwrap()) {
            if left["mode"] != "enforce" {
                left["mode"] = "disabled".into();
                seen["mode"] = "monitor".into();
            }
        }
        let (without, monitored) = (load(&without), load(&monitored));
        for (request, who, injects) in &calls {
            let target = target(&request.method, &request.host, &request.path);
            let headers = HeaderMap::new();
            let what = RequestFacts { injects: *injects, ..what_of(request, &target, &headers) };
            let (a, b) = (without.0.judge(who, &what, &mut || {}), monitored.0.judge(who, &what, &mut || {}));
            prop_assert_eq!(without.0.name_of(a.rule), monitored.0.name_of(b.rule));
            prop_assert_eq!((a.action, a.class, a.would, a.bucket, a.key), (b.action, b.class, b.would, b.bucket, b.key));
        }
    }

    #[test]
    fn nothing_but_a_written_danger_gives_an_unattested_request_the_key(
        policy in policy(),
        enforcement in enforcement(),
        calls in prop::collection::vec((request(), sender(), any::<bool>(), any::<bool>()), 1..8),
    ) {
        let mut policy = policy;
        policy["enforcement"] = enforcement;
        let plain = load(&policy);
        // The same with the danger, which has to be bounded.
        policy["default"] = "block".into();
        policy.as_object_mut().unwrap().remove("danger_default_allow");
        for rule in policy["rules"].as_array_mut().unwrap() {
            if then_loosens(rule) {
                rule["then"] = json!({"deprioritize": {"limits": [{"requests": 5, "per": "route", "window": "1m"}]}});
            }
        }
        let danger = RouteContext { injects: true, danger_inject_unattested: true, ..about() };
        let danger = load_for(&policy.to_string(), &danger);
        for (request, who, unverifiable, may_unseal) in &calls {
            let target = target(&request.method, &request.host, &request.path);
            let headers = HeaderMap::new();
            let what = RequestFacts { injects: true, fail_safe: FailSafe::Deprioritize, ..what_of(request, &target, &headers) };
            let who = Subject {
                verdict: if *unverifiable { Verdict::Unverifiable } else { who.verdict },
                may_unseal: who.verdict == Verdict::Attested && *may_unseal && !unverifiable,
                ..*who
            };
            let judged = plain.0.judge(&who, &what, &mut || {});
            if !who.may_unseal {
                prop_assert_eq!((judged.action, judged.would), (Action::Block, None), "{:?} {:?}", who.verdict, request.mode);
            } else {
                prop_assert!(judged.action == Action::Block || judged.key == KeyRight::Token);
            }
            let judged = danger.0.judge(&who, &what, &mut || {});
            if judged.action != Action::Block && !who.may_unseal {
                prop_assert!(judged.key == KeyRight::Danger && matches!(judged.rule, Chosen::Rule(_)));
                prop_assert!(request.mode != Mode::Lockdown && judged.would.is_none() && !unverifiable);
            }
        }
    }

    #[test]
    fn in_a_lockdown_only_what_is_attested_and_proven_callers_go_on(
        policy in policy(),
        enforcement in enforcement(),
        request in request(),
        who in sender(),
        unverifiable in any::<bool>(),
    ) {
        let mut policy = policy;
        policy["enforcement"] = enforcement;
        let compiled = load(&policy);
        let target = target(&request.method, &request.host, &request.path);
        let headers = HeaderMap::new();
        let what = RequestFacts { mode: Mode::Lockdown, fail_safe: FailSafe::Deprioritize, ..what_of(&request, &target, &headers) };
        let who = Subject { verdict: if unverifiable { Verdict::Unverifiable } else { who.verdict }, ..who };
        let judged = compiled.0.judge(&who, &what, &mut || {});
        if who.verdict != Verdict::Attested && request.caller.is_none() {
            prop_assert_eq!(judged.action, Action::Block);
        }
    }
}
