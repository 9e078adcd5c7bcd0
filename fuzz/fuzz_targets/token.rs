//! Attacks: `authenticate`, `inspect` and `check`, with a token's text, against three fixed key sets.
//!
//! Holds: both readers agree; only the text that was issued is genuine (no second spelling of a token, nothing added or
//! left out); a token past its life is not attested; and the unverified `exp` is the verified one.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use assay_fuzz::{edited, halves};
use attest_core::b64u;
use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::EvidenceKinds;
use attest_core::random::SeededRandom;
use attest_core::reasons::Reasons;
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::arc::ArcKey;
use attest_core::token::asv::{AsvBlock, AsvContext, VerdictKey, seal};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetKind, VerificationKey};
use attest_core::token::verify::{DEFAULT_LEEWAY, Expect, Outcome, authenticate, check, inspect, unverified_exp};
use attest_core::verdict::Verdict;
use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"fuzzing: a secret of 32 bytes...";
const DECOY: &[u8] = b"fuzzing: the decoy beside it....";
const VERDICT: [u8; 32] = [7; 32];
const ISSUED: UnixTime = UnixTime::from_secs(1_700_000_000);
const ENDS: UnixTime = UnixTime::from_secs(1_700_000_300);
/// P-256's generator: on the curve, and nobody's key.
const PUBLIC: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k1",
    "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;

static KEY_SETS: LazyLock<[KeySet; 3]> = LazyLock::new(|| {
    attest_core::install_crypto();
    let hmac = |decoy| VerificationKey::hmac(Some("k1"), Algorithm::HS256, SECRET, decoy).expect("a strong secret");
    let own = KeySetDraft {
        name: "default".to_owned(),
        kind: KeySetKind::Own,
        issuer: Some("assay".to_owned()),
        audience: Some("shop".to_owned()),
        concealment: Concealment::Decoy,
        keys: vec![hmac(Some(DECOY))],
        verdict_key: Some(VerdictKey::new(VERDICT)),
        max_lifetime: Some(Duration::from_secs(600)),
    };
    [
        KeySet::new(own).expect("a key set"),
        KeySet::new(KeySetDraft::imported("partner", vec![hmac(None)])).expect("a key set"),
        KeySet::from_jwks("public", PUBLIC.as_bytes()).expect("a key set"),
    ]
});

static GENUINE: LazyLock<String> = LazyLock::new(|| {
    let (jti, block) =
        ([3; 16], AsvBlock { passed: true, tier: Tier::Affirming, kinds: EvidenceKinds::EMPTY, ..AsvBlock::default() });
    let context = AsvContext { iss: "assay", aud: "shop", kid: "k1", iat: ISSUED, exp: ENDS };
    let asv = seal(&VerdictKey::new(VERDICT), &jti_text(&jti), context, &block);
    let did = DeviceId::from_bytes(attest_core::random::array(&SeededRandom::new(1)).expect("seeded"));
    let claims = TokenClaims {
        iss: "assay",
        aud: "shop",
        iat: ISSUED,
        exp: ENDS,
        jti,
        did: Some(did),
        asv: &asv,
        arc: &ArcKey::new([9; 32]).encode(Reasons::default(), [0; 6]),
        app: Some("shop"),
        ver: Some("1.0"),
        pay: None,
        cnf_jkt: None,
        ipk: None,
        ip: None,
    };
    issue(&claims, &SigningKey::hmac("k1", Algorithm::HS256, SECRET).expect("a strong secret")).expect("a token")
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 3 {
        0 => KEY_SETS.iter().for_each(|keys| judge(data, keys)),
        1 => only_what_was_issued_is_genuine(&edited(GENUINE.as_bytes(), data)),
        // Header and payload of the fuzzer's own, well signed: what a partner who holds the secret could send.
        _ => {
            let (header, payload) = halves(data, b'\n');
            let signed = signed(header, payload);
            KEY_SETS.iter().for_each(|keys| judge(signed.as_bytes(), keys));
        }
    }
});

fn only_what_was_issued_is_genuine(text: &[u8]) {
    let outcome = authenticate(text, &KEY_SETS[0]).map(|token| token.outcome());
    let genuine = matches!(outcome, Ok(Outcome::Genuine(_)));
    assert_eq!(genuine, text == GENUINE.as_bytes(), "{outcome:?} for {:?}", String::from_utf8_lossy(text));
    assert!(!matches!(outcome, Ok(Outcome::Failed(_))), "nothing was signed with the decoy");
}

fn judge(text: &[u8], keys: &KeySet) {
    let exp = unverified_exp(text);
    let laid_open = inspect(text, keys);
    match (authenticate(text, keys), laid_open.outcome) {
        (Err(one), Err(other)) => assert_eq!(one, other),
        (Ok(token), Ok(other)) => {
            assert_eq!((token.outcome(), token.kid(), token.alg()), (other.outcome(), other.kid(), other.alg()));
            assert_eq!(Some(token.claims().exp()), exp);
            at_its_times(&Arc::new(token));
        }
        (one, other) => panic!("authenticate: {:?}, inspect: {:?}", one.map(|_| ()), other.map(|_| ())),
    }
}

fn at_its_times(token: &Arc<attest_core::token::verify::Authenticated>) {
    let exp = token.claims().exp();
    for now in [UnixTime::from_secs(0), ISSUED, exp, exp.plus(DEFAULT_LEEWAY), UnixTime::from_millis(i64::MAX)] {
        let verified = check(token, &Expect::valid_at(now));
        if now > exp.plus(DEFAULT_LEEWAY) {
            assert_ne!(verified.verdict(), Verdict::Attested);
        }
        assert_eq!(verified.unseal_right().is_some(), verified.verdict() == Verdict::Attested);
    }
}

fn signed(header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), input.as_bytes());
    format!("{input}.{}", b64u::encode(mac.as_ref()))
}
