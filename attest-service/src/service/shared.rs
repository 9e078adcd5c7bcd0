//! An attestation where replicas share one store. In: an attest request. Out: its answer. What is proven: among all
//! replicas one request claims a transcript, one spends a challenge, and the answer lies where every replica finds it
//! before anybody has it.
//!
//! It waits for the store in between, so it runs on a task of its own: a client that hangs up can't leave its challenge
//! spent and unanswered.

use std::{net::IpAddr, sync::Arc};

use attest_core::envelope::AttestRequest;
use tokio::sync::OwnedSemaphorePermit;

use super::{Attested, Service};
use crate::{
    challenges::{
        Challenges, NotConsumed,
        shared::{Turn, Waited},
    },
    network::Network,
    refusal::Refusal,
};

impl Service {
    /// As [`Service::attest`], over the shared store. `permit`: one seat of those who appraise; it is given back before
    /// anything is waited for that another replica does.
    pub(super) async fn attest_shared(
        &self,
        request: &AttestRequest,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<Attested, Refusal> {
        let Challenges::Shared(shared) = &self.challenges else { return Err(Refusal::Unavailable) };
        let now = self.clock.now();
        let (challenge, epoch) = shared.verify(&request.challenge, now).await.map_err(|why| self.not_consumed(why))?;
        let transcript = request.transcript(&self.key_set);
        match shared.claim(&transcript).await.map_err(|why| self.not_consumed(why))? {
            Turn::Ours => {}
            Turn::Theirs => {
                drop(permit);
                return match shared.wait(&transcript).await {
                    Waited::Made(answer) => {
                        self.metrics.answers_shared.inc();
                        self.repeat(Arc::new(answer), request)
                    }
                    Waited::Abandoned => Err(self.not_consumed(NotConsumed::Spent)),
                    Waited::NotNow => Err(self.not_consumed(NotConsumed::Away)),
                };
            }
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
        match self.appraise(&consumed, request, &transcript, address, now) {
            Ok((answer, outcome)) => {
                shared.keep(&transcript, &answer, &*self.random).await;
                Ok(Attested { answer: Arc::new(answer), held: Some(self.recorder.hold(outcome)) })
            }
            Err(refusal) => {
                shared.give_up(&transcript).await;
                Err(refusal)
            }
        }
    }
}
