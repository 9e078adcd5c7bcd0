//! Attacks: files of recorded decisions, lines of the access log and a gateway's observations, as somebody hands them to `assay policy`.
//! Input: lines.
//!
//! Holds: what is read, written and read again is the same; each record is tried once, and fares the same, differently, or it can't be told;
//! whatever reads can be explained; observations that read stay within their bounds and give advice without end or panic.
#![no_main]

use std::sync::LazyLock;

use attest_core::time::UnixTime;
use libfuzzer_sys::fuzz_target;
use policies::advise::advise;
use policies::observations::{MAX_ROUTES, Observations};
use policies::recording::{Record, Replay, Sample, for_each_line};
use policies::{ResultPolicy, RouteContext, compile, explain_sample, parse_file};

const POLICY: &str = r#"
policy: shop
default: block
rules:
  - name: beta
    when: { verdict: [missing, attested], header: { X-Beta: { equals: "1" } }, not: { network: [198.51.100.0/25] } }
    then: allow
  - name: genuine
    when: { verdict: attested, app_version: { min: "3.2" }, device_age: { min: 1h } }
    then: { allow: { limits: [{ requests: 60, per: device, window: 1m }] } }
  - name: some
    when: { verdict: any, percentage: 30 }
    then: deprioritize
  - name: watched
    when: { verdict: invalid }
    then: block
    mode: monitor
"#;

static SHOP: LazyLock<ResultPolicy> = LazyLock::new(|| {
    let about = RouteContext { trusts_proxies: true, ..RouteContext::new("shop") };
    let raw = parse_file("p.yaml", POLICY).expect("YAML");
    compile(raw, "p.yaml", &about).expect("a sound policy").0
});

fuzz_target!(|data: &[u8]| {
    let mut replay = Replay::new(&SHOP, None);
    let mut lines = 0;
    for_each_line(data, |number, line| {
        lines += 1;
        if let Ok(line) = &line {
            one(line);
        }
        replay.line(number, line);
    })
    .expect("a slice reads");
    let report = replay.finish();
    assert_eq!(report.lines, lines);
    assert_eq!(report.lines, report.broken + report.others + report.ordered + report.tried);
    assert_eq!(report.tried, report.same + report.different + report.untold);

    if let Ok(seen) = Observations::from_json(data) {
        assert!(seen.routes().count() <= MAX_ROUTES);
        let again = Observations::from_json(seen.to_json().as_bytes()).expect("what was written");
        assert_eq!(again, seen);
        for route in seen.routes() {
            let _ = advise(&seen, route, UnixTime::from_secs(1_800_000_000), 7);
        }
    }
});

fn one(line: &[u8]) {
    if let Ok(record) = Record::parse(line) {
        let again = Record::parse(record.line().as_bytes()).expect("what was written");
        assert_eq!(again, record);
        if let Ok(sample) = Sample::new(record) {
            let told = explain_sample(&SHOP, &sample);
            assert!(told.recorded.is_some() && told.trace.len() <= 4);
        }
    }
    if let Some(sample) = std::str::from_utf8(line).ok().and_then(|line| Sample::from_log_line(line).ok()) {
        assert!(explain_sample(&SHOP, &sample).recorded.is_some());
    }
}
