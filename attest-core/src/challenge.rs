//! A: the challenge that any replica can issue and check without asking another.
//!
//! In: nonce, epoch, key set, time. Out: 73 bytes, authenticated. Proven by [`Challenge::verify`]: this service
//! issued it, for this key set, in this epoch, not too long ago. That it is used once is for the store to prove.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::crypto::{hmac_sha256, sha256};
use crate::time::UnixTime;

/// Bytes of a challenge: version, nonce 16, epoch 8, key set 8, milliseconds 8, HMAC-SHA-256 32.
pub const CHALLENGE_BYTES: usize = 73;

/// How far ahead of us the clock of the replica that issued it may be.
const CLOCK_AHEAD: Duration = Duration::from_secs(30);

const VERSION: u8 = 1;

/// The key that authenticates challenges: the service alone holds it. Its `Debug` shows nothing.
pub struct ChallengeKey(hmac::Key);

impl ChallengeKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ChallengeKey([redacted])")
    }
}

/// Why a challenge can't be used. None of it is secret: the client is told.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ChallengeError {
    /// Not issued by this service for this key set.
    #[error("not a challenge of this service")]
    NotOurs,
    /// Issued before the store that remembers used ones began anew.
    #[error("a challenge of an older epoch")]
    OldEpoch,
    /// Older than its life, or from a clock that is far ahead.
    #[error("the challenge is too old")]
    Expired,
}

/// A challenge as it travels; nothing is proven about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge([u8; CHALLENGE_BYTES]);

/// A challenge of ours that is still fresh. Consuming it is the store's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChallenge {
    nonce: [u8; 16],
    issued: UnixTime,
}

impl VerifiedChallenge {
    /// The nonce: what a store remembers.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 16] {
        &self.nonce
    }

    /// When it was issued: what a store needs to know when it may forget.
    #[must_use]
    pub const fn issued(&self) -> UnixTime {
        self.issued
    }
}

impl Challenge {
    /// Issues a challenge. `nonce`: 16 fresh random bytes; `epoch`: of the store that will consume it.
    #[must_use]
    pub fn issue(nonce: [u8; 16], epoch: [u8; 8], key_set: &str, now: UnixTime, key: &ChallengeKey) -> Self {
        let mut bytes = [0_u8; CHALLENGE_BYTES];
        let body = [&[VERSION][..], &nonce, &epoch, &key_set_id(key_set), &now.millis().to_be_bytes()];
        let mac = hmac_sha256(&key.0, &body);
        for (to, from) in bytes.iter_mut().zip(body.into_iter().flatten().chain(&mac)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// A challenge that came back.
    ///
    /// # Errors
    /// [`ChallengeError::NotOurs`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChallengeError> {
        bytes.try_into().map(Self).map_err(|_| ChallengeError::NotOurs)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; CHALLENGE_BYTES] {
        &self.0
    }

    /// Verifies that it is ours, of this epoch, and at most `life` old.
    ///
    /// # Errors
    /// [`ChallengeError`], in the order of its variants.
    pub fn verify(
        &self,
        key: &ChallengeKey,
        key_set: &str,
        epoch: [u8; 8],
        now: UnixTime,
        life: Duration,
    ) -> Result<VerifiedChallenge, ChallengeError> {
        let (body, mac) = self.0.split_last_chunk::<32>().ok_or(ChallengeError::NotOurs)?;
        let ours: bool = hmac_sha256(&key.0, &[body]).ct_eq(mac).into();
        let fields = Fields::split(body).filter(|fields| ours && fields.key_set == key_set_id(key_set));
        let fields = fields.ok_or(ChallengeError::NotOurs)?;
        if fields.epoch != epoch {
            return Err(ChallengeError::OldEpoch);
        }
        if now > fields.issued.plus(life) || fields.issued > now.plus(CLOCK_AHEAD) {
            return Err(ChallengeError::Expired);
        }
        Ok(VerifiedChallenge { nonce: fields.nonce, issued: fields.issued })
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Challenge(..)")
    }
}

struct Fields {
    nonce: [u8; 16],
    epoch: [u8; 8],
    key_set: [u8; 8],
    issued: UnixTime,
}

impl Fields {
    fn split(body: &[u8]) -> Option<Self> {
        let (&[VERSION], rest) = body.split_first_chunk::<1>()? else { return None };
        let (nonce, rest) = rest.split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (key_set, rest) = rest.split_first_chunk::<8>()?;
        let issued = UnixTime::from_millis(i64::from_be_bytes(rest.try_into().ok()?));
        Some(Self { nonce: *nonce, epoch: *epoch, key_set: *key_set, issued })
    }
}

fn key_set_id(name: &str) -> [u8; 8] {
    sha256(&[b"assay-key-set-id-v1\0", name.as_bytes()]).first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: [u8; 8] = [9; 8];
    const NOW: UnixTime = UnixTime::from_secs(1_000);
    const LIFE: Duration = Duration::from_secs(60);

    fn key() -> ChallengeKey {
        ChallengeKey::new(&[3; 32])
    }

    fn issued() -> Challenge {
        Challenge::issue([7; 16], EPOCH, "default", NOW, &key())
    }

    #[test]
    fn refuses_another_key_key_set_epoch_and_time() {
        let challenge = issued();
        let at = |secs| challenge.verify(&key(), "default", EPOCH, UnixTime::from_secs(secs), LIFE);
        assert_eq!(at(1_060).map(|verified| *verified.nonce()), Ok([7; 16]));
        assert_eq!(at(1_061), Err(ChallengeError::Expired));
        assert_eq!(at(970).map(|verified| verified.issued()), Ok(NOW));
        assert_eq!(at(969), Err(ChallengeError::Expired));
        assert_eq!(challenge.verify(&key(), "default", [8; 8], NOW, LIFE), Err(ChallengeError::OldEpoch));
        assert_eq!(challenge.verify(&key(), "other", EPOCH, NOW, LIFE), Err(ChallengeError::NotOurs));
        let other = ChallengeKey::new(&[4; 32]);
        assert_eq!(challenge.verify(&other, "default", EPOCH, NOW, LIFE), Err(ChallengeError::NotOurs));
        assert_eq!(Challenge::from_bytes(&[0; 72]), Err(ChallengeError::NotOurs));
    }

    #[test]
    fn refuses_a_change_of_any_bit() {
        let good = *issued().as_bytes();
        for bit in 0..CHALLENGE_BYTES * 8 {
            let mut changed = good;
            changed[bit / 8] ^= 1 << (bit % 8);
            let verified = Challenge(changed).verify(&key(), "default", EPOCH, NOW, LIFE);
            assert_eq!(verified, Err(ChallengeError::NotOurs), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), now: i64) {
            if let Ok(challenge) = Challenge::from_bytes(&bytes) {
                let _ = challenge.verify(&key(), "default", EPOCH, UnixTime::from_millis(now), LIFE);
            }
        }

        #[test]
        fn round_trip(nonce: [u8; 16], epoch: [u8; 8], now in 0_i64..1 << 50, name in "[a-z]{0,10}") {
            let now = UnixTime::from_millis(now);
            let challenge = Challenge::issue(nonce, epoch, &name, now, &key());
            let verified = Challenge::from_bytes(challenge.as_bytes()).unwrap().verify(&key(), &name, epoch, now, LIFE);
            prop_assert_eq!(verified, Ok(VerifiedChallenge { nonce, issued: now }));
        }
    }
}
