//! A. In: 16 random bytes, or a challenge that came back. Out: a challenge, or [`Consumed`], once. What is proven: the
//! challenge is ours, of the store's epoch and in time; and it leaves here at most once, because looking up and setting
//! the entry are one step of the store.
//!
//! The store is this process ([`embedded`]), or the one that all replicas share ([`shared`]).

use std::{num::NonZeroU32, time::Duration};

use attest_core::{challenge::Challenge, time::UnixTime};

pub(crate) mod embedded;
pub(crate) mod shared;

use self::{embedded::ChallengeStore, shared::SharedChallenges};

/// The store of used challenges.
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Challenges {
    /// Here: nothing is waited for.
    Embedded(ChallengeStore),
    /// Shared by all replicas.
    Shared(SharedChallenges),
}

/// Proof that this request, and no other, used its challenge. Appraisal demands it.
#[derive(Debug)]
pub(crate) struct Consumed {
    _private: (),
}

/// Why a challenge can't be used.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub(crate) enum NotConsumed {
    /// Used before.
    #[error("the challenge has been used")]
    Spent,
    /// Not ours, of an earlier epoch, or so old that its entry may have been dropped.
    #[error("the challenge is over")]
    Over,
    /// No room, for this network or at all.
    #[error("no room to remember the challenge")]
    Full,
    /// The shared store can't say.
    #[error("the shared store is away")]
    Away,
}

/// How many consumed challenges are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// All together.
    pub(crate) total: usize,
    /// Of one network, while there is plenty of room.
    pub(crate) per_network: usize,
    /// Of one network once three quarters of the room are used: what is left is for those who hold little.
    pub(crate) per_network_when_scarce: usize,
}

impl Consumed {
    /// The stores alone may say it: each where it has set the entry.
    const fn new() -> Self {
        Self { _private: () }
    }
}

impl NotConsumed {
    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Over => "over",
            Self::Full => "full",
            Self::Away => "away",
        }
    }
}

impl Capacity {
    /// Shares of `total`: a quarter for one network, a 4096th when scarce (at least one each).
    pub(crate) fn of(total: usize) -> Self {
        let total = total.max(1);
        Self { total, per_network: (total / 4).max(1), per_network_when_scarce: (total / 4096).max(1) }
    }

    /// The same of a number in the configuration.
    pub(crate) fn of_setting(total: NonZeroU32) -> Self {
        Self::of(usize::try_from(total.get()).unwrap_or(usize::MAX))
    }

    fn share(&self, used: usize) -> usize {
        if used >= self.total / 4 * 3 { self.per_network_when_scarce } else { self.per_network }
    }
}

impl Challenges {
    /// A challenge of this epoch, of 16 fresh random bytes.
    ///
    /// # Errors
    /// `Away`: without the store there is no epoch, and a challenge of none could never be used.
    pub(crate) async fn issue(&self, nonce: [u8; 16], now: UnixTime) -> Result<Challenge, NotConsumed> {
        match self {
            Self::Embedded(store) => Ok(store.issue(nonce, now)),
            Self::Shared(store) => store.issue(nonce, now).await,
        }
    }

    /// How long a challenge can be used.
    pub(crate) fn life(&self) -> Duration {
        match self {
            Self::Embedded(store) => store.life(),
            Self::Shared(store) => store.life(),
        }
    }

    /// Takes over another bound on the challenges remembered.
    pub(crate) fn resize(&self, total: NonZeroU32) {
        match self {
            Self::Embedded(store) => store.resize(Capacity::of_setting(total)),
            Self::Shared(store) => store.resize(total),
        }
    }

    /// How many entries this process holds.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Embedded(store) => store.len(),
            Self::Shared(_) => 0,
        }
    }

    /// Whether the shared store answers; nothing where there is none.
    pub(crate) fn shared_health(&self) -> Option<bool> {
        match self {
            Self::Embedded(_) => None,
            Self::Shared(store) => Some(store.is_up()),
        }
    }
}
