//! No oracle: the bytes that a client can read tell nothing about whether its app passed.
//!
//! 4,000 tokens of each outcome, for `decoy` and for `sealed`, from fixed seeds. Byte histograms of `asv`, `arc` and the
//! signature are compared by Pearson's chi-squared test of homogeneity with 255 degrees of freedom (deviation 22.6). The
//! threshold 350 is passed by chance once in about 15,000 histograms. Power: if half of the byte values were 4 % more
//! frequent and half 4 % rarer for the failed, and the other way round for the passed (w = 0.08 between the two), the
//! 64,000 bytes of `arc` in each histogram, the fewest of the three, would give a noncentrality of 64,000 / 2 x w^2 = 205:
//! a mean of 460 with a deviation of 36, beyond the threshold with a probability over 0.99. The last test shows that the
//! statistic does find such an effect.

use std::time::Duration;

use attest_core::b64u;
use attest_core::device_key::DeviceId;
use attest_core::random::{self, SeededRandom};
use attest_core::reasons::Reasons;
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::arc::ArcKey;
use attest_core::token::asv::{self, AsvBlock, AsvContext, DeviceState, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use serde_json::Value;

const TOKENS: usize = 4_000;
const THRESHOLD: f64 = 350.0;
const NOW: UnixTime = UnixTime::from_secs(4_000_000_000);

/// Frequencies of byte values.
struct Histogram([u32; 256]);

impl Histogram {
    const fn new() -> Self {
        Self([0; 256])
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0[usize::from(*byte)] += 1;
        }
    }

    /// Pearson's statistic for "both come from one distribution".
    fn chi_squared(&self, other: &Self) -> f64 {
        let total = |histogram: &Self| f64::from(histogram.0.iter().sum::<u32>());
        let (ours, theirs) = (total(self), total(other));
        let pairs = self.0.iter().zip(&other.0).filter(|(one, two)| **one + **two > 0);
        pairs
            .map(|(one, two)| {
                let (one, two) = (f64::from(*one), f64::from(*two));
                let expected = |share: f64| (one + two) * share / (ours + theirs);
                (one - expected(ours)).powi(2) / expected(ours) + (two - expected(theirs)).powi(2) / expected(theirs)
            })
            .sum()
    }
}

/// What of a token looks random, one histogram each.
struct Seen {
    asv: Histogram,
    arc: Histogram,
    signature: Histogram,
    shape: Option<(String, usize, Vec<String>)>,
}

fn see(key: &SigningKey, passed: bool, random: &SeededRandom) -> Seen {
    let (verdict_key, arc_key) = (VerdictKey::new([3; 32]), ArcKey::new([4; 32]));
    let (asv, arc, signature) = (Histogram::new(), Histogram::new(), Histogram::new());
    let mut seen = Seen { asv, arc, signature, shape: None };
    let block = match passed {
        true => AsvBlock { passed, tier: Tier::Affirming, build: 12, ..AsvBlock::default() },
        false => AsvBlock { tier: Tier::Contraindicated, device_state: DeviceState::Banned, ..AsvBlock::default() },
    };
    let reasons = if passed { Reasons::NONE } else { Reasons::UNKNOWN_APP | Reasons::REQUIRED_KIND_MISSING };
    for _ in 0..TOKENS {
        let jti = random::array(random).unwrap();
        let exp = NOW.plus(Duration::from_secs(300));
        let context = AsvContext { iss: "us", aud: "api", kid: key.kid(), iat: NOW, exp };
        let asv = asv::seal(&verdict_key, &jti_text(&jti), context, &block);
        let arc = arc_key.encode(reasons, random::array(random).unwrap());
        let claims = TokenClaims {
            iss: "us",
            aud: "api",
            iat: NOW,
            exp,
            jti,
            did: Some(DeviceId::from_bytes([2; 16])),
            asv: &asv,
            arc: &arc,
            app: Some("shop"),
            ver: Some("1"),
            pay: None,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        let token = issue(&claims, key).unwrap();
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        seen.signature.add(&b64u::decode(signature.as_bytes(), 512).unwrap());
        seen.asv.add(&b64u::decode(asv.as_bytes(), 32).unwrap());
        seen.arc.add(&data_encoding::BASE32_NOPAD.decode(arc.as_bytes()).unwrap());
        let claims: Value = serde_json::from_slice(&b64u::decode(payload.as_bytes(), 4096).unwrap()).unwrap();
        let members = claims.as_object().unwrap().iter();
        let members = members.map(|(name, value)| format!("{name} {}", value.to_string().len())).collect();
        let shape = (header.to_owned(), token.len(), members);
        assert_eq!(seen.shape.get_or_insert_with(|| shape.clone()), &shape);
    }
    seen
}

fn assert_alike(passed: &Seen, failed: &Seen) {
    assert_eq!(passed.shape, failed.shape);
    for (name, one, other) in [
        ("asv", &passed.asv, &failed.asv),
        ("arc", &passed.arc, &failed.arc),
        ("signature", &passed.signature, &failed.signature),
    ] {
        let statistic = one.chi_squared(other);
        assert!(statistic < THRESHOLD, "{name}: {statistic}");
    }
}

#[test]
fn a_decoys_token_and_a_passed_ones_are_of_one_distribution() {
    let random = SeededRandom::new(17);
    let key = |secret: [u8; 32]| SigningKey::hmac("k1", Algorithm::HS256, &secret).unwrap();
    let (genuine, decoy) = (key(random::array(&random).unwrap()), key(random::array(&random).unwrap()));
    assert_alike(&see(&genuine, true, &random), &see(&decoy, false, &random));
}

#[test]
fn a_sealed_token_of_a_failed_app_and_a_passed_ones_are_of_one_distribution() {
    let random = SeededRandom::new(18);
    // Ed25519 signs the same bytes in the same way each time, so the test is the same each time: RFC 8410 section 7.
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pkcs8 = [&head[..], &random::array::<32>(&random).unwrap()].concat();
    let key = SigningKey::from_pkcs8("k1", Algorithm::EdDSA, &pkcs8).unwrap().sealed().unwrap();
    assert_alike(&see(&key, true, &random), &see(&key, false, &random));
}

#[test]
fn the_statistic_finds_a_small_bias() {
    let random = SeededRandom::new(19);
    let (mut even, mut biased) = (Histogram::new(), Histogram::new());
    for round in 0..TOKENS / 2 {
        let bytes: [u8; 32] = random::array(&random).unwrap();
        even.add(&bytes);
        let mut bytes: [u8; 32] = random::array(&random).unwrap();
        // A ninth of the bytes lose their lowest bit: half of the values are 11 % rarer.
        for (at, byte) in bytes.iter_mut().enumerate() {
            if (at + round).is_multiple_of(9) {
                *byte &= 0xfe;
            }
        }
        biased.add(&bytes);
    }
    let statistic = even.chi_squared(&biased);
    assert!(statistic > THRESHOLD, "{statistic}");
}
