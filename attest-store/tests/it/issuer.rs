//! What is made with the keys: tokens of every form, test tokens, and the documents of the feeds.

use attest_core::{
    b64u,
    device_key::DeviceId,
    random::SystemRandom,
    reasons::Reasons,
    revocations::Index,
    tier::Tier,
    time::{Clock, UnixTime},
    token::{
        Algorithm,
        asv::annotations,
        key_set::{Concealment, KeySet},
        verify::{Facts, Outcome, Revoked, authenticate},
    },
    verdict::Verdict,
};
use attest_store::{Bearer, DevToken, NoDevToken, Revocation, RotateWhen, Store};
use serde_json::Value;
use settings::{TokenClaims, TokenSettings};

use crate::{
    gateway,
    world::{NOW, World, admin, each_engine, token},
};

const LIFE: std::time::Duration = std::time::Duration::from_secs(300);

const KINDS: [(Algorithm, Concealment); 10] = [
    (Algorithm::HS256, Concealment::Decoy),
    (Algorithm::HS384, Concealment::Decoy),
    (Algorithm::HS512, Concealment::Decoy),
    (Algorithm::ES256, Concealment::Sealed),
    (Algorithm::ES384, Concealment::Sealed),
    (Algorithm::EdDSA, Concealment::Sealed),
    (Algorithm::RS256, Concealment::Sealed),
    (Algorithm::PS256, Concealment::Sealed),
    (Algorithm::ES256, Concealment::Open),
    (Algorithm::RS256, Concealment::Open),
];

fn store(world: &World, algorithm: Algorithm, concealment: Concealment) -> Store {
    Store::open(world.opening(&TokenSettings { algorithm, concealment, ..token() })).unwrap()
}

fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&b64u::decode(payload.as_bytes(), 8192).unwrap()).unwrap()
}

#[test]
fn every_kind_of_set_tells_gateways_and_nobody_else_who_passed() {
    for (algorithm, concealment) in KINDS {
        let world = World::sqlite();
        let store = store(&world, algorithm, concealment);
        let live = store.live().unwrap();
        let keys = gateway::keys(&live, NOW);
        let (passed, failed) = (gateway::signed(&live, true, NOW), gateway::signed(&live, false, NOW));
        let good = passed.token.unwrap();
        assert_eq!(gateway::verdict(&good, &keys, NOW), (Verdict::Attested, "good"), "{algorithm}");
        let auth = authenticate(good.as_bytes(), &keys).unwrap();
        assert!(matches!(auth.outcome(), Outcome::Genuine(Facts { build: 3, tier: Tier::Warning, .. })));
        let snapshot = live.snapshot();
        assert_eq!(snapshot.issuer.arc_key().decode(&failed.arc), Ok(Reasons::TRACER));
        if concealment == Concealment::Open {
            assert!(failed.token.is_none());
            let jwks = snapshot.issuer.jwks().unwrap().to_string();
            let anyone = KeySet::from_jwks("anyone", jwks.as_bytes()).unwrap();
            assert_eq!(anyone.keys().len(), 2, "the next key too");
            assert_eq!(gateway::verdict(&good, &anyone, NOW).0, Verdict::Attested);
            continue;
        }
        assert!(snapshot.issuer.jwks().is_none());
        let bad = failed.token.unwrap();
        assert_eq!(gateway::verdict(&bad, &keys, NOW), (Verdict::Failed, "failed_appraisal"), "{algorithm}");
        let shape = |token: &str| {
            let lengths: Vec<usize> = token.split('.').map(str::len).collect();
            let claims = payload(token);
            let members: Vec<(String, usize)> = claims
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string().len()))
                .collect();
            (token.split('.').next().unwrap().to_owned(), lengths, members)
        };
        assert_eq!(shape(&good), shape(&bad), "{algorithm}");
    }
}

#[test]
fn each_optional_claim_has_its_switch() {
    let claims_of = |claims: TokenClaims| {
        let world = World::sqlite();
        let store = Store::open(world.opening(&TokenSettings { claims, ..token() })).unwrap();
        let live = store.live().unwrap();
        let claims = payload(&gateway::token(&live, true, NOW));
        claims.as_object().unwrap().clone()
    };
    let off = TokenClaims { app: false, ver: false, ip: false, did: false, cnf: false, ipk: false };
    let least: Vec<String> = claims_of(off).keys().cloned().collect();
    assert_eq!(
        least,
        ["iss", "aud", "iat", "exp", "jti", "asv", "arc", "pay"]
            .map(str::to_owned)
            .iter()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    for (name, on) in [
        ("app", TokenClaims { app: true, ..off }),
        ("ver", TokenClaims { ver: true, ..off }),
        ("ip", TokenClaims { ip: true, ..off }),
        ("did", TokenClaims { did: true, ..off }),
        ("cnf", TokenClaims { cnf: true, ..off }),
        ("ipk", TokenClaims { ipk: true, ..off }),
    ] {
        let claims = claims_of(on);
        assert!(claims.contains_key(name) && claims.len() == least.len() + 1, "{name}");
    }
}

#[test]
fn a_test_token_has_the_verdict_that_was_asked_for_and_is_worth_nothing_elsewhere() {
    for (algorithm, concealment) in KINDS {
        let world = World::sqlite();
        let store = store(&world, algorithm, concealment);
        let issuer = store.issuer().unwrap();
        let keys = issuer.key_set().unwrap();
        for verdict in Verdict::ALL {
            let dev = DevToken {
                app: "shop",
                version: "9.9",
                as_verdict: verdict,
                tier: Tier::Affirming,
                binding: None,
                life: LIFE,
            };
            let text = match issuer.issue_dev(&dev, NOW, &SystemRandom) {
                Ok(text) => text,
                Err(refused) => {
                    assert!(matches!(refused, NoDevToken::NotATokens { .. }), "{verdict}");
                    continue;
                }
            };
            let said = |allow_dev| match gateway::judge(&text, &keys, NOW, allow_dev) {
                Ok(verified) => verified.verdict(),
                Err((verdict, _)) => verdict,
            };
            assert_eq!(said(true), verdict, "{algorithm} {verdict}");
            assert_ne!(said(false), Verdict::Attested, "{algorithm} {verdict}");
            if let Ok(auth) = authenticate(text.as_bytes(), &keys) {
                let (Outcome::Genuine(facts) | Outcome::Failed(facts)) = auth.outcome();
                assert_eq!(facts.annotations, annotations::DEV, "{algorithm} {verdict}: marked");
            }
        }
    }
}

#[test]
fn a_verdict_that_no_token_has_is_refused_with_a_sentence() {
    let world = World::sqlite();
    let open = store(&world, Algorithm::ES256, Concealment::Open).issuer().unwrap();
    let refused = |verdict| {
        let dev =
            DevToken { app: "shop", version: "1", as_verdict: verdict, tier: Tier::Warning, binding: None, life: LIFE };
        open.issue_dev(&dev, NOW, &SystemRandom).map_err(|error| error.to_string()).unwrap_err()
    };
    for verdict in [
        Verdict::Missing,
        Verdict::Unverifiable,
        Verdict::Revoked,
        Verdict::BindingMismatch,
        Verdict::ProofInvalid,
        Verdict::Replayed,
        Verdict::Failed,
    ] {
        let sentence = refused(verdict);
        assert!(sentence.starts_with(verdict.as_str()) && sentence.len() > 25, "{sentence}");
    }
}

#[test]
fn revocations_reach_a_gateway_change_by_change() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let mut index = Index::default();
        index.apply(&gateway::revocations(&live, 0, NOW)).unwrap();
        let text = gateway::token(&live, true, NOW);
        let keys = gateway::keys(&live, NOW);
        let auth = authenticate(text.as_bytes(), &keys).unwrap();
        let Outcome::Genuine(facts) = auth.outcome() else { panic!("it passed") };
        let revoked = |index: &Index| index.revokes(auth.claims(), &facts, auth.kid(), NOW).is_some();
        let things = [
            Revocation::Device(DeviceId::from_bytes([7; 16])),
            Revocation::App("shop".to_owned()),
            Revocation::Build(3),
            Revocation::Kid(auth.kid().unwrap().to_owned()),
        ];
        for thing in things {
            assert!(!revoked(&index));
            store.revoke(&admin(), &thing, "a test").unwrap();
            live.refresh();
            index.apply(&gateway::revocations(&live, index.number(), NOW)).unwrap();
            assert!(revoked(&index) && index.is_complete(), "{thing:?}");
            store.lift(&admin(), &thing, "a test").unwrap();
            live.refresh();
            index.apply(&gateway::revocations(&live, index.number(), NOW)).unwrap();
        }
        // A gateway that begins now is told nothing of what was lifted.
        let whole = gateway::revocations(&live, 0, NOW);
        assert!(whole.entries.is_empty() && whole.number == index.number() && whole.number > 0);
        // One that knows more than there is begins anew: the state was restored from a backup.
        assert_eq!(gateway::revocations(&live, whole.number + 1, NOW).from, 0);
        assert!(gateway::revocations(&live, whole.number, NOW).entries.is_empty());
    });
}

#[test]
fn more_revocations_than_fit_in_one_document_come_in_several() {
    let world = World::sqlite();
    let store = world.open();
    world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO revocations (kind, value, number, since, until, lifted, reason, made_by)
         SELECT 'build', CAST(i AS TEXT), i, 0, NULL, 0, 'a test', 'ann' FROM n",
    );
    world.sql("UPDATE counters SET value = 20000 WHERE name = 'revocation_number'");
    let live = store.live().unwrap();
    let (mut index, mut documents) = (Index::default(), 0);
    while !index.is_complete() || documents == 0 {
        index.apply(&gateway::revocations(&live, index.number(), NOW)).unwrap();
        documents += 1;
    }
    assert_eq!((index.number(), documents), (20_000, 3));
    let facts = |build| Facts { build, ..Facts::default() };
    let token = gateway::token(&live, true, NOW);
    let auth = authenticate(token.as_bytes(), &gateway::keys(&live, NOW)).unwrap();
    let revoked = |build| index.revokes(auth.claims(), &facts(build), None, NOW).is_some();
    assert!(revoked(1) && revoked(20_000) && !revoked(20_001));
}

#[test]
fn nothing_that_is_printed_shows_a_key() {
    let world = World::sqlite();
    let store = world.open();
    let issuer = store.issuer().unwrap();
    let shown = format!("{issuer:?} {store:?} {:?}", store.rotate(&admin(), RotateWhen::Now).unwrap());
    let live = store.live().unwrap();
    let document = gateway::document(&live, world.clock.now());
    for key in &document.key_sets[0].keys {
        let secret = b64u::encode(key.secret.as_ref().unwrap().as_bytes());
        assert!(!shown.contains(&secret[..16]));
    }
    assert!(!format!("{document:?}").contains(&b64u::encode(document.key_sets[0].verdict_key.as_bytes())));
}

#[test]
fn no_token_without_randomness() {
    struct Nothing;
    impl attest_core::random::Random for Nothing {
        fn fill(&self, _: &mut [u8]) -> Result<(), attest_core::random::NoRandomness> {
            Err(attest_core::random::NoRandomness)
        }
    }
    let world = World::sqlite();
    let issuer = world.open().issuer().unwrap();
    let request = gateway::request();
    let bearer =
        Bearer { request: &request, device: DeviceId::from_bytes([1; 16]), address: "192.0.2.1".parse().unwrap() };
    assert!(issuer.sign(&gateway::result(true), &bearer, UnixTime::default(), &Nothing).is_err());
}
