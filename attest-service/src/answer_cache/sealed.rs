//! In: an answer and its transcript. Out: bytes that another replica can keep, and this or another service of the same
//! state opens again. What is proven: whoever holds the shared store learns no token, can't swap answers between
//! transcripts and can't make one up; the bytes have the same length for pass and fail.
//!
//! Each transcript has its own key, so no number of answers uses up the nonces of one. Layout: nonce (12) | ciphertext
//! and tag (16) of version (1), status (2), signature good (1), signature (64), body.

use attest_core::random::{Random, array};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use bytes::Bytes;
use http::StatusCode;
use zeroize::Zeroizing;

use super::Answer;

/// The secret under which answers are sealed: the services of one state share it. `Debug` shows nothing.
pub(crate) struct AnswerKey(hmac::Key);

const LABEL: &[u8] = b"assay-answer-v1\0";
const VERSION: u8 = 1;
const NONCE: usize = 12;

impl AnswerKey {
    /// The key of 32 random bytes.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Seals `answer` for `transcript`; nothing where there is no randomness.
    pub(crate) fn seal(&self, transcript: &[u8; 32], answer: &Answer, random: &dyn Random) -> Option<Vec<u8>> {
        let mut text = [
            &[VERSION][..],
            &answer.status.as_u16().to_be_bytes(),
            &[u8::from(answer.signature_good)],
            &answer.signature,
            &answer.body,
        ]
        .concat();
        let nonce: [u8; NONCE] = array(random).ok()?;
        let key = self.of(transcript)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(transcript), &mut text).ok()?;
        Some([&nonce[..], &text].concat())
    }

    /// Opens what [`AnswerKey::seal`] made for `transcript`; nothing else opens.
    pub(crate) fn open(&self, transcript: &[u8; 32], sealed: &[u8]) -> Option<Answer> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let key = self.of(transcript)?;
        let text = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(transcript), &mut text).ok()?;
        let (&[VERSION], rest) = text.split_first_chunk::<1>()? else { return None };
        let (status, rest) = rest.split_first_chunk::<2>()?;
        let (good, rest) = rest.split_first()?;
        let (signature, body) = rest.split_first_chunk::<64>()?;
        Some(Answer {
            status: StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?,
            body: Bytes::copy_from_slice(body),
            signature: *signature,
            signature_good: *good == 1,
        })
    }

    fn of(&self, transcript: &[u8; 32]) -> Option<LessSafeKey> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        context.update(transcript);
        UnboundKey::new(&AES_256_GCM, context.sign().as_ref()).ok().map(LessSafeKey::new)
    }
}

/// Bytes that sealing adds to a body.
#[cfg(test)]
const OVERHEAD: usize = NONCE + 1 + 2 + 1 + 64 + 16;

#[cfg(test)]
mod tests {
    use attest_core::random::SystemRandom;

    use super::*;

    fn made(good: bool) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: Bytes::from_static(b"{\"token\":\"t\"}"),
            signature: [7; 64],
            signature_good: good,
        }
    }

    #[test]
    fn nothing_opens_under_another_transcript_another_secret_or_changed() {
        let key = AnswerKey::new(&[1; 32]);
        let sealed = key.seal(&[5; 32], &made(true), &SystemRandom).unwrap();
        assert!(key.open(&[6; 32], &sealed).is_none());
        assert!(AnswerKey::new(&[2; 32]).open(&[5; 32], &sealed).is_none());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open(&[5; 32], &changed).is_none(), "{place}");
        }
        for length in 0..sealed.len() {
            assert!(key.open(&[5; 32], &sealed[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn what_was_sealed_comes_back_and_its_length_tells_nothing() {
        let key = AnswerKey::new(&[1; 32]);
        let sealed = key.seal(&[5; 32], &made(true), &SystemRandom).unwrap();
        let answer = key.open(&[5; 32], &sealed).unwrap();
        assert_eq!((answer.status, answer.signature, answer.signature_good), (StatusCode::OK, [7; 64], true));
        assert_eq!(answer.body, "{\"token\":\"t\"}");
        assert_eq!(sealed.len(), answer.body.len() + OVERHEAD);
        assert_eq!(key.seal(&[5; 32], &made(false), &SystemRandom).unwrap().len(), sealed.len());
        assert!(!sealed.windows(5).any(|bytes| bytes == b"token"));
    }
}
