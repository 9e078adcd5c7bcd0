//! Proofs of stage 3, made from tokens that are really signed.

use std::sync::Arc;
use std::time::Duration;

use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, DeviceState, VerdictKey, annotations};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetKind, VerificationKey};
use attest_core::token::verify::{Expect, Verified, authenticate, check};

/// The moment at which the tests play.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

const SECRET: [u8; 32] = [1; 32];
const DECOY: [u8; 32] = [2; 32];
const VERDICT_KEY: [u8; 32] = [3; 32];

/// What a token of ours says.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) passed: bool,
    pub(crate) tier: Tier,
    pub(crate) kind: EvidenceKind,
    pub(crate) app: &'static str,
    pub(crate) version: &'static str,
    pub(crate) device: u8,
    pub(crate) ends_in: i64,
    pub(crate) state: DeviceState,
    pub(crate) hours: u16,
    pub(crate) dev: bool,
}

pub(crate) const GENUINE: Token = Token {
    passed: true,
    tier: Tier::Affirming,
    kind: EvidenceKind::AndroidKey,
    app: "shop",
    version: "3.10",
    device: 7,
    ends_in: 300,
    state: DeviceState::Normal,
    hours: 48,
    dev: false,
};

impl Token {
    /// Signs it and has it verified.
    pub(crate) fn verified(self) -> Verified {
        self.verified_expecting(&Expect::valid_at(NOW))
    }

    pub(crate) fn verified_expecting(self, expect: &Expect<'_>) -> Verified {
        let text = self.signed();
        let auth = authenticate(text.as_bytes(), &own_keys()).expect("a token that we signed");
        check(&Arc::new(auth), expect)
    }

    fn signed(self) -> String {
        let (iat, exp) = (NOW.minus(Duration::from_secs(3_600)), UnixTime::from_secs(NOW.secs() + self.ends_in));
        let jti = [9; 16];
        let context = AsvContext { iss: "https://attest.test", aud: "api.test", kid: "k1", iat, exp };
        let block = AsvBlock {
            passed: self.passed,
            tier: self.tier,
            kinds: EvidenceKinds::EMPTY.with(self.kind),
            device_state: self.state,
            device_age_hours: self.hours,
            annotations: if self.dev { annotations::DEV } else { 0 },
            ..AsvBlock::default()
        };
        let asv = asv::seal(&VerdictKey::new(VERDICT_KEY), &jti_text(&jti), context, &block);
        let secret = if self.passed { SECRET } else { DECOY };
        let key = SigningKey::hmac("k1", Algorithm::HS256, &secret).unwrap();
        let claims = TokenClaims {
            iss: context.iss,
            aud: context.aud,
            iat,
            exp,
            jti,
            did: Some(DeviceId::from_bytes([self.device; 16])),
            asv: &asv,
            arc: "aaaaaaaaaaaaaaaaaaaaaaaaaa",
            app: Some(self.app),
            ver: Some(self.version),
            pay: None,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        issue(&claims, &key).unwrap()
    }
}

fn own_keys() -> KeySet {
    attest_core::install_crypto();
    KeySet::new(KeySetDraft {
        name: "default".to_owned(),
        kind: KeySetKind::Own,
        issuer: None,
        audience: None,
        concealment: Concealment::Decoy,
        keys: vec![VerificationKey::hmac(Some("k1"), Algorithm::HS256, &SECRET, Some(&DECOY)).unwrap()],
        verdict_key: Some(VerdictKey::new(VERDICT_KEY)),
        max_lifetime: None,
    })
    .unwrap()
}
