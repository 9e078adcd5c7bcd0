//! A and B where several replicas share one store. In: challenge and transcript. Out: `Consumed`, at one replica, once;
//! for everybody else who brings the same transcript the answer that was made, whichever replica made it. What is proven:
//! the store's epoch was the challenge's in the very step that set the entry, so a store that forgot (restart, flush,
//! failover) accepts nothing old; every call is bounded in time, and a store that can't say means no token.
//!
//! Answers lie in the store sealed ([`crate::answer_cache::sealed`]), for the keeping time.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use attest_core::{
    challenge::{Challenge, ChallengeKey, VerifiedChallenge},
    random::Random,
    time::UnixTime,
    transcript::TranscriptHash,
};
use shared_state::{Away, Claim, Count, Rate, SharedState, Spend, Stored};
use tokio::time::{Instant, sleep};

use super::{Consumed, NotConsumed};
use crate::{
    answer_cache::{Answer, KEEP, sealed::AnswerKey},
    network::{Client, Network},
};

/// What a client's rate is counted over.
const MINUTE: Duration = Duration::from_secs(60);
/// Entries outlive their challenges by this: replicas whose clocks lag accept a challenge for longer.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);
/// How long a retry waits for the answer that another replica is making.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rest between two looks: the first, and the longest.
const FIRST_REST: Duration = Duration::from_millis(2);
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Challenges and answers in the shared store.
pub(crate) struct SharedChallenges {
    store: Arc<SharedState>,
    key: ChallengeKey,
    answers: AnswerKey,
    key_set: String,
    life: Duration,
    capacity: AtomicU32,
}

/// What the shared store says of a transcript.
pub(crate) enum Turn {
    /// Nobody has it: the caller makes the answer, or gives it up.
    Ours,
    /// Somebody had it before.
    Theirs,
}

/// How waiting for another's answer ended.
pub(crate) enum Waited {
    /// The answer.
    Made(Answer),
    /// Its maker gave up: the challenge was spent on another transcript.
    Abandoned,
    /// It did not come in time, or the store is away.
    NotNow,
}

impl SharedChallenges {
    /// Over `store`, for challenges of `key_set` that live for `life`, at most `capacity` of them remembered.
    pub(crate) fn new(
        store: Arc<SharedState>,
        key: ChallengeKey,
        answers: AnswerKey,
        key_set: &str,
        life: Duration,
        capacity: NonZeroU32,
    ) -> Self {
        Self { store, key, answers, key_set: key_set.to_owned(), life, capacity: AtomicU32::new(capacity.get()) }
    }

    pub(super) async fn issue(&self, nonce: [u8; 16], now: UnixTime) -> Result<Challenge, NotConsumed> {
        let epoch = self.store.epoch().await?;
        Ok(Challenge::issue(nonce, epoch, &self.key_set, now, &self.key))
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    pub(super) fn resize(&self, total: NonZeroU32) {
        self.capacity.store(total.get(), Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.store.health()
    }

    /// Counts one request of `client` among those at all replicas. A store that is away counts nothing.
    ///
    /// # Errors
    /// How long until the next one may pass.
    pub(crate) async fn count(&self, client: Client, per_minute: NonZeroU32) -> Result<(), Duration> {
        let key = [&b"attest/"[..], &client.to_bytes()].concat();
        match self.store.limit(&key, Rate::new(per_minute.into(), MINUTE, None)).await {
            Ok(Count::Exceeded { retry_after }) => Err(retry_after),
            Ok(Count::Within { .. }) | Err(Away) => Ok(()),
        }
    }

    /// Verifies a challenge that came back, against the store's epoch of now.
    ///
    /// # Errors
    /// `Over` and `Away`.
    pub(crate) async fn verify(
        &self,
        challenge: &[u8],
        now: UnixTime,
    ) -> Result<(VerifiedChallenge, [u8; 8]), NotConsumed> {
        let challenge = Challenge::from_bytes(challenge).map_err(|_| NotConsumed::Over)?;
        let epoch = self.store.epoch().await?;
        let verified =
            challenge.verify(&self.key, &self.key_set, epoch, now, self.life).map_err(|_| NotConsumed::Over)?;
        Ok((verified, epoch))
    }

    /// Claims `transcript`: one caller among all replicas makes its answer.
    ///
    /// # Errors
    /// `Away`.
    pub(crate) async fn claim(&self, transcript: &TranscriptHash) -> Result<Turn, NotConsumed> {
        match self.store.answer_claim(*transcript.as_bytes(), KEEP).await? {
            Claim::First => Ok(Turn::Ours),
            Claim::Again => Ok(Turn::Theirs),
        }
    }

    /// Uses `challenge` up, for a request that came from `network` at `now`.
    ///
    /// # Errors
    /// `Spent` for every call but the first, at any replica; `Over` where the epoch is another by now; `Full`; `Away`, and
    /// then the challenge may be spent: whoever asked takes a new one.
    pub(crate) async fn consume(
        &self,
        challenge: VerifiedChallenge,
        epoch: [u8; 8],
        network: Network,
        now: UnixTime,
    ) -> Result<Consumed, NotConsumed> {
        let left = challenge.issued().plus(self.life).since(now).unwrap_or_default() + CLOCKS_DIFFER;
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let capacity = u64::from(self.capacity.load(Ordering::Relaxed));
        match self.store.spend(*challenge.nonce(), epoch, left, &network.to_bytes(), capacity).await? {
            Spend::First => Ok(Consumed::new()),
            Spend::Again => Err(NotConsumed::Spent),
            Spend::OldEpoch => Err(NotConsumed::Over),
            Spend::Full => Err(NotConsumed::Full),
        }
    }

    /// Keeps the answer for retries at any replica. A store that is away by now keeps nothing: the answer is given all
    /// the same, and a retry hears 503 or takes a new challenge.
    pub(crate) async fn keep(&self, transcript: &TranscriptHash, answer: &Answer, random: &dyn Random) {
        if let Some(sealed) = self.answers.seal(transcript.as_bytes(), answer, random) {
            let _ = self.store.answer_put(*transcript.as_bytes(), &sealed, KEEP).await;
        }
    }

    /// Gives the claim up: those who wait hear so, and nothing is left behind in the store.
    pub(crate) async fn give_up(&self, transcript: &TranscriptHash) {
        let _ = self.store.answer_release(*transcript.as_bytes()).await;
    }

    /// Waits, not for long, for the answer that somebody else makes or has made.
    pub(crate) async fn wait(&self, transcript: &TranscriptHash) -> Waited {
        let until = Instant::now() + PATIENCE;
        let mut rest = FIRST_REST;
        loop {
            match self.store.answer_get(*transcript.as_bytes()).await {
                Ok(Stored::Answer(sealed)) => {
                    return self.answers.open(transcript.as_bytes(), &sealed).map_or(Waited::NotNow, Waited::Made);
                }
                Ok(Stored::Nothing) => return Waited::Abandoned,
                Ok(Stored::Claimed) => {}
                Err(Away) => return Waited::NotNow,
            }
            if Instant::now() + rest > until {
                return Waited::NotNow;
            }
            sleep(rest).await;
            rest = (rest * 2).min(LONGEST_REST);
        }
    }
}

impl From<Away> for NotConsumed {
    fn from(_: Away) -> Self {
        Self::Away
    }
}
