//! Stage 3: a token seen for the first time, by HS256 (real key and decoy, as our own sets have) and by ES256; and
//! what is asked of a token on every request, which is all that is left of the stage once the token is in the cache.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use attest_core::device_key::DeviceId;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetKind, VerificationKey};
use attest_core::token::verify::{Expect, authenticate, check};
use criterion::{Criterion, criterion_group, criterion_main};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const SECRET: [u8; 32] = [1; 32];
const VERDICT_KEY: [u8; 32] = [3; 32];
const ISSUER: &str = "https://attest.bench";
const AUDIENCE: &str = "bench";

fn token(key: &SigningKey) -> String {
    let exp = NOW.plus(Duration::from_secs(300));
    let jti = [9; 16];
    let context = AsvContext { iss: ISSUER, aud: AUDIENCE, kid: key.kid(), iat: NOW, exp };
    let block = AsvBlock { passed: true, ..AsvBlock::default() };
    let asv = asv::seal(&VerdictKey::new(VERDICT_KEY), &jti_text(&jti), context, &block);
    let claims = TokenClaims {
        iss: ISSUER,
        aud: AUDIENCE,
        iat: NOW,
        exp,
        jti,
        did: Some(DeviceId::from_bytes([7; 16])),
        asv: &asv,
        arc: "aaaaaaaaaaaaaaaaaaaaaaaaaa",
        app: Some("shop"),
        ver: Some("3.10"),
        pay: None,
        cnf_jkt: None,
        ipk: None,
        ip: None,
    };
    issue(&claims, key).expect("claims of a usual size")
}

fn own(concealment: Concealment, key: VerificationKey) -> KeySet {
    KeySet::new(KeySetDraft {
        name: "default".to_owned(),
        kind: KeySetKind::Own,
        issuer: None,
        audience: None,
        concealment,
        keys: vec![key],
        verdict_key: Some(VerdictKey::new(VERDICT_KEY)),
        max_lifetime: None,
    })
    .expect("a sound key set")
}

fn hs256() -> (String, KeySet) {
    let key = SigningKey::hmac("k1", Algorithm::HS256, &SECRET).expect("a strong secret");
    let verifies = VerificationKey::hmac(Some("k1"), Algorithm::HS256, &SECRET, Some(&[2; 32])).expect("two secrets");
    (token(&key), own(Concealment::Decoy, verifies))
}

fn es256() -> (String, KeySet) {
    let pkcs8 = SigningKey::generate_pkcs8(Algorithm::ES256).expect("randomness");
    let key = SigningKey::from_pkcs8("k1", Algorithm::ES256, &pkcs8).expect("a new key");
    let jwk = key.public_jwk().expect("a key pair").to_string();
    (token(&key), own(Concealment::Open, VerificationKey::from_jwk(jwk.as_bytes()).expect("its public half")))
}

fn verify(c: &mut Criterion) {
    attest_core::install_crypto();
    for (name, (text, keys)) in [("verify_hs256_cold", hs256()), ("verify_es256_cold", es256())] {
        c.bench_function(name, |b| b.iter(|| authenticate(black_box(text.as_bytes()), &keys).is_ok()));
    }
    let (text, keys) = hs256();
    let seen = Arc::new(authenticate(text.as_bytes(), &keys).expect("a token that we signed"));
    let expect = Expect { issuer: Some(ISSUER), audience: Some(AUDIENCE), ..Expect::valid_at(NOW) };
    c.bench_function("verify_cached", |b| b.iter(|| check(black_box(&seen), &expect)));
}

criterion_group!(benches, verify);
criterion_main!(benches);
