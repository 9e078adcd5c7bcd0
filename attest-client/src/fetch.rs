//! One fetch: challenge, Evidence, token. Comes in: a binding. Goes out: a token, or why there is none.
//! Proven between: each round uses a challenge of its own and a measurement made for it; a request whose reply was
//! lost is sent once more as it was, byte for byte, because the service answers the same transcript the same way.

use std::sync::Arc;
use std::time::Duration;

use attest_core::b64u;
use attest_core::envelope::{AttestResponse, ChallengeResponse};
use attest_core::random::Random;
use tokio::time::{Instant, sleep, timeout_at};

use crate::attester::Attester;
use crate::cache::Binding;
use crate::clock::Elapsed;
use crate::device_key::DeviceKey;
use crate::retry::Retry;
use crate::service::{Answer, Service};
use crate::status::FetchError;
use crate::token::Token;

/// All that a fetch needs; cloned into the task that makes it.
#[derive(Clone)]
pub(crate) struct Fetch {
    pub(crate) service: Service,
    pub(crate) attester: Arc<Attester>,
    pub(crate) retry: Retry,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) clock: Arc<dyn Elapsed>,
}

impl Fetch {
    pub(crate) async fn token(self, binding: Binding) -> Result<Token, FetchError> {
        self.rounds(binding, None).await
    }

    /// A token of the key `next`, which is the device key from then on.
    pub(crate) async fn renewed(self, next: Arc<dyn DeviceKey>) -> Result<Token, FetchError> {
        let attester = Arc::clone(&self.attester);
        let token = self.rounds(None, Some(Arc::clone(&next))).await?;
        let settled = tokio::task::spawn_blocking(move || attester.keys.replace(next)).await;
        settled.map_err(|_| FetchError::CutOff)?.map_err(|problem| FetchError::DeviceKey(problem.to_string()))?;
        Ok(token)
    }

    async fn rounds(&self, binding: Binding, next: Option<Arc<dyn DeviceKey>>) -> Result<Token, FetchError> {
        let end = Instant::now() + self.retry.within;
        let mut round = 0;
        let mut last = None;
        loop {
            let error = match timeout_at(end, self.round(binding, next.clone())).await {
                Ok(Ok(token)) => return Ok(token),
                Ok(Err(error)) => error,
                Err(_) => return Err(last.unwrap_or(FetchError::Lost)),
            };
            round += 1;
            match self.retry.pause(round, &error, &*self.random) {
                Some(pause) if Instant::now() + pause < end => sleep(pause).await,
                _ => return Err(error),
            }
            last = Some(error);
        }
    }

    async fn round(&self, binding: Binding, next: Option<Arc<dyn DeviceKey>>) -> Result<Token, FetchError> {
        let (challenge, key_set) = self.challenge().await?;
        let attester = Arc::clone(&self.attester);
        // Measuring reads the whole program and a hardware key may take a second: not on a thread that others wait for.
        let request =
            tokio::task::spawn_blocking(move || attester.request(&challenge, &key_set, binding, next.as_deref()))
                .await
                .map_err(|_| FetchError::CutOff)??;
        // From before it was sent: the token's life begins at the service, somewhere after this.
        let asked = self.clock.elapsed();
        match self.attest(request).await {
            Answer::Good(body) => token(&body, asked),
            Answer::Stale => Err(FetchError::Challenges),
            Answer::Lost(error) | Answer::No(error) => Err(error),
        }
    }

    async fn challenge(&self) -> Result<(Vec<u8>, String), FetchError> {
        let body = match self.service.challenge().await {
            Answer::Good(body) => body,
            Answer::Stale => return Err(FetchError::Protocol { status: 409, what: "a challenge can't be spent yet" }),
            Answer::Lost(error) | Answer::No(error) => return Err(error),
        };
        let bad = FetchError::Protocol { status: 200, what: "not a challenge" };
        let response = serde_json::from_slice::<ChallengeResponse>(&body).map_err(|_| bad.clone())?;
        let challenge = b64u::decode(response.challenge.as_bytes(), MAX_CHALLENGE).map_err(|_| bad)?;
        Ok((challenge, response.key_set))
    }

    async fn attest(&self, request: Vec<u8>) -> Answer {
        match self.service.attest(request.clone()).await {
            Answer::Lost(_) => {
                sleep(self.retry.resend_pause(&*self.random)).await;
                self.service.attest(request).await
            }
            answer => answer,
        }
    }
}

fn token(body: &[u8], asked: Duration) -> Result<Token, FetchError> {
    let bad = FetchError::Protocol { status: 200, what: "not a token" };
    let response = serde_json::from_slice::<AttestResponse>(body).map_err(|_| bad.clone())?;
    let fits_a_header = !response.token.is_empty() && response.token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits_a_header || response.expires_in == 0 {
        return Err(bad);
    }
    // A life of seconds would be a fetch per request, one of years a token that no revocation ever renews.
    let life = Duration::from_secs(response.expires_in).clamp(SHORTEST_LIFE, LONGEST_LIFE);
    Ok(Token::new(response.token, asked, life))
}

const SHORTEST_LIFE: Duration = Duration::from_secs(10);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Ours are 73 bytes; another version's may be longer, as far as an attest request can hold it.
const MAX_CHALLENGE: usize = 128;
