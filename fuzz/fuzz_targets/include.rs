//! Attacks: the files that a policy includes. Input: several texts, cut at the byte 0xff; the first is the policy, the others are
//! called `1`, `2` and so on.
//!
//! Holds: however they include each other, the loader reads a bounded number of them and ends; the same texts give the same problems;
//! each problem lies in a file that was read; what loads gives nobody without a token a key.
#![no_main]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use policies::{Decision, FailSafe, Includes, Mode, RequestFacts, RouteContext, check_text, compile, parse_file};

struct Texts<'t> {
    texts: Vec<&'t str>,
    read: Cell<usize>,
}

impl Includes for Texts<'_> {
    fn read(&self, path: &str) -> Result<(String, String), String> {
        self.read.set(self.read.get() + 1);
        let text = path.parse::<usize>().ok().filter(|number| *number > 0).and_then(|number| self.texts.get(number));
        text.map(|text| (path.to_owned(), (*text).to_owned())).ok_or_else(|| "it is not there".to_owned())
    }
}

fuzz_target!(|data: &[u8]| {
    let texts: Option<Vec<&str>> = data.split(|byte| *byte == 0xff).map(|text| std::str::from_utf8(text).ok()).collect();
    let Some(texts) = texts else { return };
    let files = Texts { texts, read: Cell::new(0) };
    let Some(policy) = files.texts.first() else { return };
    let about = RouteContext { injects: true, files: &files, ..RouteContext::new("shop") };

    let problems = check_text("p.yaml", policy, &about);
    assert!(files.read.get() <= 64, "{} files were read", files.read.get());
    assert_eq!(problems, check_text("p.yaml", policy, &about));
    for problem in &problems {
        let of = match problem.file.as_str() {
            "p.yaml" => policy,
            number => number.parse::<usize>().ok().and_then(|number| files.texts.get(number)).expect("a file that was read"),
        };
        assert!(problem.line <= of.split(['\n', '\r']).count() + 1);
        let shown = problem.render(of);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    }
    let Ok((policy, _)) = parse_file("p.yaml", policy).and_then(|raw| compile(raw, "p.yaml", &about)) else { return };
    let path = PathAndQuery::from_static("/v1/items");
    let target = Target::parse(&Method::GET, Scheme::Https, "api.example.com", &path, TargetOptions::default());
    let headers = HeaderMap::new();
    let what = RequestFacts {
        target: &target.expect("a target"),
        route: "shop",
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        headers: &headers,
        injects: true,
        fail_safe: FailSafe::Deprioritize,
        now: UnixTime::from_secs(1_800_000_000),
        caller: None,
        user: None,
        mode: Mode::Normal,
    };
    assert!(matches!(policy.decide(Verified::missing(), &what), Decision::Refuse(_)));
});
