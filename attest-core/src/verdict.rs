//! The one word that a request's token earns, before any policy speaks.

use std::fmt;
use std::str::FromStr;

/// What is known about the token of one request: the first that applies, in this order. It is never an action.
///
/// What is known against an app outranks what is merely stale, so that waiting does not turn `failed` into `expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// No token.
    Missing,
    /// Not a token that we read: its form, its claims, or a life longer than the issuer may give.
    Malformed,
    /// Our fault: no usable key set. Never depends on what the client sent.
    Unverifiable,
    /// Names a key that the set does not hold.
    UnknownKey,
    /// The signature does not fit, or the algorithm is not the key's own.
    BadSignature,
    /// Another issuer, or none where one is configured.
    WrongIssuer,
    /// Another audience, or none where one is configured.
    WrongAudience,
    /// Our service says that the app failed its appraisal.
    Failed,
    /// Banned or retired since.
    Revoked,
    /// Its time has not begun.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// Bound to another value than the request carries.
    BindingMismatch,
    /// The proof of possession is absent or wrong.
    ProofInvalid,
    /// Used before, where once is all.
    Replayed,
    /// The app is what it claims to be.
    Attested,
}

impl Verdict {
    /// All, in the order in which they apply.
    pub const ALL: [Self; 15] = [
        Self::Missing,
        Self::Malformed,
        Self::Unverifiable,
        Self::UnknownKey,
        Self::BadSignature,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::Failed,
        Self::Revoked,
        Self::NotYetValid,
        Self::Expired,
        Self::BindingMismatch,
        Self::ProofInvalid,
        Self::Replayed,
        Self::Attested,
    ];

    /// The word, as it stands in policies, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unverifiable => "unverifiable",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::BindingMismatch => "binding_mismatch",
            Self::ProofInvalid => "proof_invalid",
            Self::Replayed => "replayed",
            Self::Attested => "attested",
        }
    }

    /// Whether it belongs to the group `invalid`: a token was there and is not good, for a reason of its own.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::UnknownKey
                | Self::BadSignature
                | Self::WrongIssuer
                | Self::WrongAudience
                | Self::BindingMismatch
                | Self::ProofInvalid
                | Self::Replayed
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The word is no verdict.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a verdict")]
pub struct NotAVerdict;

impl FromStr for Verdict {
    type Err = NotAVerdict;

    fn from_str(word: &str) -> Result<Self, NotAVerdict> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word).ok_or(NotAVerdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_numbers_order_and_each_word_reads_back() {
        for (place, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, place);
            assert_eq!(verdict.as_str().parse(), Ok(verdict));
        }
        assert_eq!("Attested".parse::<Verdict>(), Err(NotAVerdict));
    }

    #[test]
    fn the_group_invalid_holds_eight_and_neither_failed_nor_expired() {
        assert_eq!(Verdict::ALL.into_iter().filter(|verdict| verdict.is_invalid()).count(), 8);
        assert!(!Verdict::Failed.is_invalid() && !Verdict::Expired.is_invalid() && !Verdict::Revoked.is_invalid());
    }
}
