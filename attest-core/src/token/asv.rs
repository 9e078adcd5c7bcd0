//! The sealed claim `asv`: what the gateway needs beyond yes and no, closed to the client.
//!
//! AES-256-GCM over one fixed block under HKDF-SHA-256(verdict key, jti), associated data iss, aud, kid, iat, exp.
//! Each token has a key of its own, so the nonce is fixed and nothing wears out; `jti` must be random and used once.

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::b64u;
use crate::crypto::{hkdf_sha256, length_prefix};
use crate::evidence_kind::EvidenceKinds;
use crate::tier::Tier;
use crate::time::UnixTime;

/// Characters of the claim: 16 bytes of block and 16 of tag in base64url.
pub const ASV_CHARS: usize = 43;

/// The key that seals and opens `asv`: held by the service and its gateways.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct VerdictKey([u8; 32]);

impl VerdictKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The bytes, to be kept or sent sealed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self, jti: &str) -> Aes256Gcm {
        let key = Zeroizing::new(hkdf_sha256(&self.0, jti.as_bytes(), b"assay-asv-v1"));
        Aes256Gcm::new((&*key).into())
    }
}

impl std::fmt::Debug for VerdictKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("VerdictKey([redacted])")
    }
}

/// What an operator said about the device, at the time of the appraisal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeviceState {
    /// Nothing.
    #[default]
    Normal = 0,
    /// It passes whatever its Evidence says; a mark that policy and metrics see.
    ForcedPass = 1,
    /// It fails whatever its Evidence says.
    ForcedFail = 2,
    /// It is banned.
    Banned = 3,
}

impl DeviceState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Normal, Self::ForcedPass, Self::ForcedFail, Self::Banned];

    /// The word, as it stands in policies and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ForcedPass => "forced_pass",
            Self::ForcedFail => "forced_fail",
            Self::Banned => "banned",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }
}

/// The block inside: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsvBlock {
    /// Whether the app passed its appraisal.
    pub passed: bool,
    /// How much the appraisal vouches for.
    pub tier: Tier,
    /// The kinds of Evidence that held.
    pub kinds: EvidenceKinds,
    /// What an operator said about the device.
    pub device_state: DeviceState,
    /// Annotations, one bit each ([`annotations`]).
    pub annotations: u16,
    /// Hours since the device was first seen, whole ones, and at most as many as fit; 0: not known.
    pub device_age_hours: u16,
    /// The registry's number of the build that it passed or failed as; 0: of none.
    pub build: u32,
}

/// What an annotation's bit says.
pub mod annotations {
    /// Passed because the device is enrolled for development, or made by `assay token issue`: good only on routes that
    /// say so.
    pub const DEV: u16 = 1;
}

/// What the sealed claim is tied to: it opens in no other token.
#[derive(Clone, Copy)]
pub struct AsvContext<'a> {
    /// `iss`
    pub iss: &'a str,
    /// `aud`
    pub aud: &'a str,
    /// `kid` of the header
    pub kid: &'a str,
    /// `iat`
    pub iat: UnixTime,
    /// `exp`
    pub exp: UnixTime,
}

/// The claim does not open: another key, another token, or not sealed by us.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the sealed verdict does not open")]
pub struct DoesNotOpen;

/// Seals the block for the token with this `jti` (as text, as it stands in the token).
#[must_use]
pub fn seal(key: &VerdictKey, jti: &str, context: AsvContext<'_>, block: &AsvBlock) -> String {
    let mut sealed = [0_u8; 32];
    let (text, tag_out) = sealed.split_at_mut(16);
    text.copy_from_slice(&block.to_bytes());
    // A 16-byte message and a hundred bytes of associated data are far below the limits of GCM.
    if let Ok(tag) = key.cipher(jti).encrypt_inout_detached(&NONCE, &context.associated_data(), text.into()) {
        tag_out.copy_from_slice(&tag);
    }
    b64u::encode(&sealed)
}

/// Opens the claim `asv` of the token with this `jti`.
///
/// # Errors
/// [`DoesNotOpen`], also for a block of a form that we don't know.
pub fn open(key: &VerdictKey, jti: &str, context: AsvContext<'_>, asv: &str) -> Result<AsvBlock, DoesNotOpen> {
    let mut sealed: [u8; 32] = b64u::decode_array(asv.as_bytes()).map_err(|_| DoesNotOpen)?;
    let (text, tag) = sealed.split_at_mut(16);
    let tag = Tag::try_from(&*tag).map_err(|_| DoesNotOpen)?;
    let opened = key.cipher(jti).decrypt_inout_detached(&NONCE, &context.associated_data(), (&mut *text).into(), &tag);
    opened.map_err(|_| DoesNotOpen)?;
    let block = text.first_chunk::<16>().ok_or(DoesNotOpen)?;
    AsvBlock::from_bytes(block).ok_or(DoesNotOpen)
}

/// Each key seals one message only.
const NONCE: Nonce<U12> = Array([0; 12]);

const FORMAT: u8 = 1;

impl AsvBlock {
    fn to_bytes(self) -> [u8; 16] {
        let [kinds_high, kinds_low] = self.kinds.bits().to_be_bytes();
        let ([a, b], [c, d]) = (self.device_age_hours.to_be_bytes(), self.annotations.to_be_bytes());
        let (passed, tier, state) = (u8::from(self.passed), self.tier as u8, self.device_state as u8);
        let [e, f, g, h] = self.build.to_be_bytes();
        [FORMAT, passed, tier, state, kinds_high, kinds_low, a, b, c, d, e, f, g, h, 0, 0]
    }

    fn from_bytes(bytes: &[u8; 16]) -> Option<Self> {
        let [FORMAT, passed @ 0..=1, tier, state, kinds_high, kinds_low, a, b, c, d, e, f, g, h, 0, 0] = *bytes else {
            return None;
        };
        Some(Self {
            passed: passed == 1,
            tier: Tier::from_number(tier)?,
            kinds: EvidenceKinds::from_bits(u16::from_be_bytes([kinds_high, kinds_low]))?,
            device_state: DeviceState::from_number(state)?,
            annotations: u16::from_be_bytes([c, d]),
            device_age_hours: u16::from_be_bytes([a, b]),
            build: u32::from_be_bytes([e, f, g, h]),
        })
    }
}

impl AsvContext<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.iss.len() + self.aud.len() + self.kid.len() + 28);
        for field in [self.iss, self.aud, self.kid] {
            out.extend_from_slice(&length_prefix(field.len()));
            out.extend_from_slice(field.as_bytes());
        }
        out.extend_from_slice(&self.iat.millis().to_be_bytes());
        out.extend_from_slice(&self.exp.millis().to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence_kind::EvidenceKind;

    const CONTEXT: AsvContext<'static> =
        AsvContext { iss: "i", aud: "a", kid: "k", iat: UnixTime::from_secs(1), exp: UnixTime::from_secs(2) };

    fn block() -> AsvBlock {
        AsvBlock {
            passed: true,
            tier: Tier::Warning,
            kinds: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            device_state: DeviceState::ForcedPass,
            annotations: 0x0304,
            device_age_hours: 0x0102,
            build: 0x0506_0708,
        }
    }

    #[test]
    fn opens_in_no_other_token_and_under_no_other_key() {
        let key = VerdictKey::new([1; 32]);
        let sealed = seal(&key, "jti", CONTEXT, &block());
        assert_eq!(sealed.len(), ASV_CHARS);
        assert_eq!(open(&key, "jti", CONTEXT, &sealed), Ok(block()));
        let no = Err(DoesNotOpen);
        assert_eq!(open(&VerdictKey::new([2; 32]), "jti", CONTEXT, &sealed), no);
        assert_eq!(open(&key, "itj", CONTEXT, &sealed), no);
        assert_eq!(open(&key, "jti", AsvContext { iss: "j", ..CONTEXT }, &sealed), no);
        assert_eq!(open(&key, "jti", AsvContext { iss: "ia", aud: "", ..CONTEXT }, &sealed), no);
        assert_eq!(open(&key, "jti", AsvContext { kid: "l", ..CONTEXT }, &sealed), no);
        assert_eq!(open(&key, "jti", AsvContext { exp: UnixTime::from_secs(3), ..CONTEXT }, &sealed), no);
        assert_eq!(open(&key, "jti", AsvContext { iat: UnixTime::from_secs(3), ..CONTEXT }, &sealed), no);
        assert_eq!(open(&key, "jti", CONTEXT, ""), no);
        assert_eq!(open(&key, "jti", CONTEXT, &format!("A{}", &sealed[1..])), no);
    }

    #[test]
    fn equal_blocks_of_two_tokens_do_not_look_equal() {
        let key = VerdictKey::new([1; 32]);
        assert_ne!(seal(&key, "one", CONTEXT, &block()), seal(&key, "two", CONTEXT, &block()));
    }

    #[test]
    fn blocks_of_an_unknown_form_are_refused() {
        let good = block().to_bytes();
        assert_eq!(AsvBlock::from_bytes(&good), Some(block()));
        for (at, byte) in [(0, 2), (1, 2), (2, 9), (3, 9), (4, 0xff), (15, 1)] {
            let mut bad = good;
            bad[at] = byte;
            assert_eq!(AsvBlock::from_bytes(&bad), None, "byte {at}");
        }
    }
}
