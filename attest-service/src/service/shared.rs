//! An attestation where replicas share one store. In: an attest request. Out: its answer. What is proven: among all
//! replicas one request claims a transcript, one spends a challenge, and the answer lies where every replica finds it
//! before anybody has it.
//!
//! It waits for the store in between, so it runs on a task of its own: a client that hangs up can't leave its challenge
//! spent and unanswered. What another replica does is waited for on the request's task, and ends with it: clients that ask
//! and hang up leave no tasks behind.

use std::{net::IpAddr, sync::Arc};

use attest_core::{envelope::AttestRequest, transcript::TranscriptHash};
use tokio::sync::OwnedSemaphorePermit;

use super::{Attested, Service};
use crate::{
    challenges::{
        Challenges, NotConsumed,
        shared::{SharedChallenges, Turn, Waited},
    },
    network::Network,
    refusal::Refusal,
};

/// What an attest request is, once it has asked the shared store.
pub(super) enum Asked {
    /// Its transcript was nobody's.
    Now(Attested),
    /// Somebody had its transcript before.
    Before(TranscriptHash),
}

impl Service {
    /// Asks, and where nobody has the transcript, makes its answer. `permit`: one seat of those who appraise.
    ///
    /// # Errors
    /// As [`Service::attest`].
    pub(super) async fn ask_shared(
        &self,
        request: &AttestRequest,
        address: IpAddr,
        _permit: OwnedSemaphorePermit,
    ) -> Result<Asked, Refusal> {
        let Challenges::Shared(shared) = &self.challenges else { return Err(Refusal::Unavailable) };
        let now = self.clock.now();
        let (challenge, epoch) = shared.verify(&request.challenge, now).await.map_err(|why| self.not_consumed(why))?;
        let id = request.device_key.device_id(&self.device_salt);
        let device = self.ages.of(id, self.previous(request)).await;
        let transcript = request.transcript(&self.key_set);
        match shared.claim(&transcript).await.map_err(|why| self.not_consumed(why))? {
            Turn::Ours => {}
            Turn::Theirs => return Ok(Asked::Before(transcript)),
        }
        // The claim comes before the spending, so that a retry finds it, and is given up where nothing was spent on it:
        // replaying spent challenges leaves nothing in the store.
        let consumed = match shared.consume(challenge, epoch, Network::of(address), now).await {
            Ok(consumed) => consumed,
            Err(why) => {
                shared.give_up(&transcript).await;
                return Err(self.not_consumed(why));
            }
        };
        self.count("first");
        match self.appraise(&consumed, request, &transcript, (device, address), now) {
            Ok((answer, outcome)) => {
                shared.keep(&transcript, &answer, &*self.random).await;
                Ok(Asked::Now(Attested { answer: Arc::new(answer), held: Some(self.recorder.hold(outcome)) }))
            }
            Err(refusal) => {
                shared.give_up(&transcript).await;
                Err(refusal)
            }
        }
    }

    /// The answer that somebody else makes, or made, of `transcript`, which is `request`'s.
    ///
    /// # Errors
    /// `ChallengeSpent` where its maker gave up, or somebody else signed it; `Unavailable` where it does not come in time.
    pub(super) async fn wait_shared(
        &self,
        shared: &SharedChallenges,
        transcript: &TranscriptHash,
        request: &AttestRequest,
    ) -> Result<Attested, Refusal> {
        match shared.wait(transcript).await {
            Waited::Made(answer) => {
                self.metrics.answers_shared.inc();
                self.repeat(Arc::new(answer), request)
            }
            Waited::Abandoned => Err(self.not_consumed(NotConsumed::Spent)),
            Waited::NotNow => Err(self.not_consumed(NotConsumed::Away)),
        }
    }
}
