//! Records: what they hold and hide, what reads back, what another policy makes of them.

use std::net::IpAddr;

use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::*;
use crate::compile::{NoIncludes, RouteContext};
use crate::facts::{FailSafe, Mode, RequestFacts};
use crate::lists::{Kind, List, Lists};
use crate::result_policy::ResultPolicy;
use crate::{Explanation, explain_sample};

const POLICY: &str = r#"
policy: shop
default: block
rules:
  - name: beta
    when: { verdict: missing, header: { X-Beta: { equals: "s3cret-beta" } } }
    then: allow
  - name: office
    when: { verdict: missing, network: [198.51.100.7] }
    then: deprioritize
  - name: centres
    when: { verdict: missing, network: { list: centres } }
    then: block
  - name: catalogue
    when: { verdict: [missing, expired], path: "/v1/catalogue/**" }
    then: deprioritize
"#;

fn compiled(text: &str, centres: &str) -> ResultPolicy {
    let mut lists = Lists::new();
    lists.insert("centres", List::parse(Kind::Networks, "centres.txt", centres).unwrap());
    let about = RouteContext { lists: &lists, trusts_proxies: true, files: &NoIncludes, ..RouteContext::new("shop") };
    crate::compile(crate::parse_file("p.yaml", text).unwrap(), "p.yaml", &about)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .0
}

fn live() -> ResultPolicy {
    compiled(POLICY, "203.0.113.0/24\n")
}

/// What the gateway would write about a request without a token.
fn recorded(policy: &ResultPolicy, path: &str, address: &str, beta: Option<&str>) -> Record {
    let target =
        Target::parse(&Method::GET, Scheme::Https, "api.example.com", &path.parse().unwrap(), TargetOptions::default())
            .unwrap();
    let mut headers = HeaderMap::new();
    if let Some(beta) = beta {
        headers.insert("x-beta", beta.parse().unwrap());
    }
    headers.insert("authorization", "Bearer s3cret-token".parse().unwrap());
    let address: IpAddr = address.parse().unwrap();
    let what = RequestFacts {
        target: &target,
        route: "shop",
        address,
        headers: &headers,
        injects: false,
        fail_safe: FailSafe::Refuse,
        now: UnixTime::from_secs(1_800_000_000),
        caller: None,
        user: None,
        mode: Mode::Normal,
    };
    let decision = policy.decide(Verified::missing(), &what);
    let facts = Facts {
        id: "d1",
        generation: 3,
        who: decision.verified(),
        what: &what,
        why: decision.why(),
        class: match &decision {
            crate::Decision::Permit(permit) => Some(permit.class()),
            crate::Decision::Refuse(_) => None,
        },
    };
    Recorder::new(policy).record(&facts, &Pseudonyms::new([3; 16]))
}

fn replayed(candidate: &ResultPolicy, records: &[Record]) -> Report {
    let mut replay = Replay::new(candidate, Some("shop"));
    for (number, record) in (1..).zip(records) {
        replay.line(number, Ok(record.line().as_bytes()));
    }
    replay.finish()
}

#[test]
fn a_record_holds_no_token_no_query_no_header_value_and_no_whole_address() {
    let record = recorded(&live(), "/v1/catalogue/7?card=4111", "198.51.100.77", Some("s3cret-beta"));
    let line = record.line();
    for secret in ["s3cret", "4111", "198.51.100.77", "Bearer", "authorization"] {
        assert!(!line.contains(secret), "{secret} in {line}");
    }
    assert!(line.contains("\"network\":\"198.51.100.0/24\"") && line.contains("\"x-beta\":true"), "{line}");
    assert!(!line.contains('\n'));
    assert_eq!(Record::parse(line.as_bytes()), Ok(record));
}

#[test]
fn refuses_lines_that_are_no_records() {
    let line = recorded(&live(), "/", "192.0.2.1", None).line();
    let other = line.replacen("\"v\":1", "\"v\":9", 1);
    assert_eq!(Record::parse(other.as_bytes()), Err(Broken::OtherVersion(9)));
    assert_eq!(Record::parse(&vec![b' '; MAX_LINE + 1]), Err(Broken::TooLong));
    for bad in ["", "{}", "[]", "{\"v\":1}", "\u{0}", &line.replace("missing", "mising"), &line.replace("GET", "1,2")] {
        if let Ok(record) = Record::parse(bad.as_bytes()) {
            assert!(Sample::new(record).is_err(), "{bad}");
        }
    }
    assert!(
        Record::parse(line.replace("\"missing\"", "\"mising\"").as_bytes()).unwrap_err().to_string().contains("mising")
    );
}

#[test]
fn the_same_policy_changes_nothing() {
    let policy = live();
    let records: Vec<Record> = [
        ("/v1/catalogue/7", "192.0.2.1", None),
        ("/v1/orders", "192.0.2.1", None),
        ("/v1/orders", "198.51.100.7", None),
        ("/v1/orders", "198.51.100.8", None),
        ("/v1/orders", "203.0.113.9", None),
        ("/v1/orders", "192.0.2.1", Some("s3cret-beta")),
        ("/v1/orders", "192.0.2.1", Some("other")),
    ]
    .iter()
    .map(|(path, address, beta)| recorded(&policy, path, address, *beta))
    .collect();
    let report = replayed(&policy, &records);
    assert_eq!((report.tried, report.same, report.different, report.untold), (7, 7, 0, 0), "{report:?}");
    let reached = |rule: &str| report.rules.iter().find(|one| one.rule == rule).unwrap().requests;
    assert_eq!((reached("beta"), reached("office"), reached("centres"), reached("default")), (1, 1, 1, 3));
}

#[test]
fn differences_are_told_by_rule_and_by_how_many() {
    let policy = live();
    let candidate = compiled(&POLICY.replace("/v1/catalogue/**", "/v1/catalogue/public/**"), "203.0.113.0/24\n");
    let records: Vec<Record> = (1..=40)
        .map(|n| recorded(&policy, "/v1/catalogue/7", &format!("192.0.{n}.1"), None))
        .chain([recorded(&policy, "/v1/catalogue/public/7", "192.0.2.1", None)])
        .collect();
    let report = replayed(&candidate, &records);
    assert_eq!((report.same, report.different), (1, 40));
    let [difference] = report.differences.as_slice() else { panic!("{report:?}") };
    assert_eq!((difference.from_rule.as_str(), difference.to_rule.as_str()), ("catalogue", "default"));
    assert_eq!((difference.from.as_str(), difference.to.as_str()), ("deprioritize as unattested", "block"));
    assert_eq!((difference.requests, difference.devices), (40, 0));
    assert!(difference.networks.abs_diff(40) <= 2, "{difference:?}");
    assert_eq!(difference.examples, ["d1", "d1", "d1"]);
}

#[test]
fn what_only_the_candidate_looks_at_is_said_and_not_guessed() {
    let policy = live();
    let candidate = compiled(&POLICY.replace("s3cret-beta", "another"), "203.0.113.0/24\n");
    let with = recorded(&policy, "/v1/orders", "192.0.2.1", Some("s3cret-beta"));
    let without = recorded(&policy, "/v1/orders", "192.0.2.1", None);
    let report = replayed(&candidate, &[with, without]);
    assert_eq!((report.same, report.different, report.untold), (1, 0, 1), "{report:?}");
    assert_eq!(report.gaps[0].what, "rule `beta`: what header x-beta held");

    // Another address of the same /24 could be the office, or not.
    let candidate = compiled(&POLICY.replace("198.51.100.7", "198.51.100.9"), "203.0.113.0/24\n");
    let report = replayed(&candidate, &[recorded(&policy, "/v1/orders", "198.51.100.8", None)]);
    assert_eq!((report.different, report.untold), (0, 1), "{report:?}");
    assert!(report.gaps[0].what.contains("which address of 198.51.100.0/24"), "{report:?}");

    // Where both ways end alike there is nothing to tell.
    let candidate = compiled(&POLICY.replace("198.51.100.7", "198.51.100.9"), "203.0.113.0/24\n");
    let report = replayed(&candidate, &[recorded(&policy, "/v1/catalogue/1", "198.51.100.8", None)]);
    assert_eq!((report.same, report.untold), (1, 0), "{report:?}");
}

#[test]
fn a_list_is_asked_as_it_is_today() {
    let record = recorded(&live(), "/v1/catalogue/1", "203.0.113.9", None);
    let report = replayed(&compiled(POLICY, "192.0.2.0/24\n"), std::slice::from_ref(&record));
    assert_eq!(report.different, 1, "{report:?}");
    let report = replayed(&compiled(POLICY, "203.0.113.128/25\n"), &[record]);
    assert_eq!((report.same, report.untold), (1, 0), "what it said then: {report:?}");
}

#[test]
fn broken_lines_are_counted_and_named_and_the_others_tried() {
    let policy = live();
    let record = recorded(&policy, "/v1/orders", "192.0.2.1", None);
    let mut replay = Replay::new(&policy, None);
    replay.line(1, Ok(b"{"));
    replay.line(2, Ok(record.line().as_bytes()));
    replay.line(3, Err(Broken::TooLong));
    for number in 4..100 {
        replay.line(number, Ok(b"nonsense"));
    }
    let report = replay.finish();
    assert_eq!((report.lines, report.broken, report.tried), (99, 98, 1));
    assert_eq!(report.broken_lines.len(), 20);
    assert_eq!((report.broken_lines[0].line, report.broken_lines[1].line), (1, 3));
}

#[test]
fn records_of_other_routes_and_of_lockdowns_are_left_aside() {
    let policy = live();
    let mut locked = recorded(&policy, "/v1/catalogue/1", "192.0.2.1", None);
    locked.mode = Some("lockdown".to_owned());
    let mut other = locked.clone();
    other.route = "other".to_owned();
    let report = replayed(&policy, &[locked, other]);
    assert_eq!((report.tried, report.ordered, report.others), (0, 1, 1));
}

#[test]
fn a_recorded_decision_is_explained_rule_by_rule() {
    let policy = live();
    let record = recorded(&policy, "/v1/orders", "198.51.100.7", None);
    let explained = explain_sample(&policy, &Sample::new(record.clone()).unwrap());
    assert_eq!((explained.rule.as_str(), explained.action), ("office", "deprioritize"));
    assert!(explained.recorded.as_ref().unwrap().agrees);
    let step =
        |explained: &Explanation, rule: &str| explained.trace.iter().find(|step| step.rule == rule).unwrap().clone();
    assert!(!step(&explained, "beta").matched && !step(&explained, "beta").untold);

    // Another policy under the same name: it says so.
    let changed = compiled(&POLICY.replace("198.51.100.7", "198.51.200.7"), "203.0.113.0/24\n");
    let explained = explain_sample(&changed, &Sample::new(record).unwrap());
    assert_eq!(explained.rule, "default");
    assert!(!explained.recorded.unwrap().agrees);
}

#[test]
fn a_line_of_the_access_log_is_explained_and_settled_by_what_it_says() {
    let policy = live();
    let line = |rule: &str, action: &str| {
        format!(
            r#"{{"ts":1800000000.123,"id":"x","generation":1,"route":"shop","method":"GET","host":"api.example.com","path":"/v1/orders","address":"192.0.2.1","status":200,"verdict":"missing","policy":"shop","rule":"{rule}","mode":"enforce","action":"{action}","gateway_us":12,"total_ms":3.001}}"#
        )
    };
    // The log has no headers: that rule `beta` decided is known from the line alone.
    let explained = explain_sample(&policy, &Sample::from_log_line(&line("beta", "allow")).unwrap());
    assert_eq!((explained.rule.as_str(), explained.action), ("beta", "allow"));
    assert!(explained.trace[0].matched && explained.trace[0].untold, "{:?}", explained.trace);
    let explained = explain_sample(&policy, &Sample::from_log_line(&line("default", "block")).unwrap());
    assert_eq!((explained.rule.as_str(), explained.action), ("default", "block"));
    assert!(!explained.trace[0].matched && explained.trace[0].untold, "{:?}", explained.trace);
    assert!(explained.recorded.unwrap().agrees);
    // A lockdown overrules the policy; that tokens live longer doesn't.
    for (panic, mode) in [("lockdown", Some("lockdown")), ("extend_tokens", None)] {
        let line = line("default", "block")
            .replace("\"gateway_us\"", &format!("\"panic\":\"{panic}\",\"order\":7,\"gateway_us\""));
        let explained = explain_sample(&policy, &Sample::from_log_line(&line).unwrap());
        assert_eq!(explained.recorded.unwrap().mode.as_deref(), mode);
    }
}

#[test]
fn refuses_log_lines_that_no_policy_was_asked_about() {
    for bad in [
        "",
        "{}",
        "hello",
        r#"{"ts":1,"status":400,"code":"bad_request"}"#,
        r#"{"ts":1,"verdict":"x","action":"block"}"#,
    ] {
        assert!(Sample::from_log_line(bad).is_err(), "{bad}");
    }
    assert!(Sample::from_log_line(r#"{"ts":1,"code":"bad_request"}"#).unwrap_err().contains("`code`"));
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(record) = Record::parse(&line) {
            let _ = Sample::new(record);
        }
        if let Ok(text) = std::str::from_utf8(&line) {
            let _ = Sample::from_log_line(text);
        }
    }

    #[test]
    fn any_member_of_any_kind_is_read_or_refused(member in "[a-z_]{1,14}", value in "(\"[ -~&&[^\"\\\\]]{0,20}\"|[1-9][0-9]{0,3}|null|true|\\[\\]|\\{\\})") {
        let policy = live();
        let line = recorded(&policy, "/v1/orders", "192.0.2.1", None).line();
        let mut json: serde_json::Value = serde_json::from_str(&line).unwrap();
        json[member.as_str()] = serde_json::from_str(&value).unwrap();
        let mut replay = Replay::new(&policy, None);
        replay.line(1, Ok(json.to_string().as_bytes()));
        let report = replay.finish();
        prop_assert_eq!(report.broken + report.others + report.ordered + report.tried, 1);
        prop_assert_eq!(report.tried, report.same + report.different + report.untold);
    }

    /// What a policy decided about a request it decides about the request's record.
    #[test]
    fn a_record_is_decided_as_its_request_was(
        path in "/v1/(catalogue|orders)/[a-z]{0,3}",
        address in any::<u32>(),
        near in any::<bool>(),
        beta in prop::option::of("(s3cret-beta|other)"),
    ) {
        let policy = live();
        let address = if near { format!("198.51.100.{}", address % 16) } else { std::net::Ipv4Addr::from(address).to_string() };
        let record = recorded(&policy, &path, &address, beta.as_deref());
        let report = replayed(&policy, std::slice::from_ref(&record));
        prop_assert_eq!((report.same, report.different, report.untold), (1, 0, 0), "{:?} {:?}", record, report);
    }
}
