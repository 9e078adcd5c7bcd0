//! The whole walk, A to D and then 3: challenge, Evidence, appraisal, token, verdict.

use std::sync::Arc;
use std::time::Duration;

use attest_core::appraisal::{DeviceFacts, EvidencePolicy, appraise};
use attest_core::challenge::{Challenge, ChallengeKey};
use attest_core::device_key::DevicePrivateKey;
use attest_core::envelope::{AttestRequest, Evidence};
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::feed::{
    FORMAT, FeedKey, FeedPublicKey, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Revoked, SecretBytes,
    SignedDocument,
};
use attest_core::measurement::{self, Measurement};
use attest_core::random::{self, SeededRandom};
use attest_core::reasons::Reasons;
use attest_core::reference::{Build, PackageFacts, Platform};
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::arc::ArcKey;
use attest_core::token::asv::{self, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::KeySet;
use attest_core::token::verify::{Expect, Verified, authenticate, check};
use attest_core::verdict::Verdict;

const NOW: UnixTime = UnixTime::from_secs(2_000_000_000);
const EPOCH: [u8; 8] = [1; 8];
const ISSUER: &str = "https://api.example/assay";
const GENUINE: Measurement = Measurement::from_bytes([0xaa; 32]);

/// The service, as far as this crate goes.
struct Service {
    random: SeededRandom,
    challenge_key: ChallengeKey,
    arc_key: ArcKey,
    verdict_key: [u8; 32],
    secret: [u8; 32],
    decoy: [u8; 32],
}

impl Service {
    fn new() -> Self {
        let random = SeededRandom::new(1);
        let key = || random::array::<32>(&random).unwrap();
        let (challenge, arc, verdict_key, secret, decoy) = (key(), key(), key(), key(), key());
        let (challenge_key, arc_key) = (ChallengeKey::new(&challenge), ArcKey::new(arc));
        Self { random, challenge_key, arc_key, verdict_key, secret, decoy }
    }

    fn challenge(&self) -> Challenge {
        Challenge::issue(random::array(&self.random).unwrap(), EPOCH, "default", NOW, &self.challenge_key)
    }

    fn attest(&self, body: &[u8]) -> String {
        let request = AttestRequest::parse(body).unwrap();
        let challenge = Challenge::from_bytes(&request.challenge).unwrap();
        challenge.verify(&self.challenge_key, "default", EPOCH, NOW, Duration::from_secs(60)).unwrap();
        let build = Build {
            number: 7,
            app: "shop".into(),
            version: "1.0".into(),
            platform: Platform::Linux,
            label: String::new(),
            measurement: Some(GENUINE),
            package: PackageFacts::default(),
            libraries: vec![],
            retired: false,
        };
        let policy = EvidencePolicy {
            require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            danger_affirm_measurement_alone: true,
            ..EvidencePolicy::default()
        };
        let result = appraise(&request, &request.transcript("default"), &[build], &policy, DeviceFacts::default());
        let (jti, iat, exp) = (random::array(&self.random).unwrap(), NOW, NOW.plus(Duration::from_secs(300)));
        let context = AsvContext { iss: ISSUER, aud: "api", kid: "k1", iat, exp };
        let asv = asv::seal(&VerdictKey::new(self.verdict_key), &jti_text(&jti), context, &result.asv_block());
        let arc = self.arc_key.encode(result.reasons, random::array(&self.random).unwrap());
        let claims = TokenClaims {
            iss: ISSUER,
            aud: "api",
            iat,
            exp,
            jti,
            did: Some(request.device_key.device_id(&[9; 32])),
            asv: &asv,
            arc: &arc,
            app: Some(&request.app),
            ver: Some(&request.version),
            pay: request.binding,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        let secret = if result.passed { &self.secret } else { &self.decoy };
        issue(&claims, &SigningKey::hmac("k1", Algorithm::HS256, secret).unwrap()).unwrap()
    }

    fn feed(&self) -> (SignedDocument, FeedPublicKey) {
        let key = FeedKey::from_seed(&[6; 32]).unwrap();
        let document = KeySetDocument {
            format: FORMAT.into(),
            number: 1,
            issued: NOW.secs(),
            key_sets: vec![KeySetEntry {
                name: "default".into(),
                issuer: ISSUER.into(),
                audience: "api".into(),
                concealment: "decoy".into(),
                max_lifetime_secs: 600,
                verdict_key: SecretBytes::new(&self.verdict_key),
                keys: vec![KeyDocument {
                    kid: "k1".into(),
                    alg: "HS256".into(),
                    state: KeyState::Active,
                    secret: Some(SecretBytes::new(&self.secret)),
                    decoy: Some(SecretBytes::new(&self.decoy)),
                    public_jwk: None,
                }],
            }],
            revoked: Revoked::default(),
        };
        (key.sign(&document.to_payload().unwrap()), key.public_key().unwrap())
    }
}

/// What the app sends: measured, and signed by its device key.
fn body(challenge: &Challenge, measured: Measurement) -> Vec<u8> {
    let key = DevicePrivateKey::generate().unwrap();
    let mut request = AttestRequest {
        challenge: challenge.as_bytes().to_vec(),
        app: "shop".into(),
        version: "1.0".into(),
        platform: Platform::Linux,
        build: String::new(),
        device_key: key.public_key().unwrap(),
        device: vec![("os".into(), "linux".into())],
        findings: vec![],
        binding: None,
        evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: vec![] }],
        signature: [0; 64],
        previous: None,
    };
    let t = request.transcript("default");
    request.evidence[0].data = measurement::mac(&measured, &request.challenge, &t).to_vec();
    request.signature = key.sign(&t).unwrap();
    request.to_json().to_string().into_bytes()
}

fn gateway(document: &SignedDocument, pinned: &FeedPublicKey) -> KeySet {
    let payload = pinned.verify(&SignedDocument::parse(document.to_json().as_bytes()).unwrap()).unwrap();
    KeySetDocument::parse(&payload).unwrap().key_sets().unwrap().remove(0)
}

fn verdict(token: &str, keys: &KeySet) -> Verified {
    let auth = Arc::new(authenticate(token.as_bytes(), keys).unwrap());
    let expect = Expect {
        issuer: keys.issuer(),
        audience: keys.audience(),
        max_lifetime: keys.max_lifetime(),
        ..Expect::valid_at(NOW)
    };
    check(&auth, &expect)
}

#[test]
fn a_genuine_app_is_attested_and_a_patched_one_gets_a_token_that_only_the_gateway_tells_apart() {
    let service = Service::new();
    let (document, pinned) = service.feed();
    let keys = gateway(&document, &pinned);
    let good = service.attest(&body(&service.challenge(), GENUINE));
    let bad = service.attest(&body(&service.challenge(), Measurement::from_bytes([0xab; 32])));

    let attested = verdict(&good, &keys);
    assert_eq!((attested.verdict(), attested.tier()), (Verdict::Attested, Tier::Affirming));
    assert!(attested.unseal_right().is_some());
    let failed = verdict(&bad, &keys);
    assert_eq!(failed.verdict(), Verdict::Failed);
    assert!(failed.unseal_right().is_none() && failed.device().is_some());

    assert_eq!(good.len(), bad.len());
    let arc = failed.signed_claims().and_then(|claims| claims.arc()).unwrap();
    let reasons = service.arc_key.decode(arc).unwrap();
    assert_eq!(reasons, Reasons::MEASUREMENT_MISMATCH | Reasons::REQUIRED_KIND_MISSING);
}

#[test]
fn a_failed_apps_token_differs_from_a_passed_ones_in_nothing_but_random_looking_bytes() {
    let service = Service::new();
    let shape = |measured| {
        let token = service.attest(&body(&service.challenge(), measured));
        let payload = token.split('.').nth(1).unwrap();
        let payload = attest_core::b64u::decode(payload.as_bytes(), 4096).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let random = ["jti", "did", "asv", "arc"];
        let members: Vec<String> = claims
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| match random.contains(&name.as_str()) {
                true => format!("{name}: {} characters", value.as_str().unwrap().len()),
                false => format!("{name}: {value}"),
            })
            .collect();
        (token.split('.').next().unwrap().to_owned(), token.len(), members)
    };
    assert_eq!(shape(GENUINE), shape(Measurement::from_bytes([0; 32])));
}
