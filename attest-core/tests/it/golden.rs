//! The wire formats, held to an implementation of their description in another language: `tests/golden/make.py` made
//! the file.

use attest_core::b64u;
use attest_core::challenge::{Challenge, ChallengeKey};
use attest_core::device_key::{DeviceId, DevicePublicKey};
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::feed::{FeedKey, FeedPublicKey, SignedDocument};
use attest_core::measurement::{self, measure_file};
use attest_core::reasons::Reasons;
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::arc::ArcKey;
use attest_core::token::asv::{self, AsvBlock, AsvContext, DeviceState, VerdictKey};
use attest_core::token::binding::{BindingStyle, binding_hash, pay_text};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::transcript::Transcript;
use serde_json::Value;

const ISSUED: UnixTime = UnixTime::from_secs(1_700_000_000);
const ENDS: UnixTime = UnixTime::from_secs(1_700_000_300);
const JTI: [u8; 16] = [8; 16];

fn golden(name: &str) -> String {
    let all: Value = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    all[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn device_key() -> DevicePublicKey {
    let coordinate = |text: &str| b64u::decode_array::<32>(text.as_bytes()).unwrap();
    let x = coordinate("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let y = coordinate("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    DevicePublicKey::parse(&[&[4][..], &x, &y].concat()).unwrap()
}

fn did() -> DeviceId {
    device_key().device_id(&[2; 32])
}

fn challenge() -> Challenge {
    let issued = UnixTime::from_millis(1_700_000_000_123);
    Challenge::issue([7; 16], [9; 8], "default", issued, &ChallengeKey::new(&[3; 32]))
}

fn sealed(build: u32) -> String {
    let context = AsvContext { iss: "https://api.example/assay", aud: "api", kid: "k1", iat: ISSUED, exp: ENDS };
    let block = AsvBlock {
        passed: true,
        tier: Tier::Affirming,
        kinds: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
        device_state: DeviceState::ForcedPass,
        annotations: 0x0304,
        device_age_hours: 0x0102,
        build,
    };
    asv::seal(&VerdictKey::new([5; 32]), &jti_text(&JTI), context, &block)
}

fn arc() -> String {
    ArcKey::new([6; 32]).encode(Reasons::TRACER | Reasons::MEASUREMENT_MISMATCH, [0, 1, 2, 3, 4, 5])
}

#[test]
fn the_transcript() {
    let challenge: Vec<u8> = (0..73).collect();
    let (key, facts) = (device_key(), [("os".into(), "Linux 6.8".into()), ("model".into(), "X".into())]);
    let transcript = Transcript {
        challenge: &challenge,
        key_set: "default",
        app: "shop",
        version: "3.2.1",
        platform: "linux",
        build: "arm64",
        device_facts: &facts,
        findings: &["tracer".into(), "root".into()],
        binding: Some([7; 32]),
        device_key: key.as_bytes(),
        kinds: &[EvidenceKind::Measurement],
        previous_key: None,
    };
    assert_eq!(hex(transcript.digest().as_bytes()), golden("transcript"));
    assert_eq!(hex(transcript.digest_without_device_key().as_bytes()), golden("transcript_without_device_key"));
    let before = [&[4][..], &[9; 64]].concat();
    let renewed = Transcript { previous_key: Some(&before), ..transcript };
    assert_eq!(hex(renewed.digest().as_bytes()), golden("transcript_of_renewed_key"));
    let measured = measured();
    let mac = measurement::mac(&measured, self::challenge().as_bytes(), &transcript.digest());
    assert_eq!(hex(&mac), golden("measurement_mac"));
}

/// A program of a read-only, an executable and a writable segment.
fn measured() -> measurement::Measurement {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    file.resize(64, 0);
    (file[16], file[32], file[54], file[56]) = (2, 64, 56, 3);
    let bodies: [(u32, u64, &[u8]); 3] = [(4, 0, b"read only"), (5, 4096, b"program text"), (6, 8192, b"data")];
    let mut offset = 64 + 3 * 56;
    for (flags, vaddr, bytes) in bodies {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        let size = bytes.len() as u64;
        for number in [offset, vaddr, vaddr, size, size, 4096] {
            file.extend(number.to_le_bytes());
        }
        offset += size;
    }
    bodies.iter().for_each(|(_, _, bytes)| file.extend_from_slice(bytes));
    measure_file(&file).unwrap()
}

#[test]
fn the_measurement() {
    assert_eq!(measured().to_text(), format!("sha256:{}", golden("measurement")));
    let library = |name: &str, byte| (name.to_owned(), measurement::Measurement::from_bytes([byte; 32]));
    let combined = measurement::combine(&measured(), &[library("libz.so", 2), library("liba.so", 1)]);
    assert_eq!(hex(combined.as_bytes()), golden("measurement_combined"));
}

#[test]
fn the_challenge() {
    assert_eq!(hex(challenge().as_bytes()), golden("challenge"));
}

#[test]
fn the_device() {
    assert_eq!(b64u::encode(&device_key().thumbprint()), golden("thumbprint"));
    assert_eq!(did().to_string(), golden("did"));
    assert_eq!(data_encoding::BASE64.encode(&device_key().to_spki_der()), golden("ipk"));
}

#[test]
fn the_token_and_its_sealed_claims() {
    assert_eq!(sealed(0), golden("asv"));
    assert_eq!(sealed(77), golden("asv_of_build"));
    assert_eq!(arc(), golden("arc"));
    let (asv, arc) = (sealed(0), arc());
    let claims = TokenClaims {
        iss: "https://api.example/assay",
        aud: "api",
        iat: ISSUED,
        exp: ENDS,
        jti: JTI,
        did: Some(did()),
        asv: &asv,
        arc: &arc,
        app: Some("shop"),
        ver: Some("3.2.1"),
        pay: Some(binding_hash(&[b"Bearer a", b"bc"], BindingStyle::LengthPrefixed)),
        cnf_jkt: None,
        ipk: None,
        ip: None,
    };
    let key = SigningKey::hmac("k1", Algorithm::HS256, &[4; 32]).unwrap();
    assert_eq!(issue(&claims, &key).unwrap(), golden("token"));
    // The private key of seed 1, as RFC 8410 section 7 writes it.
    let pkcs8 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[1; 32]].concat();
    let key = SigningKey::from_pkcs8("k1", Algorithm::EdDSA, &pkcs8).unwrap().sealed().unwrap();
    assert_eq!(issue(&claims, &key).unwrap(), golden("sealed_token"));
}

#[test]
fn what_a_token_is_bound_to() {
    let pay = |values: &[&[u8]], style| pay_text(&binding_hash(values, style));
    assert_eq!(pay(&[b"Bearer a"], BindingStyle::LengthPrefixed), golden("pay_one"));
    assert_eq!(pay(&[b"Bearer a"], BindingStyle::Concatenated), golden("pay_one"));
    assert_eq!(pay(&[b"Bearer a", b"bc"], BindingStyle::LengthPrefixed), golden("pay_two"));
    assert_eq!(pay(&[b"Bearer a", b"bc"], BindingStyle::Concatenated), golden("pay_two_concatenated"));
}

#[test]
fn the_feed() {
    let all: Value = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    let key = FeedKey::from_seed(&[1; 32]).unwrap();
    assert_eq!(key.public_key().unwrap().to_string(), golden("feed_public"));
    let document = SignedDocument::parse(all["feed_document"].to_string().as_bytes()).unwrap();
    assert_eq!(key.sign(b"{}"), document);
    let pinned = FeedPublicKey::parse(&golden("feed_public")).unwrap();
    assert_eq!(pinned.verify(&document), Ok(b"{}".to_vec()));
    let revocations = SignedDocument::parse(all["revocations"].to_string().as_bytes()).unwrap();
    assert_eq!(key.sign_revocations(b"{}"), revocations);
}
