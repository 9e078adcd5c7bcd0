//! What a request counts as: the categories in which Firebase App Check shows its traffic, so that who comes from there reads on.

use attest_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::class::Action;

/// One of six; the shares are told of the first five, for the sixth says nothing about clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A genuine app, and the policy allows it.
    Verified,
    /// A genuine app that the policy does not simply allow: an old version, mostly; or one whose token has expired.
    Outdated,
    /// No token: an app from before the SDK, a browser, a script.
    UnknownOrigin,
    /// A token that is not good: forged, of a failed app or a banned device, bound to something else.
    Invalid,
    /// A token or proof that was used before.
    Replayed,
    /// The gateway could not tell.
    Unverifiable,
}

impl Category {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Verified, Self::Outdated, Self::UnknownOrigin, Self::Invalid, Self::Replayed, Self::Unverifiable];

    /// For a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Outdated => "outdated client",
            Self::UnknownOrigin => "unknown origin",
            Self::Invalid => "invalid",
            Self::Replayed => "replayed",
            Self::Unverifiable => "could not be verified",
        }
    }

    pub(super) fn of(seen: &Seen<'_>) -> Self {
        match seen.verdict {
            Verdict::Attested if seen.enforced == Action::Allow => Self::Verified,
            // Behind both stands a genuine signature of an app that passed.
            Verdict::Attested | Verdict::Expired => Self::Outdated,
            Verdict::Missing => Self::UnknownOrigin,
            Verdict::Replayed => Self::Replayed,
            Verdict::Unverifiable => Self::Unverifiable,
            Verdict::Malformed
            | Verdict::UnknownKey
            | Verdict::BadSignature
            | Verdict::WrongIssuer
            | Verdict::WrongAudience
            | Verdict::Failed
            | Verdict::Revoked
            | Verdict::NotYetValid
            | Verdict::BindingMismatch
            | Verdict::ProofInvalid => Self::Invalid,
        }
    }
}
