//! Stage 4: a decision must not cost more for rules that can't match. Ten such rules beside a thousand, once told apart
//! by verdict and once by path; at the end the ratios of a thousand to ten.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use criterion::{Criterion, criterion_group, criterion_main};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use policies::{FailSafe, Mode, RequestFacts, ResultPolicy, RouteContext, compile, parse_file};

/// `rules` rules made by `rule`, and one at the end that matches.
fn policy(rules: usize, rule: impl Fn(usize) -> String) -> ResultPolicy {
    let mut text = String::from("default: block\nrules:\n");
    for number in 0..rules {
        let _ = writeln!(text, "  - {{ name: r{number}, {} }}", rule(number));
    }
    text.push_str("  - { name: anyone, when: { verdict: missing }, then: deprioritize }\n");
    let raw = parse_file("bench.yaml", &text).expect("YAML");
    compile(raw, "bench.yaml", &RouteContext::new("bench")).expect("a sound policy").0
}

/// Rules for another verdict.
fn elsewhere(rules: usize) -> ResultPolicy {
    policy(rules, |number| format!("when: {{ verdict: attested, app: app{number} }}, then: allow"))
}

/// Rules for other paths.
fn paths(rules: usize) -> ResultPolicy {
    policy(rules, |number| format!("when: {{ verdict: any, path: /v1/part{number}/** }}, then: block"))
}

fn decide(c: &mut Criterion) {
    let path = PathAndQuery::from_static("/v1/items/7");
    let target =
        Target::parse(&Method::GET, Scheme::Https, "api.bench", &path, TargetOptions::default()).expect("a target");
    let headers = HeaderMap::new();
    let facts = RequestFacts {
        target: &target,
        route: "bench",
        address: [192, 0, 2, 7].into(),
        headers: &headers,
        injects: false,
        fail_safe: FailSafe::Refuse,
        now: UnixTime::from_secs(1_800_000_000),
        caller: None,
        user: None,
        mode: Mode::Normal,
    };
    let mut ratios = Vec::new();
    for (kind, of) in [("verdict", elsewhere as fn(usize) -> ResultPolicy), ("path", paths)] {
        let (few, many) = (of(10), of(1000));
        for (rules, policy) in [(10, &few), (1000, &many)] {
            c.bench_function(&format!("decide_{kind}_{rules}"), |b| {
                b.iter(|| policy.decide(Verified::missing(), black_box(&facts)));
            });
        }
        ratios.push((kind, least(&many, &facts).as_secs_f64() / least(&few, &facts).as_secs_f64()));
    }
    for (kind, ratio) in ratios {
        println!("decide: 1,000 rules for another {kind} cost {ratio:.2} of 10");
    }
}

/// The least time of many thousand decisions: what noise adds, it does not take away.
fn least(policy: &ResultPolicy, facts: &RequestFacts<'_>) -> Duration {
    let run = |_| {
        let begin = Instant::now();
        for _ in 0..10_000 {
            black_box(policy.decide(Verified::missing(), black_box(facts)));
        }
        begin.elapsed()
    };
    (0..50).map(run).min().unwrap_or_default()
}

criterion_group!(benches, decide);
criterion_main!(benches);
