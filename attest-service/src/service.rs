//! The Verifier without its HTTP: what the handlers call. An attestation reads from top to bottom in
//! [`Service::attest`]: challenge verified, transcript claimed, challenge consumed, Evidence appraised, token signed. Up
//! to the consumption a fault is said aloud; after it there is an answer, the same shape for pass and fail.

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use attest_core::{
    b64u,
    challenge::Challenge,
    device_key::DeviceId,
    envelope::{AttestRequest, ChallengeResponse},
    random::{Random, array},
    time::Clock,
};
use attest_store::{Live, Store};
use tokio::sync::Semaphore;

mod feeds;
mod shared;

use self::shared::Asked;
use crate::{
    answer_cache::{Answer, AnswerCache, Seen, Waiter},
    challenges::{Challenges, NotConsumed, embedded::ChallengeStore},
    device_ages::{AgedDevice, DeviceAges},
    evidence_policies::EvidencePolicies,
    gateway_token::GatewayToken,
    health::Health,
    limits::RateLimits,
    metrics::{Levels, Metrics, Spent},
    network::{Client, Network},
    outcome::{Held, Recorder},
    quantum::Quantum,
    refusal::Refusal,
    steadiness::Steadiness,
};

/// The parts of a running service. Each is its own file; this one says in which order they act.
pub(crate) struct Service {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steadiness: Steadiness,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) key_set: String,
    pub(crate) device_salt: [u8; 32],
    pub(crate) token_lifetime_secs: u64,
    pub(crate) challenges: Challenges,
    pub(crate) ages: DeviceAges,
    pub(crate) answers: AnswerCache,
    pub(crate) policies: ArcSwap<EvidencePolicies>,
    pub(crate) gateway_token: GatewayToken,
    pub(crate) store: Store,
    pub(crate) live: Arc<Live>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: ArcSwap<RateLimits>,
    /// Seats of those who appraise; without one the challenge is not spent, and the client may come again with it.
    pub(crate) appraisals: ArcSwap<Semaphore>,
    pub(crate) quantum: Quantum,
}

/// What an attest request comes to, once its challenge was found good.
pub(crate) struct Attested {
    /// The answer.
    pub(crate) answer: Arc<Answer>,
    /// Its outcome, held back until the answer has left; nothing where the answer was made before.
    pub(crate) held: Option<Held>,
}

/// What an attest request is, before anything is waited for.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment on the stack; a box would cost each attestation one"
)]
enum Begun {
    Now(Attested),
    /// Its transcript came before: the answer was made, or is being made by another task.
    Before(Waiter),
}

impl Service {
    /// A challenge, as its answer's body.
    ///
    /// # Errors
    /// `Unavailable` while no token could be issued for it.
    pub(crate) async fn challenge(&self) -> Result<Vec<u8>, Refusal> {
        self.ready()?;
        let nonce = array(&*self.random).map_err(|_| Refusal::Unavailable)?;
        let issued = self.challenges.issue(nonce, self.clock.now()).await;
        let challenge = issued.map_err(|_| Refusal::Unavailable)?;
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
    /// From the use of the challenge to the answer there is no pause that a client could end by hanging up: with the
    /// embedded store there is none at all, with a shared one it is another task that pauses.
    ///
    /// # Errors
    /// `ChallengeExpired` (also: not ours), `ChallengeSpent` and `Unavailable`: none depends on the Evidence.
    pub(crate) async fn attest(
        self: &Arc<Self>,
        request: Arc<AttestRequest>,
        address: IpAddr,
    ) -> Result<Attested, Refusal> {
        self.ready()?;
        match &self.challenges {
            Challenges::Embedded(store) => {
                match self.begin(store, &request, self.aged(store, &request).await, address)? {
                    Begun::Now(attested) => Ok(attested),
                    Begun::Before(waiter) => {
                        self.repeat(waiter.answer().await.ok_or(Refusal::ChallengeSpent)?, &request)
                    }
                }
            }
            Challenges::Shared(shared) => {
                let permit = self.appraisals.load_full().try_acquire_owned().map_err(|_| Refusal::Unavailable)?;
                let (service, asking) = (Arc::clone(self), Arc::clone(&request));
                let work = tokio::spawn(async move { service.ask_shared(&asking, address, permit).await });
                match work.await.unwrap_or(Err(Refusal::Unavailable))? {
                    Asked::Now(attested) => Ok(attested),
                    Asked::Before(transcript) => self.wait_shared(shared, &transcript, &request).await,
                }
            }
        }
    }

    /// The device of a request that is about to be appraised. Before the challenge is used there is nothing that a client
    /// could end by hanging up; one that is spent asks nobody anything.
    async fn aged(&self, store: &ChallengeStore, request: &AttestRequest) -> AgedDevice {
        let id = request.device_key.device_id(&self.device_salt);
        let challenge = Challenge::from_bytes(&request.challenge);
        let verified = challenge.and_then(|challenge| store.verify(&challenge, self.clock.now()));
        match verified {
            Ok(challenge) if !store.is_spent(&challenge) => self.ages.of(id, self.previous(request)).await,
            _ => AgedDevice { id, hours: 0 },
        }
    }

    /// The device that `request` says to take over from.
    pub(crate) fn previous(&self, request: &AttestRequest) -> Option<DeviceId> {
        request.previous.as_ref().map(|previous| previous.device_key.device_id(&self.device_salt))
    }

    /// The attestation over the embedded store. It never waits.
    fn begin(
        &self,
        store: &ChallengeStore,
        request: &AttestRequest,
        device: AgedDevice,
        address: IpAddr,
    ) -> Result<Begun, Refusal> {
        let seats = self.appraisals.load();
        let _permit = seats.try_acquire().map_err(|_| Refusal::Unavailable)?;
        let now = self.clock.now();
        let challenge = Challenge::from_bytes(&request.challenge)
            .and_then(|challenge| store.verify(&challenge, now))
            .map_err(|_| self.not_consumed(NotConsumed::Over))?;
        let transcript = request.transcript(&self.key_set);
        // A spent challenge begins nothing new: replaying spent ones can't push other answers out of the cache. Its
        // maker claimed the transcript before it spent the challenge, so a retry finds the claim.
        let maker = if store.is_spent(&challenge) {
            let waiter = self.answers.find(transcript.as_bytes(), now);
            return waiter.map(Begun::Before).ok_or_else(|| self.not_consumed(NotConsumed::Spent));
        } else {
            match self.answers.look(*transcript.as_bytes(), now) {
                Seen::Again(waiter) => return Ok(Begun::Before(waiter)),
                Seen::First(maker) => maker,
            }
        };
        let consumed = store.consume(challenge, Network::of(address), now).map_err(|why| self.not_consumed(why))?;
        self.count("first");
        let (answer, outcome) = self.appraise(&consumed, request, &transcript, (device, address), now)?;
        Ok(Begun::Now(Attested { answer: maker.made(answer), held: Some(self.recorder.hold(outcome)) }))
    }

    /// An answer made before, for `request`, which has the same transcript. It is given again to who signed the same:
    /// the very request, or another by the same device key. Whoever merely learned the transcript gets nothing.
    ///
    /// # Errors
    /// `ChallengeSpent` for anybody else.
    fn repeat(&self, answer: Arc<Answer>, request: &AttestRequest) -> Result<Attested, Refusal> {
        let transcript = request.transcript(&self.key_set);
        let again = answer.signature == request.signature
            || (answer.signature_good && request.device_key.verify(&transcript, &request.signature).is_ok());
        if !again {
            return Err(self.not_consumed(NotConsumed::Spent));
        }
        self.metrics.answers_repeated.inc();
        Ok(Attested { answer, held: None })
    }

    /// Counts one request of `address` against its rate: here, and with all replicas where they share a store. A store that
    /// is away leaves the count of this replica.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(crate) async fn check_rate(&self, address: IpAddr) -> Result<(), Refusal> {
        let limits = self.limits.load_full();
        limits.check(address).map_err(|wait| Refusal::RateLimited { wait })?;
        match &self.challenges {
            Challenges::Embedded(_) => Ok(()),
            Challenges::Shared(shared) => {
                let counted = shared.count(Client::of(address), limits.per_minute()).await;
                counted.map_err(|wait| Refusal::RateLimited { wait })
            }
        }
    }

    /// Counts a challenge that was not consumed, and says what its client hears.
    fn not_consumed(&self, why: NotConsumed) -> Refusal {
        self.count(why.as_str());
        match why {
            NotConsumed::Spent => Refusal::ChallengeSpent,
            NotConsumed::Over => Refusal::ChallengeExpired,
            NotConsumed::Full | NotConsumed::Away => Refusal::Unavailable,
        }
    }

    fn count(&self, result: &'static str) {
        self.metrics.spends.get_or_create(&Spent { result }).inc();
    }

    /// Whether tokens can be issued.
    pub(crate) fn health(&self) -> Health {
        let snapshot = self.live.snapshot();
        Health {
            store: self.live.is_readable(),
            shared_state: self.challenges.shared_health(),
            clock: self.steadiness.holds(&*self.clock),
            registry_generation: snapshot.generation,
            key_set_number: snapshot.key_set_number,
            revocation_number: snapshot.revocation_number,
        }
    }

    /// The metrics' text.
    pub(crate) fn metrics_text(&self) -> String {
        let health = self.health();
        self.metrics.text(&Levels {
            challenges_held: self.challenges.held(),
            registry_generation: health.registry_generation,
            key_set_number: health.key_set_number,
            revocation_number: health.revocation_number,
            signing_keys: self.signing_keys(),
            store_readable: health.store,
            shared_state_up: health.shared_state,
            clock_steady: health.clock,
            device_counts_dropped: self.live.dropped(),
        })
    }

    /// A shared store that is away is found out where it is asked: what it says of itself is as old as the last answer.
    fn ready(&self) -> Result<(), Refusal> {
        let ready = self.live.is_readable() && self.steadiness.holds(&*self.clock);
        if ready { Ok(()) } else { Err(Refusal::Unavailable) }
    }
}
