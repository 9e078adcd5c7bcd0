//! The Verifier without its HTTP: what the handlers call. An attestation reads from top to bottom in
//! [`Service::attest`]: challenge verified, transcript claimed, challenge consumed, Evidence appraised, token signed. Up
//! to the consumption a fault is said aloud; after it there is an answer, the same shape for pass and fail.

use std::{net::IpAddr, sync::Arc};

use attest_core::{
    b64u,
    challenge::Challenge,
    envelope::{AttestRequest, ChallengeResponse},
    feed::{FeedError, SignedDocument},
    random::{Random, array},
    time::Clock,
};

use crate::{
    answer_cache::{Answer, AnswerCache, Seen, Waiter},
    challenge_store::{ChallengeStore, NotConsumed},
    evidence_policies::EvidencePolicies,
    gateway_token::GatewayToken,
    health::Health,
    key_sets::KeySets,
    limits::RateLimits,
    metrics::{Levels, Metrics},
    network::Network,
    outcome::{Held, Recorder},
    quantum::Quantum,
    refusal::Refusal,
    signer::Signer,
    store::Store,
};

/// The parts of a running service. Each is its own file; this one says in which order they act.
pub(crate) struct Service {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) key_set: String,
    pub(crate) device_salt: [u8; 32],
    pub(crate) challenges: ChallengeStore,
    pub(crate) answers: AnswerCache,
    pub(crate) policies: EvidencePolicies,
    pub(crate) signer: Signer,
    pub(crate) key_sets: KeySets,
    pub(crate) gateway_token: GatewayToken,
    pub(crate) store: Arc<Store>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: RateLimits,
    pub(crate) quantum: Quantum,
}

/// What an attest request comes to, once its challenge was found good.
pub(crate) enum Attested {
    /// Its answer was made now; the outcome is held back until the answer has left.
    Now(Arc<Answer>, Held),
    /// Its transcript came before: the answer was made, or is being made by another task.
    Before(Waiter),
}

impl Service {
    /// A challenge, as its answer's body.
    ///
    /// # Errors
    /// `Unavailable` while no token could be issued for it.
    pub(crate) fn challenge(&self) -> Result<Vec<u8>, Refusal> {
        self.ready()?;
        let nonce = array(&*self.random).map_err(|_| Refusal::Unavailable)?;
        let challenge = self.challenges.issue(nonce, self.clock.now());
        self.metrics.challenges.inc();
        let response = ChallengeResponse {
            challenge: b64u::encode(challenge.as_bytes()),
            key_set: self.key_set.clone(),
            expires_in: self.challenges.life().as_secs(),
        };
        serde_json::to_vec(&response).map_err(|_| Refusal::Unavailable)
    }

    /// Appraises `request`, which came from `address`, unless its transcript was appraised before.
    ///
    /// There is no pause in it: a client that hangs up can't leave its challenge spent and unanswered.
    ///
    /// # Errors
    /// `ChallengeExpired` (also: not ours), `ChallengeSpent` and `Unavailable`: none depends on the Evidence.
    pub(crate) fn attest(&self, request: &AttestRequest, address: IpAddr) -> Result<Attested, Refusal> {
        self.ready()?;
        let now = self.clock.now();
        let challenge = Challenge::from_bytes(&request.challenge)
            .and_then(|challenge| self.challenges.verify(&challenge, now))
            .map_err(|_| Refusal::ChallengeExpired)?;
        let transcript = request.transcript(&self.key_set);
        // A spent challenge begins nothing new: replaying spent ones can't push other answers out of the cache. Its
        // maker claimed the transcript before it spent the challenge, so a retry finds the claim.
        let maker = if self.challenges.is_spent(&challenge) {
            let waiter = self.answers.find(transcript.as_bytes(), now).ok_or(Refusal::ChallengeSpent)?;
            return Ok(Attested::Before(waiter));
        } else {
            match self.answers.look(*transcript.as_bytes(), now) {
                Seen::Again(waiter) => return Ok(Attested::Before(waiter)),
                Seen::First(maker) => maker,
            }
        };
        let consumed =
            self.challenges.consume(challenge, Network::of(address), now).map_err(|refused| match refused {
                NotConsumed::Spent => Refusal::ChallengeSpent,
                NotConsumed::Over => Refusal::ChallengeExpired,
                NotConsumed::Full => Refusal::Unavailable,
            })?;
        let (answer, outcome) = self.appraise(&consumed, request, &transcript, address, now)?;
        Ok(Attested::Now(maker.made(answer), self.recorder.hold(outcome)))
    }

    /// An answer made before, for `request`, which has the same transcript. It is given again to who signed the same:
    /// the very request, or another by the same device key. Whoever merely learned the transcript gets nothing.
    ///
    /// # Errors
    /// `ChallengeSpent` for anybody else.
    pub(crate) fn repeat(&self, answer: Arc<Answer>, request: &AttestRequest) -> Result<Arc<Answer>, Refusal> {
        let transcript = request.transcript(&self.key_set);
        let again = answer.signature == request.signature
            || (answer.signature_good && request.device_key.verify(&transcript, &request.signature).is_ok());
        if !again {
            return Err(Refusal::ChallengeSpent);
        }
        self.metrics.answers_repeated.inc();
        Ok(answer)
    }

    /// The signed key-set document, dated now.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub(crate) fn key_set_document(&self) -> Result<SignedDocument, FeedError> {
        self.key_sets.sign(&self.store.snapshot(), self.clock.now())
    }

    /// Whether tokens can be issued.
    pub(crate) fn health(&self) -> Health {
        let snapshot = self.store.snapshot();
        Health {
            store: self.store.is_readable(),
            registry_generation: snapshot.generation,
            key_set_number: snapshot.key_set_number,
        }
    }

    /// The metrics' text.
    pub(crate) fn metrics_text(&self) -> String {
        let health = self.health();
        self.metrics.text(&Levels {
            challenges_held: self.challenges.len(),
            registry_generation: health.registry_generation,
            key_set_number: health.key_set_number,
            store_readable: health.store,
            device_counts_dropped: self.store.dropped(),
        })
    }

    fn ready(&self) -> Result<(), Refusal> {
        if self.store.is_readable() { Ok(()) } else { Err(Refusal::Unavailable) }
    }
}
