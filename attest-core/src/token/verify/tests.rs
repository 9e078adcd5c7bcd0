use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::b64u;
use crate::device_key::DeviceId;
use crate::evidence_kind::EvidenceKind;
use crate::feed::RevocationKind;
use crate::token::asv::{AsvContext, VerdictKey};
use crate::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use crate::token::key_set::{Concealment, KeySetDraft};
use serde_json::json;

const SECRET: [u8; 32] = [1; 32];
const DECOY: [u8; 32] = [2; 32];
/// Every device is revoked.
struct AllRevoked;

impl Revoked for AllRevoked {
    fn revokes(&self, _: &Claims, _: &Facts, _: Option<&str>, _: UnixTime) -> Option<RevocationKind> {
        Some(RevocationKind::Device)
    }
}

const NOW: UnixTime = UnixTime::from_secs(1_000);

fn verdict_key() -> VerdictKey {
    VerdictKey::new([3; 32])
}

fn own_set() -> KeySet {
    let key = VerificationKey::hmac(Some("k1"), Algorithm::HS256, &SECRET, Some(&DECOY)).unwrap();
    KeySet::new(KeySetDraft {
        kind: KeySetKind::Own,
        concealment: Concealment::Decoy,
        verdict_key: Some(verdict_key()),
        ..KeySetDraft::imported("default", vec![key])
    })
    .unwrap()
}

fn imported_set() -> KeySet {
    let key = VerificationKey::hmac(None, Algorithm::HS256, &SECRET, None).unwrap();
    KeySet::new(KeySetDraft::imported("other", vec![key])).unwrap()
}

fn block(passed: bool, device_state: DeviceState) -> AsvBlock {
    let kinds = EvidenceKinds::EMPTY.with(EvidenceKind::Measurement);
    AsvBlock { passed, tier: Tier::Warning, kinds, device_state, annotations: 4, device_age_hours: 30, build: 7 }
}

/// A token of ours, from 1000 to 1300 seconds.
fn own_token(secret: &[u8], block: &AsvBlock) -> String {
    token_by(&SigningKey::hmac("k1", Algorithm::HS256, secret).unwrap(), block)
}

fn token_by(key: &SigningKey, block: &AsvBlock) -> String {
    let (jti, iat, exp) = ([9; 16], NOW, UnixTime::from_secs(1_300));
    let context = AsvContext { iss: "us", aud: "api", kid: "k1", iat, exp };
    let asv = asv::seal(&verdict_key(), &jti_text(&jti), context, block);
    let claims = TokenClaims {
        iss: "us",
        aud: "api",
        iat,
        exp,
        jti,
        did: Some(DeviceId::from_bytes([7; 16])),
        asv: &asv,
        arc: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        app: Some("shop"),
        ver: Some("1.0"),
        pay: Some(binding_hash(&[b"Bearer x"], BindingStyle::LengthPrefixed)),
        cnf_jkt: None,
        ipk: None,
        ip: None,
    };
    issue(&claims, key).unwrap()
}

/// A token of any payload, signed with SECRET.
fn signed(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", b64u::encode(header.as_bytes()), b64u::encode(payload.as_bytes()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    format!("{input}.{}", b64u::encode(aws_lc_rs::hmac::sign(&key, input.as_bytes()).as_ref()))
}

const HS256: &str = r#"{"alg":"HS256"}"#;
const OWN_HEADER: &str = r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#;

fn accepted(token: &str, keys: &KeySet) -> Arc<Authenticated> {
    Arc::new(authenticate(token.as_bytes(), keys).unwrap())
}

fn refused(token: &str, keys: &KeySet) -> (Verdict, Reason) {
    authenticate(token.as_bytes(), keys).unwrap_err()
}

fn own() -> Arc<Authenticated> {
    accepted(&own_token(&SECRET, &block(true, DeviceState::Normal)), &own_set())
}

fn said(auth: &Arc<Authenticated>, expect: &Expect<'_>) -> (Verdict, Reason) {
    let verified = check(auth, expect);
    (verified.verdict(), verified.reason())
}

#[test]
fn what_needs_no_key_is_malformed_whatever_the_signature() {
    let bad = |header: &str, payload: &str| {
        let token = signed(header, payload);
        let (input, _) = token.rsplit_once('.').unwrap();
        refused(&format!("{input}.AAAA"), &own_set())
    };
    assert_eq!(bad(OWN_HEADER, "{}"), (Verdict::Malformed, "missing_exp"));
    assert_eq!(bad(r#"{"alg":"HS256","kid":"other"}"#, r#"{"exp":""}"#), (Verdict::Malformed, "exp_not_a_number"));
    assert_eq!(bad(r#"{"alg":"none"}"#, r#"{"exp":1}"#), (Verdict::Malformed, "alg_none"));
    assert_eq!(bad(HS256, r#"{"exp":1}"#), (Verdict::Malformed, "typ_not_jwt"));
    assert_eq!(bad(OWN_HEADER, r#"{"exp":1}"#), (Verdict::BadSignature, "signature_wrong"));
    assert_eq!(bad(r#"{"alg":"HS256","kid":"k2","typ":"JWT"}"#, r#"{"exp":1}"#), (Verdict::UnknownKey, "unknown_kid"));
}

#[test]
fn a_key_is_never_used_with_another_algorithm() {
    for alg in ["HS512", "ES256", "RS256", "EdDSA", "RS1", "hs256"] {
        let token = signed(&format!(r#"{{"alg":"{alg}","kid":"k1","typ":"JWT"}}"#), r#"{"exp":1}"#);
        assert_eq!(refused(&token, &own_set()), (Verdict::BadSignature, "alg_not_the_keys"), "{alg}");
    }
    // The public key of an ES256 set as an HMAC secret: the oldest confusion.
    let signing =
        SigningKey::from_pkcs8("k1", Algorithm::ES256, &SigningKey::generate_pkcs8(Algorithm::ES256).unwrap()).unwrap();
    let jwk = signing.public_jwk().unwrap().to_string();
    let public = KeySet::from_jwks("public", jwk.as_bytes()).unwrap();
    let token = signed(r#"{"alg":"HS256","kid":"k1"}"#, r#"{"exp":2000}"#);
    assert_eq!(refused(&token, &public), (Verdict::BadSignature, "alg_not_the_keys"));
}

#[test]
fn our_token_needs_a_sealed_verdict_that_opens() {
    assert_eq!(refused(&signed(OWN_HEADER, r#"{"exp":2000}"#), &own_set()), (Verdict::Malformed, "asv_missing"));
    let sealed_elsewhere = own().claims().asv().unwrap().to_owned();
    let jti = jti_text(&[9; 16]);
    for payload in [
        json!({"exp": 2000, "iss": "us", "aud": "api", "iat": 1000, "jti": "j", "asv": sealed_elsewhere}),
        json!({"exp": 1300, "iss": "us", "aud": ["api", "b"], "iat": 1000, "jti": jti, "asv": sealed_elsewhere}),
        json!({"exp": 1300, "iss": "us", "aud": "api", "jti": jti, "asv": sealed_elsewhere}),
    ] {
        let token = signed(OWN_HEADER, &payload.to_string());
        assert_eq!(refused(&token, &own_set()), (Verdict::Malformed, "asv_does_not_open"));
    }
}

#[test]
fn the_decoy_fails_and_lets_no_claim_decide() {
    let auth = accepted(&own_token(&DECOY, &block(false, DeviceState::Banned)), &own_set());
    let verified = check(&auth, &Expect::valid_at(NOW));
    assert_eq!((verified.verdict(), verified.reason()), (Verdict::Failed, "failed_appraisal"));
    assert!(verified.claims().is_none() && verified.kinds().is_empty() && verified.tier() == Tier::None);
    assert!(verified.unseal_right().is_none());
    assert_eq!(verified.device(), Some(b64u::encode(&[7; 16]).as_str()));
    assert_eq!(verified.device_state(), DeviceState::Banned);
    // Also where the sealed claim says otherwise, or does not open.
    let token = own_token(&DECOY, &block(true, DeviceState::Normal));
    assert_eq!(check(&accepted(&token, &own_set()), &Expect::valid_at(NOW)).verdict(), Verdict::Failed);
    let decoyed = own_token(&SECRET, &block(false, DeviceState::Normal));
    assert_eq!(check(&accepted(&decoyed, &own_set()), &Expect::valid_at(NOW)).verdict(), Verdict::Failed);
}

#[test]
fn passed_and_failed_tokens_differ_in_no_length() {
    let passed = own_token(&SECRET, &block(true, DeviceState::Normal));
    let failed = own_token(&DECOY, &block(false, DeviceState::Banned));
    let lengths = |token: &str| token.split('.').map(str::len).collect::<Vec<_>>();
    assert_eq!(lengths(&passed), lengths(&failed));
    assert_eq!(passed.split('.').next(), failed.split('.').next());
}

#[test]
fn an_attested_token_says_what_was_appraised() {
    let verified = check(&own(), &Expect::valid_at(NOW));
    assert_eq!((verified.verdict(), verified.tier()), (Verdict::Attested, Tier::Warning));
    assert!(verified.kinds().contains(EvidenceKind::Measurement));
    assert_eq!(verified.claims().and_then(Claims::app), Some("shop"));
    assert!(verified.unseal_right().is_some() && !verified.accepted_expired());
    assert_eq!(verified.authenticated().and_then(|auth| auth.kid()), Some("k1"));
}

#[test]
fn verdicts_come_in_their_order() {
    let base = Expect::valid_at(UnixTime::from_secs(5_000));
    let worst = Expect {
        issuer: Some("them"),
        audience: Some("other"),
        revoked: &AllRevoked,
        binding: Some(BindingValue::HeaderMissing),
        ..base
    };
    let auth = own();
    assert_eq!(said(&auth, &worst), (Verdict::WrongIssuer, "iss_differs"));
    assert_eq!(said(&auth, &Expect { issuer: Some("us"), ..worst }), (Verdict::WrongAudience, "aud_differs"));
    let known = Expect { issuer: Some("us"), audience: Some("api"), ..worst };
    assert_eq!(said(&auth, &known), (Verdict::Revoked, "device_revoked"));
    let failed = accepted(&own_token(&DECOY, &block(false, DeviceState::Normal)), &own_set());
    assert_eq!(said(&failed, &known), (Verdict::Failed, "failed_appraisal"));
    let banned = accepted(&own_token(&SECRET, &block(true, DeviceState::Banned)), &own_set());
    assert_eq!(said(&banned, &known), (Verdict::Revoked, "device_banned"));
    let forced = accepted(&own_token(&SECRET, &block(true, DeviceState::ForcedFail)), &own_set());
    assert_eq!(said(&forced, &known), (Verdict::Failed, "device_forced_fail"));
    let live = Expect { revoked: &NothingRevoked, ..known };
    assert_eq!(said(&auth, &live), (Verdict::Expired, "exp_passed"));
    assert_eq!(said(&auth, &Expect { now: UnixTime::from_secs(900), ..live }), (Verdict::NotYetValid, "iat_ahead"));
    assert_eq!(said(&auth, &Expect { now: NOW, ..live }), (Verdict::BindingMismatch, "bound_header_missing"));
    let short = Expect { max_lifetime: Some(Duration::from_secs(1)), now: NOW, ..worst };
    assert_eq!(said(&auth, &short), (Verdict::Malformed, "lifetime_too_long"));
}

#[test]
fn an_absent_issuer_or_audience_is_a_wrong_one() {
    let auth = accepted(&signed(HS256, r#"{"exp":2000,"nbf":1500}"#), &imported_set());
    let base = Expect::valid_at(NOW);
    assert_eq!(said(&auth, &Expect { issuer: Some("us"), ..base }), (Verdict::WrongIssuer, "iss_missing"));
    assert_eq!(said(&auth, &Expect { audience: Some("api"), ..base }), (Verdict::WrongAudience, "aud_missing"));
    assert_eq!(said(&auth, &base), (Verdict::NotYetValid, "nbf_ahead"));
}

#[test]
fn refuses_a_token_one_second_after_the_leeway() {
    let auth = own();
    let at = |millis| check(&auth, &Expect::valid_at(UnixTime::from_millis(millis)));
    assert_eq!(at(1_330_000).verdict(), Verdict::Attested);
    assert_eq!(at(1_330_000).expired_for(), None);
    assert_eq!(at(1_330_001).verdict(), Verdict::Expired);
    let late = at(1_331_000);
    assert_eq!((late.verdict(), late.expired_for()), (Verdict::Expired, Some(Duration::from_secs(1))));
    assert!(late.unverified_exp_passed() && !at(1_330_000).unverified_exp_passed());
}

#[test]
fn the_answer_to_an_expired_token_follows_from_its_own_exp_alone() {
    // The same text judged with and without the key gives the same answer.
    for (secret, now) in [(SECRET, 1_330_001), (SECRET, 1_330_000), (DECOY, 1_330_001), (DECOY, 1_330_000)] {
        let token = own_token(&secret, &block(true, DeviceState::Normal));
        let now = UnixTime::from_millis(now);
        let without_key = exp_passed(unverified_exp(token.as_bytes()).unwrap(), now, DEFAULT_LEEWAY);
        let with_key = check(&accepted(&token, &own_set()), &Expect::valid_at(now)).unverified_exp_passed();
        assert_eq!(without_key, with_key);
    }
    assert_eq!(unverified_exp(b"a.b.c"), None);
}

#[test]
fn tokens_of_ours_live_on_while_none_can_be_had_but_open_no_key() {
    let (later, hour) = (UnixTime::from_secs(1_330 + 3_600), Duration::from_secs(3_600));
    let longer = Expect { accept_expired: hour, ..Expect::valid_at(later) };
    let verified = check(&own(), &longer);
    assert_eq!(verified.verdict(), Verdict::Attested);
    assert!(verified.accepted_expired() && verified.unseal_right().is_none());
    assert_eq!(verified.expired_for(), Some(hour));
    let may = Expect { accept_expired_may_unseal: true, ..longer };
    assert!(check(&own(), &may).unseal_right().is_some());
    let too_late = Expect { now: later.plus(Duration::from_millis(1)), ..longer };
    assert_eq!(check(&own(), &too_late).verdict(), Verdict::Expired);
    assert_eq!(check(&own(), &Expect { revoked: &AllRevoked, ..longer }).verdict(), Verdict::Revoked);
    let theirs = accepted(&signed(HS256, r#"{"exp":1300}"#), &imported_set());
    assert_eq!(check(&theirs, &longer).verdict(), Verdict::Expired);
}

#[test]
fn a_bound_token_passes_with_its_value_and_a_free_one_only_where_the_danger_is_taken() {
    let bound = |values| Some(BindingValue::Present { values, style: BindingStyle::LengthPrefixed });
    let base = Expect::valid_at(NOW);
    assert_eq!(said(&own(), &Expect { binding: bound(&[b"Bearer x"]), ..base }).0, Verdict::Attested);
    assert_eq!(said(&own(), &Expect { binding: bound(&[b"Bearer y"]), ..base }).0, Verdict::BindingMismatch);
    let free = accepted(&signed(HS256, r#"{"exp":2000}"#), &imported_set());
    let on_bound_route = Expect { binding: bound(&[b"Bearer x"]), ..base };
    assert_eq!(said(&free, &on_bound_route), (Verdict::BindingMismatch, "pay_missing"));
    assert_eq!(said(&free, &Expect { pay_optional: true, ..on_bound_route }).0, Verdict::Attested);
}

#[test]
fn refused_never_says_what_only_a_check_may_say() {
    for verdict in Verdict::ALL {
        let said = Verified::refused(verdict, "x", true).verdict();
        assert!(said == verdict || said == Verdict::Malformed, "{verdict}");
        assert!(!matches!(said, Verdict::Attested | Verdict::Expired | Verdict::Failed | Verdict::Revoked));
    }
    assert_eq!(Verified::missing().verdict(), Verdict::Missing);
    assert!(Verified::unverifiable("no_keys").unseal_right().is_none());
    assert_eq!(format!("{:?}", Verified::missing()), "Verified(missing, no_token)");
}

#[test]
fn inspection_reports_the_signature_also_of_malformed_claims() {
    let report = inspect(signed(HS256, r#"{"exp":""}"#).as_bytes(), &imported_set());
    assert_eq!(report.signature, SignatureState::Genuine);
    assert_eq!(report.outcome.err(), Some((Verdict::Malformed, "exp_not_a_number")));
    assert_eq!((report.header, report.claims), (Some(json!({"alg": "HS256"})), Some(json!({"exp": ""}))));
    let state = |token: &str, keys: &KeySet| inspect(token.as_bytes(), keys).signature;
    assert_eq!(state(&own_token(&DECOY, &block(false, DeviceState::Normal)), &own_set()), SignatureState::Decoy);
    assert_eq!(state(&own_token(&[9; 32], &block(true, DeviceState::Normal)), &own_set()), SignatureState::Bad);
    assert_eq!(state(&signed(r#"{"alg":"HS256","kid":"x","typ":"JWT"}"#, "{}"), &own_set()), SignatureState::Unchecked);
    assert_eq!(state("nothing", &own_set()), SignatureState::Unchecked);
    let good = inspect(own_token(&SECRET, &block(true, DeviceState::Normal)).as_bytes(), &own_set());
    assert!(good.outcome.is_ok() && good.signature == SignatureState::Genuine);
}

#[test]
fn one_character_more_less_or_other_is_never_the_same_token() {
    let (token, keys) = (own_token(&SECRET, &block(true, DeviceState::Normal)), own_set());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(authenticate(&changed, &keys).is_err(), "character {at}");
        changed.remove(at);
        assert!(authenticate(&changed, &keys).is_err(), "without {at}");
    }
    for end in ["=", "A", "\n", " ", "."] {
        assert!(authenticate(format!("{token}{end}").as_bytes(), &keys).is_err(), "{end:?}");
    }
}

#[test]
fn a_proof_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Authenticated>();
    shared::<Verified>();
    shared::<KeySet>();
}

#[test]
fn a_token_that_names_a_key_is_refused_without_a_proof_unless_bearers_are_taken() {
    let base = Expect::valid_at(NOW);
    for claims in [r#"{"exp":2000,"cnf":{"jkt":"x"}}"#, r#"{"exp":2000,"ipk":"x"}"#] {
        let token = accepted(&signed(HS256, claims), &imported_set());
        let strict = Expect { bearer_ok: false, ..base };
        assert_eq!(said(&token, &strict), (Verdict::ProofInvalid, "proof_missing"), "{claims}");
        assert_eq!(said(&token, &base).0, Verdict::Attested, "{claims}");
    }
}

#[test]
fn a_token_for_development_fails_except_where_the_route_takes_it() {
    let dev = AsvBlock { annotations: asv::annotations::DEV, ..block(true, DeviceState::Normal) };
    let auth = accepted(&own_token(&SECRET, &dev), &own_set());
    let base = Expect::valid_at(NOW);
    assert_eq!(said(&auth, &base), (Verdict::Failed, "dev_token"));
    assert!(check(&auth, &base).unseal_right().is_none());
    let taken = check(&auth, &Expect { allow_dev: true, ..base });
    assert!(taken.verdict() == Verdict::Attested && taken.is_dev() && taken.build() == 7);
    assert!(!check(&own(), &base).is_dev());
    // It can still be taken back.
    let revoked = Expect { allow_dev: true, revoked: &AllRevoked, ..base };
    assert_eq!(said(&auth, &revoked), (Verdict::Revoked, "device_revoked"));
}

#[test]
fn ecdsa_tokens_of_ours_are_made_with_a_low_s_and_taken_with_no_other() {
    for (alg, sealed) in [(Algorithm::ES256, false), (Algorithm::ES256, true), (Algorithm::ES384, false)] {
        let signing = SigningKey::from_pkcs8("k1", alg, &SigningKey::generate_pkcs8(alg).unwrap()).unwrap();
        let key = VerificationKey::from_jwk(signing.public_jwk().unwrap().to_string().as_bytes()).unwrap();
        let concealment = if sealed { Concealment::Sealed } else { Concealment::Open };
        let draft = KeySetDraft::imported("own", vec![key]);
        let verdict_key = Some(verdict_key());
        let keys = KeySet::new(KeySetDraft { kind: KeySetKind::Own, concealment, verdict_key, ..draft }).unwrap();
        let signing = if sealed { signing.sealed().unwrap() } else { signing };
        for _ in 0..16 {
            let token = token_by(&signing, &block(true, DeviceState::Normal));
            assert_eq!(check(&accepted(&token, &keys), &Expect::valid_at(NOW)).verdict(), Verdict::Attested);
            let (input, signature) = token.rsplit_once('.').unwrap();
            let mut signature = b64u::decode(signature.as_bytes(), 96).unwrap();
            low_s::flip(alg, &mut signature);
            let high = format!("{input}.{}", b64u::encode(&signature));
            assert_eq!(refused(&high, &keys), (Verdict::BadSignature, "high_s"), "{alg}");
        }
    }
}
