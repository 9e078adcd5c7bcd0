//! What an app gets, and what a gateway makes of it.

use std::time::Duration;

use crate::{
    attester::{Attester, send},
    gateway::verify,
    world::{Config, Folder, MEASUREMENT, RETIRED, actor, sample},
};
use attest_core::{
    b64u,
    envelope::AttestRequest,
    evidence_kind::EvidenceKind,
    reference::Platform,
    tier::Tier,
    token::{binding::pay_text, key_set::Concealment},
    verdict::Verdict,
};

#[tokio::test]
async fn a_genuine_app_gets_a_token_that_verifies() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let reply = attester.attest_saying(&world, |request| request.binding = Some([9; 32])).await;
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!(reply.json()["expires_in"], 300);
    let verified = verify(&world, &reply.token()).await;
    assert_eq!((verified.verdict(), verified.tier()), (Verdict::Attested, Tier::Affirming));
    assert!(verified.kinds().contains(EvidenceKind::Measurement));

    let claims = claims(&reply.token());
    assert_eq!(claims["app"], "sample");
    assert_eq!(claims["ver"], "1.0");
    assert_eq!(claims["pay"], pay_text(&[9; 32]));
    assert_eq!(claims["cnf"]["jkt"], b64u::encode(&attester.key.public_key().unwrap().thumbprint()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    let chars = |name: &str| claims[name].as_str().unwrap().len();
    assert_eq!((chars("jti"), chars("did"), chars("asv"), chars("arc")), (22, 22, 43, 26));
    assert!(claims.get("ip").is_none());
}

#[tokio::test]
async fn the_same_device_key_keeps_its_id_and_another_has_another() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let did = |token: String| claims(&token)["did"].as_str().unwrap().to_owned();
    let first = did(attester.attest(&world).await.token());
    assert_eq!(did(attester.attest(&world).await.token()), first);
    assert_ne!(did(Attester::genuine().attest(&world).await.token()), first);
}

/// Says something untrue, or leaves something away, before the request is signed.
type Lie = fn(&mut AttestRequest);

#[tokio::test]
async fn whoever_fails_gets_a_token_of_the_same_shape_whose_verdict_is_failed() {
    let folder = Folder::new();
    let world = folder.start().await;
    let genuine = Attester::genuine().attest(&world).await;
    let good = genuine.token();

    let lies: [(&str, Lie); 6] = [
        ("unknown app", |request| request.app = "elpmas".to_owned()),
        ("unknown build", |request| request.version = "1.1".to_owned()),
        ("unknown label", |request| request.build = "arm".to_owned()),
        ("another platform", |request| request.platform = Platform::Ios),
        ("a tracer", |request| request.findings = vec!["tracer:gdb".to_owned()]),
        ("no Evidence", |request| request.evidence.clear()),
    ];
    for (name, lie) in lies {
        let token = Attester::genuine().attest_saying(&world, lie).await.token();
        assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed, "{name}");
    }
    let retired = Attester { measurement: RETIRED, ..Attester::genuine() };
    let token = retired.attest_saying(&world, |request| request.version = "0.9".to_owned()).await.token();
    assert_eq!(token.len(), good.len());
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed, "retired");
    let token = Attester::patched().attest(&world).await.token();
    assert_eq!(token.len(), good.len());
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed, "patched");
}

#[tokio::test]
async fn evidence_can_not_be_moved_to_another_request() {
    let folder = Folder::new();
    let world = folder.start().await;
    let other = Attester::genuine();
    let swaps: [(&str, Lie); 8] = [
        ("app", |request| request.app = "other".to_owned()),
        ("version", |request| request.version = "0.9".to_owned()),
        ("build", |request| request.build = "x".to_owned()),
        ("device facts", |request| request.device.clear()),
        ("findings", |request| request.findings = vec!["root".to_owned()]),
        ("binding", |request| request.binding = Some([1; 32])),
        ("MAC", |request| request.evidence[0].data[31] ^= 1),
        ("signature", |request| request.signature[40] ^= 1),
    ];
    for (name, swap) in swaps {
        let mut request = other.request(&world.challenge().await, |_| ());
        swap(&mut request);
        let token = send(&world, &request).await.token();
        assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed, "{name}");
    }
    // Another device key under the same Evidence, signed by that key: the MAC does not cover it.
    let thief = Attester::genuine();
    let mut request = other.request(&world.challenge().await, |_| ());
    request.device_key = thief.key.public_key().unwrap();
    request.signature = thief.key.sign(&request.transcript(crate::world::KEY_SET)).unwrap();
    let token = send(&world, &request).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);
}

/// A folder's settings with other words under `token:`.
fn of_token(folder: &Folder, token: &str) -> attest_service::ServiceSettings {
    folder.settings_of(&Config { token: token.to_owned(), ..Config::default() })
}

#[tokio::test]
async fn every_algorithm_conceals_as_it_can() {
    for (algorithm, concealments) in [
        ("HS256", &["decoy"][..]),
        ("HS384", &["decoy"]),
        ("HS512", &["decoy"]),
        ("ES256", &["sealed", "open"]),
        ("ES384", &["sealed", "open"]),
        ("EdDSA", &["sealed", "open"]),
        ("RS256", &["sealed", "open"]),
        ("PS256", &["sealed", "open"]),
    ] {
        for concealment in concealments {
            let folder = Folder::new();
            let token = format!("algorithm: {algorithm}, concealment: {concealment}");
            let world = folder.start_with(of_token(&folder, &token)).await;
            let passed = Attester::genuine().attest(&world).await.token();
            assert_eq!(verify(&world, &passed).await.verdict(), Verdict::Attested, "{token}");
            let failed = Attester::patched().attest(&world).await;
            if *concealment == "open" {
                assert_eq!((failed.status, failed.code().as_str()), (403, "refused"), "{token}");
                assert!(failed.json().get("token").is_none());
                continue;
            }
            let failed = failed.token();
            assert_eq!(verify(&world, &failed).await.verdict(), Verdict::Failed, "{token}");
            assert_eq!(passed.split('.').next(), failed.split('.').next(), "{token}");
            assert_eq!(passed.len(), failed.len(), "{token}");
        }
    }
}

#[tokio::test]
async fn a_decoy_under_an_asymmetric_algorithm_does_not_start() {
    let folder = Folder::new();
    let mut settings = of_token(&folder, "algorithm: ES256, concealment: open");
    settings.token.concealment = Concealment::Decoy;
    let Err(refused) = folder.try_start(settings).await else { panic!("it started") };
    assert!(refused.to_string().contains("HMAC"), "{refused}");
}

#[tokio::test]
async fn claims_can_be_left_out_and_put_in() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    let claims_said = &mut settings.token.claims;
    (claims_said.app, claims_said.ver, claims_said.cnf, claims_said.ip) = (false, false, false, true);
    (claims_said.did, claims_said.ipk) = (false, true);
    let world = folder.start_with(settings).await;
    let reply = Attester::genuine().attest(&world).await;
    let claims = claims(&reply.token());
    for absent in ["app", "ver", "cnf", "did"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    assert_eq!(claims["ip"], "127.0.0.1");
    assert!(claims["ipk"].as_str().unwrap().len() > 100);
    assert_eq!(verify(&world, &reply.token()).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn what_another_process_registers_holds_within_a_second() {
    let folder = Folder::new();
    let settings = folder.settings();
    let world = folder.start_with(settings.clone()).await;
    let elsewhere = folder.try_start(settings).await.unwrap();
    let attester = Attester::genuine();
    let newer = |request: &mut AttestRequest| request.version = "2.0".to_owned();
    let before = attester.attest_saying(&world, newer).await.token();
    assert_eq!(verify(&world, &before).await.verdict(), Verdict::Failed);

    let generation = world.handle.health().registry_generation;
    elsewhere.store(|store| store.register(&actor(), &sample("2.0", MEASUREMENT)).unwrap()).await;
    let began = tokio::time::Instant::now();
    while world.handle.health().registry_generation == generation {
        assert!(began.elapsed() < Duration::from_secs(1), "not within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = attester.attest_saying(&world, newer).await.token();
    assert_eq!(verify(&world, &after).await.verdict(), Verdict::Attested);
}

pub fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&b64u::decode(payload.as_bytes(), 8192).unwrap()).unwrap()
}
