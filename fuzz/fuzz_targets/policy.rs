//! Attacks: policy files, as an operator or a pull request brings them. Input: a byte for the route, then YAML.
//!
//! Holds: each problem has its place in the file and can be shown, without a control byte of the file's; the same text
//! gives the same problems; what loads decides, and `explain` says what `decide` does; no refusal or lack of a token
//! opens a key.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use attest_core::verdict::Verdict;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use policies::{
    Decision, FailSafe, Mode, RequestFacts, RouteContext, Severity, Subject, check_text, compile, explain, parse_file,
};

fuzz_target!(|data: &[u8]| {
    let Some((route, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let now = UnixTime::from_secs(1_800_000_000);
    let about = RouteContext {
        injects: route & 1 != 0,
        trusts_proxies: route & 2 != 0,
        now: Some(now),
        ..RouteContext::new("shop")
    };

    let problems = check_text("p.yaml", text, &about);
    assert_eq!(problems, check_text("p.yaml", text, &about));
    // As YAML counts them: a carriage return alone ends a line, too.
    let lines = text.split(['\n', '\r']).count();
    for problem in &problems {
        assert!(problem.line <= lines + 1, "line {} of {lines}", problem.line);
        assert!(!problem.message.is_empty() && problem.width > 0 && problem.file == "p.yaml");
        let shown = problem.render(text);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a file writes to the terminal: {shown:?}");
    }
    let compiled = parse_file("p.yaml", text).and_then(|raw| compile(raw, "p.yaml", &about));
    assert_eq!(compiled.is_err(), problems.iter().any(|problem| problem.severity == Severity::Error));
    let Ok((policy, _)) = compiled else { return };

    let mut headers = HeaderMap::new();
    headers.insert("x-client", http::HeaderValue::from_static("shop/1.0"));
    for (method, path) in [(Method::GET, "/v1/catalogue/items"), (Method::POST, "/v1/chat?x=1"), (Method::DELETE, "/")]
    {
        let target = Target::parse(
            &method,
            Scheme::Https,
            "api.example.com",
            &PathAndQuery::from_static(path),
            TargetOptions::default(),
        );
        let what = RequestFacts {
            target: &target.expect("a target"),
            route: "shop",
            address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
            headers: &headers,
            injects: about.injects,
            fail_safe: if route & 4 == 0 { FailSafe::Refuse } else { FailSafe::Deprioritize },
            now,
            caller: None,
            user: None,
            mode: Mode::Normal,
        };
        for verdict in Verdict::ALL {
            let explained = explain(&policy, &Subject::supposed(verdict), &what);
            let who = match verdict {
                Verdict::Attested => continue,
                Verdict::Missing => Verified::missing(),
                Verdict::Unverifiable => Verified::unverifiable("fuzzing"),
                verdict if verdict.is_invalid() => Verified::refused(verdict, "fuzzing", false),
                // Those stand on a genuine token, which a text alone can't make.
                _ => continue,
            };
            let decision = policy.decide(who, &what);
            let why = decision.why();
            assert_eq!((why.rule(), why.action().as_str()), (explained.rule.as_str(), explained.action), "{verdict:?}");
            if let Decision::Permit(permit) = &decision {
                assert!(permit.unseal().is_none() && !about.injects, "{verdict:?} passes on a route with a key");
            }
        }
    }
});
