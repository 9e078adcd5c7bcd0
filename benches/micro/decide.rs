//! Stage 4: a decision must not cost more for rules that can't match, nor for routes that a request does not take. Ten of
//! them beside a thousand, told apart by verdict, by path, and with as many routes to be found first; and a list of
//! 100,000 networks beside one of ten. At the end the ratios.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use attest_core::target::{PathGlob, Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use criterion::{Criterion, criterion_group, criterion_main};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use policies::lists::{Kind, List, Lists};
use policies::{FailSafe, Mode, RequestFacts, ResultPolicy, RouteContext, compile, parse_file};
use settings::{HostPattern, RouteIndex, RouteMatcher};

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

/// A rule that asks a list of so many networks, none of them the client's.
fn listed(networks: usize) -> ResultPolicy {
    let text = (0..networks).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "10.{}.{}.{}/31", n / 32_768, n / 128 % 256, n % 128 * 2);
        text
    });
    let list = List::parse(Kind::Networks, "networks.txt", &text).expect("a list");
    let lists = Lists::from([("inside".to_owned(), list)]);
    let raw = parse_file(
        "bench.yaml",
        "{ default: block, rules: [\
         { name: inside, when: { verdict: any, network: { list: inside } }, then: block },\
         { name: anyone, when: { verdict: missing }, then: deprioritize }] }",
    );
    let about = RouteContext { lists: &lists, ..RouteContext::new("bench") };
    compile(raw.expect("YAML"), "bench.yaml", &about).expect("a sound policy").0
}

/// So many routes below one host and one segment, and the one that is asked for.
fn routes(count: usize) -> RouteIndex {
    let matcher = |path: &str| RouteMatcher {
        host: HostPattern::Exact("api.bench".to_owned()),
        path: PathGlob::parse(path).expect("a pattern"),
    };
    let mut matchers: Vec<_> = (0..count).map(|n| matcher(&format!("/v1/part{n}/**"))).collect();
    matchers.push(matcher("/v1/items/**"));
    RouteIndex::new(&matchers)
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
        let time = |policy: &ResultPolicy| least(|| drop(black_box(policy.decide(Verified::missing(), &facts))));
        ratios.push((format!("1,000 rules for another {kind}"), time(&many) / time(&few)));
    }
    // Rules and routes together, as a request meets them: first its route, then that route's policy.
    let whole = |count: usize| {
        let (index, policy) = (routes(count), paths(count));
        move |facts: &RequestFacts<'_>| {
            black_box(index.find(facts.target.host(), facts.target.path()));
            black_box(policy.decide(Verified::missing(), facts));
        }
    };
    let (few, many) = (whole(10), whole(1000));
    c.bench_function("route_and_decide_10", |b| b.iter(|| few(black_box(&facts))));
    c.bench_function("route_and_decide_1000", |b| b.iter(|| many(black_box(&facts))));
    ratios.push(("1,000 routes and 1,000 rules".to_owned(), least(|| many(&facts)) / least(|| few(&facts))));
    let (few, many) = (listed(10), listed(100_000));
    c.bench_function("decide_list_100000", |b| b.iter(|| many.decide(Verified::missing(), black_box(&facts))));
    let time = |policy: &ResultPolicy| least(|| drop(black_box(policy.decide(Verified::missing(), &facts))));
    ratios.push(("a list of 100,000 networks".to_owned(), time(&many) / time(&few)));
    for (what, ratio) in ratios {
        println!("decide: {what}: {ratio:.2} of ten");
    }
}

/// Seconds that many thousand of it take at least: what noise adds, it does not take away.
fn least(mut once: impl FnMut()) -> f64 {
    let run = |_| {
        let begin = Instant::now();
        for _ in 0..10_000 {
            once();
        }
        begin.elapsed()
    };
    (0..50).map(run).min().unwrap_or_default().as_secs_f64()
}

criterion_group!(benches, decide);
criterion_main!(benches);
