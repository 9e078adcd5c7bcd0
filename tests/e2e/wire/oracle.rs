//! The service and the gateway as an attacker sees them: nothing tells a good guess from a bad one.

use std::collections::BTreeSet;

use attest_core::envelope::AttestRequest;
use e2e::attester::{Attester, Service};
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wire::{Answer, call, get};
use serde_json::Value;

const KEY: &str = "sk_live_0123456789abcdef";

/// All that a client sees of an attestation, but what must be random or tells the time.
fn shape(answer: &Answer) -> String {
    let body = answer.json();
    let token = body["token"].as_str().unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
    let parts: Vec<_> = token.split('.').collect();
    let claims = data_encoding::BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap();
    let claims: serde_json::Map<String, Value> = serde_json::from_slice(&claims).unwrap();
    let claims: Vec<_> = claims
        .iter()
        .map(|(name, value)| match name.as_str() {
            "iss" | "aud" | "app" | "ver" => format!("{name}={value}"),
            _ => format!("{name}:{}", value.to_string().len()),
        })
        .collect();
    let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| name != "date").collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    format!(
        "{} {headers:?} {} expires {} {} {claims:?} {lengths:?}",
        answer.status,
        answer.body.len(),
        body["expires_in"],
        parts[0]
    )
}

#[test]
fn an_attestation_looks_the_same_whether_the_app_passed_and_whatever_it_failed_by() {
    for apart in [false, true] {
        let api = Recorder::start();
        let house = if apart {
            House::apart(Files::new(), &api.address, KEY)
        } else {
            House::together(Files::new(), &api.address, KEY)
        };
        let (genuine, patched) = (Attester::genuine(), Attester::patched());
        let mut passed = BTreeSet::new();
        let mut failed = BTreeSet::new();
        let verdicts = |answer: &Answer| {
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            house.get_as(&token, "/own/x").status
        };
        type Say = fn(&mut AttestRequest);
        let ways: [(&str, Say); 4] = [
            ("nothing else", |_| ()),
            ("a tracer", |request| request.findings = vec!["tracer".into()]),
            ("another fact", |request| request.device = vec![("os".into(), "other".into())]),
            ("no evidence", |request| request.evidence.clear()),
        ];
        for _ in 0..5 {
            let good = genuine.attest(&house.service, |_| ());
            assert_eq!(verdicts(&good), 200);
            passed.insert(shape(&good));
            for (what, say) in ways {
                let bad = patched.attest(&house.service, say);
                assert_eq!(verdicts(&bad), 403, "{what}");
                failed.insert(shape(&bad));
            }
            let traced = genuine.attest(&house.service, ways[1].1);
            assert_eq!(verdicts(&traced), 403, "a tracer counts against a genuine measurement");
            failed.insert(shape(&traced));
            // A signature by another key, made over the same transcript.
            let challenge = house.service.challenge();
            let mut forged = genuine.request(&challenge, |_| ());
            forged.signature = patched.request(&challenge, |_| ()).signature;
            let forged = house.service.attest(&forged);
            assert_eq!(verdicts(&forged), 403);
            failed.insert(shape(&forged));
        }
        assert_eq!(passed.len(), 1, "{passed:#?}");
        assert_eq!(passed, failed, "apart: {apart}");
        // An app and a version that nobody knows: the same but for their own echo, which the client knows.
        let stranger = patched.attest(&house.service, |request| {
            request.app = "shap".into();
            request.version = "9.9".into();
        });
        assert!(verdicts(&stranger) == 403);
        let echoed = shape(&stranger).replace("shap", "shop").replace("9.9", "1.0");
        assert!(passed.contains(&echoed), "{echoed}\n{passed:#?}");
    }
}

#[test]
fn refused_tokens_look_the_same_whatever_is_wrong_with_them() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let genuine = house.token();
    let failed = Attester::patched().token(&house.service);
    let parts: Vec<_> = genuine.split('.').collect();
    let flipped = |part: &str| {
        part.chars()
            .enumerate()
            .map(|(at, c)| if at == 5 { if c == 'A' { 'B' } else { 'A' } } else { c })
            .collect::<String>()
    };
    let cases = [
        ("failed", failed, "failed"),
        ("a changed signature", format!("{}.{}.{}", parts[0], parts[1], flipped(parts[2])), "bad_signature"),
        ("a cut signature", genuine[..genuine.len() - 4].to_owned(), ""),
        ("no token at all", "nonsense".to_owned(), "malformed"),
        (
            "somebody's JWT",
            "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQwMDAwMDAwMDB9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "",
        ),
        ("alg none", format!("eyJhbGciOiJub25lIn0.{}.", parts[1]), "malformed"),
    ];
    let mut shapes = BTreeSet::new();
    for (what, token, verdict) in cases {
        let answer = house.get_as(&token, "/paid/v1/paid");
        assert_eq!((answer.status, answer.code()), (403, "refused".to_owned()), "{what}");
        let told = house.log_of(&answer)["verdict"].clone();
        assert!(told != "attested" && (verdict.is_empty() || told == verdict), "{what}: {told}");
        shapes.insert(answer.shape());
    }
    assert_eq!(shapes.len(), 1, "{shapes:#?}");
    let missing = house.get("/paid/v1/paid", &[]);
    assert_eq!(
        (missing.status, missing.code(), missing.header("www-authenticate")),
        (401, "attestation_required".to_owned(), Some("Assay"))
    );
    assert!(api.seen().is_empty());
}

#[test]
fn a_challenge_serves_one_transcript_and_a_lost_answer_can_be_had_again() {
    let api = Recorder::start();
    let house = House::apart(Files::new(), &api.address, KEY);
    let service = &house.service;
    let attester = Attester::genuine();
    let challenge = service.challenge();
    let request = attester.request(&challenge, |_| ());
    let first = service.attest(&request);
    assert_eq!(first.status, 200);
    assert_eq!(service.attest(&request).json()["token"], first.json()["token"], "the answer got lost");
    for other in [
        attester.request(&challenge, |request| request.version = "1.1".into()),
        Attester::genuine().request(&challenge, |_| ()),
    ] {
        let answer = service.attest(&other);
        assert_eq!((answer.status, answer.code()), (409, "challenge_spent".to_owned()));
    }
    // Not ours, and ours from another life of the service.
    let strange = attester.request(&[1; 73], |_| ());
    assert_eq!(
        (service.attest(&strange).status, service.attest(&strange).code()),
        (410, "challenge_expired".to_owned())
    );
    let old = service.challenge();
    let mut house = house;
    house.kill_service();
    house.start_service();
    let answer = house.service.attest(&attester.request(&old, |_| ()));
    assert_eq!((answer.status, answer.code()), (410, "challenge_expired".to_owned()));
}

#[test]
fn what_is_no_envelope_is_told_before_any_evidence_is_looked_at() {
    let api = Recorder::start();
    for house in [House::together(Files::new(), &api.address, KEY), House::apart(Files::new(), &api.address, KEY)] {
        let service: &Service = &house.service;
        let problem = |answer: Answer| {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
            (answer.status, answer.code())
        };
        for body in ["", "{", "[]", "null", "{\"challenge\":\"\"}", "{\"a\":1,\"a\":2}"] {
            assert_eq!(
                problem(service.post("/attest", body.as_bytes())),
                (400, "not_an_envelope".to_owned()),
                "{body:?}"
            );
        }
        let good = Attester::genuine().request(&service.challenge(), |_| ()).to_json().to_string();
        let twice = good.replacen('{', "{\"app\":\"shop\",", 1);
        assert_eq!(problem(service.post("/attest", twice.as_bytes())), (400, "not_an_envelope".to_owned()));
        let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
        assert_eq!(problem(service.post("/attest", padded(64 * 1024 + 1).as_bytes())), (413, "too_large".to_owned()));
        assert_eq!(service.post("/attest", padded(64 * 1024).as_bytes()).status, 200, "at the bound it is one");
        assert_eq!(service.post("/challenge", &vec![b' '; 70_000]).status, 413);
        assert_eq!(call(&service.address, "GET", &format!("{}/attest", service.path), &[], b"").status, 405);
        assert_eq!(service.post("/nothing", b"{}").status, 404);
        // What is for gateways alone: not for clients, and through the public door not even with a guess.
        for headers in [&[][..], &[("Authorization", "Bearer guess")]] {
            let answer = get(&service.address, &format!("{}/gateway/keysets", service.path), headers);
            assert!(answer.status == 401 || answer.status == 404, "{}", answer.status);
            assert!(!answer.text().contains("payload"));
        }
        let fresh = service.post("/challenge", b"");
        assert_eq!((fresh.status, fresh.header("cache-control")), (200, Some("no-store")));
    }
    assert!(api.seen().is_empty());
}
