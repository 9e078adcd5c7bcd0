use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use http::header::AUTHORIZATION;
use serde_json::json;

use super::*;
use crate::bearer::sha256;
use crate::jwt::tests::{NOW, SECRET, claims, issuer, jwt};
use crate::webhook::{Scheme, WebhookSecret};

const KEY: HeaderName = HeaderName::from_static("x-partner-key");
const PARTNER: &str = "partner-token-of-some-length";

fn bearer(name: &str, token: &str, from: Vec<Place>) -> Arc<Caller> {
    let hashes = BearerHashes::new(vec![sha256(token.as_bytes())]).unwrap();
    Arc::new(Caller { name: name.into(), proof: Proof::Bearer { hashes, from } })
}

fn webhook(name: &str, secret: &[u8], scheme: Scheme, max_body: u64) -> Arc<Caller> {
    let secrets = vec![WebhookSecret::from_text(secret).unwrap()];
    let webhook = Webhook::new(scheme, secrets, Duration::from_secs(300)).unwrap();
    Arc::new(Caller { name: name.into(), proof: Proof::Webhook { webhook, max_body } })
}

fn partner_jwt(demands: Demands) -> Arc<Caller> {
    let proof = Proof::Jwt { issuer: issuer("partners"), demands, from: vec![Place::Bearer] };
    Arc::new(Caller { name: "globex".into(), proof })
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, value.parse().unwrap());
    }
    map
}

fn prove(callers: Vec<Arc<Caller>>, pairs: &[(HeaderName, &str)]) -> Answer {
    RouteCallers::new(callers).prove(&headers(pairs), None, &JwtCache::new(), UnixTime::from_secs(NOW))
}

fn nobody(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Nobody(why) => *why,
        other => panic!("{other:?}"),
    }
}

fn proven(answer: Answer) -> Proven {
    match answer {
        Answer::Proven(proven) => proven,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_or_doubled_credential_proves_nobody() {
    let acme = || vec![bearer("acme", PARTNER, vec![Place::Bearer, Place::Header(KEY)])];
    assert_eq!(nobody(&prove(acme(), &[])), None);
    assert_eq!(nobody(&prove(acme(), &[(KEY, "partner-token-of-some-lengtH")])), Some("bearer_unknown"));
    assert_eq!(nobody(&prove(acme(), &[(AUTHORIZATION, PARTNER)])), None);
    let right = format!("Bearer {PARTNER}");
    for other in [PARTNER, "x"] {
        assert_eq!(nobody(&prove(acme(), &[(AUTHORIZATION, &right), (KEY, other)])), Some("several_credentials"));
    }
    assert_eq!(nobody(&prove(acme(), &[(KEY, PARTNER), (KEY, PARTNER)])), Some("several_credentials"));
    // The hash that stands in the configuration opens nothing.
    assert_eq!(nobody(&prove(acme(), &[(KEY, &HEXLOWER.encode(&sha256(PARTNER.as_bytes())))])), Some("bearer_unknown"));
}

#[test]
fn the_first_caller_that_is_proven_counts_and_his_credential_is_known() {
    let callers = || {
        vec![
            bearer("acme", PARTNER, vec![Place::Bearer]),
            bearer("other", "another-token-here", vec![Place::Header(KEY)]),
        ]
    };
    let both = [(AUTHORIZATION, "Bearer partner-token-of-some-length"), (KEY, "another-token-here")];
    let first = proven(prove(callers(), &both));
    assert_eq!((first.name(), first.means(), first.credential()), ("acme", Means::Bearer, Some(&AUTHORIZATION)));
    assert_eq!(proven(prove(callers(), &both[1..])).name(), "other");
    let always: Vec<_> = RouteCallers::new(callers()).credential_headers().cloned().collect();
    assert_eq!(always, [KEY]);
}

/// A route may know dozens of partners by one issuer, and anybody can make up a token.
#[test]
fn a_made_up_jwt_is_verified_once_however_many_callers_its_issuer_vouches_for() {
    let (one, other) = (issuer("partners"), JwtIssuer { id: 8, ..issuer("others") });
    let (forged, good) = (jwt(b"another secret of 32 bytes.....", &claims(json!({}))), jwt(SECRET, &claims(json!({}))));
    let jwts = JwtCache::new();
    let mut looked = Looked { jwts: &jwts, now: UnixTime::from_secs(NOW), refused: SmallVec::new() };
    for _ in 0..64 {
        assert_eq!(looked.at(&one, forged.as_bytes()).unwrap_err(), "signature_wrong");
        assert!(looked.at(&one, good.as_bytes()).is_ok(), "another text is looked at for itself");
    }
    assert_eq!(looked.refused.len(), 1);
    assert_eq!(looked.at(&other, forged.as_bytes()).unwrap_err(), "signature_wrong");
    assert_eq!(looked.refused.len(), 2, "and so is another issuer's word");
}

#[test]
fn a_jwt_has_to_say_what_is_demanded() {
    let demands = || Demands {
        subjects: vec!["svc-1".to_owned(), "svc-2".to_owned()],
        claims: vec![("scope".to_owned(), vec![json!("orders"), json!("all")])],
    };
    let with = |more: Value| {
        let bearer = format!("Bearer {}", jwt(SECRET, &claims(more)));
        prove(vec![partner_jwt(demands())], &[(AUTHORIZATION, &bearer)])
    };
    for (sub, scope) in [("svc-1", json!("orders")), ("svc-2", json!(["read", "all"]))] {
        let globex = proven(with(json!({ "sub": sub, "scope": scope })));
        assert_eq!((globex.name(), globex.means()), ("globex", Means::Jwt));
    }
    for (sub, scope) in [
        ("svc-3", json!("orders")),
        ("svc-1", json!("orders all")),
        ("svc-1", json!([["all"]])),
        ("svc-1", json!({ "all": 1 })),
    ] {
        assert_eq!(nobody(&with(json!({ "sub": sub, "scope": scope }))), Some("claims_differ"));
    }
    assert_eq!(nobody(&with(json!({ "sub": "svc-1" }))), Some("claims_differ"));
    assert_eq!(nobody(&with(json!({ "sub": null }))), Some("sub_not_text"));
    let expired = with(json!({ "sub": "svc-1", "scope": "orders", "exp": NOW - 31 }));
    assert_eq!(nobody(&expired), Some("exp_passed"));
}

fn github(secret: &[u8], body: &[u8]) -> String {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    format!("sha256={}", HEXLOWER.encode(mac.as_ref()))
}

#[test]
fn of_two_webhooks_with_one_header_the_one_that_signed_is_it() {
    let header = HeaderName::from_static("x-hub-signature-256");
    let secrets = [&b"the secret of the first one"[..], b"the secret of the second one"];
    let callers =
        || vec![webhook("one", secrets[0], Scheme::GitHub, 100), webhook("two", secrets[1], Scheme::GitHub, 10)];
    let signed = |secret: &[u8], body: &[u8]| {
        let Answer::Signed(mut signed) = prove(callers(), &[(header.clone(), &github(secret, body))]) else { panic!() };
        assert_eq!(signed.max_body(), 100);
        signed.update(body);
        signed.finish(body.len() as u64, &Deliveries::new(), UnixTime::from_secs(NOW))
    };
    assert_eq!(signed(secrets[0], b"{}").unwrap().name(), "one");
    let two = signed(secrets[1], b"{}").unwrap();
    assert_eq!((two.name(), two.means(), two.credential()), ("two", Means::Webhook, None));
    assert_eq!(signed(b"the secret of nobody at all", b"{}").unwrap_err(), "signature_wrong");
    assert_eq!(signed(secrets[1], b"eleven byte").unwrap_err(), "body_too_large");
    assert_eq!(nobody(&prove(callers(), &[(header.clone(), "sha256=zz")])), Some("signature_malformed"));
}

#[test]
fn no_debug_shows_a_secret() {
    let callers = RouteCallers::new(vec![
        bearer("acme", PARTNER, vec![Place::Bearer]),
        webhook("hook", b"the secret of a webhook", Scheme::Stripe, 1),
    ]);
    let shown = format!("{callers:?}");
    for secret in [PARTNER, "the secret", &HEXLOWER.encode(&sha256(PARTNER.as_bytes()))] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
