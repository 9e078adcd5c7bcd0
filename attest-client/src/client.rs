//! The client an app holds. Comes in: a request to make, and a gateway's answers. Goes out: tokens, and what to do next.
//! Proven between: nothing is sent before the first fetch; what a gateway provokes is bounded per minute.

mod builder;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attest_core::token::binding::{BindingStyle, binding_hash};

pub use self::builder::{BuildError, Builder};
use crate::cache::{Binding, Cache};
use crate::device_key::{DeviceKey, DeviceKeyError};
use crate::fetch::Fetch;
use crate::provoked::Provoked;
use crate::reaction::{self, Reaction};
use crate::retry;
use crate::stamp::Stamping;
use crate::status::FetchError;
use crate::token::Token;

/// Fetches tokens and keeps them. Cheap to clone; clones share tokens and connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    fetch: Fetch,
    cache: Cache,
    provoked: Mutex<Provoked>,
    stamping: Stamping,
    /// One renewal of the device key at a time.
    renewing: tokio::sync::Mutex<()>,
}

impl Client {
    /// A client of the service at `service_url` (`https://attest.example.com/assay/v1`), for the app and version that
    /// were registered there.
    #[must_use]
    pub fn builder(service_url: impl Into<String>, app: impl Into<String>, version: impl Into<String>) -> Builder {
        Builder::new(service_url.into(), app.into(), version.into())
    }

    /// A token: the one in hand through the first four fifths of its life, then a new one.
    ///
    /// Callers who come at the same time share one fetch; a caller who stops waiting does not end it. While the
    /// service cannot be had, the token in hand is given out beyond its life, and [`Token::status`] says so.
    /// A token does not say that the app passed: that is between the service and the gateway.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::status`] has it in a word. Needs a Tokio runtime with time and I/O.
    pub async fn fetch_token(&self) -> Result<Token, FetchError> {
        self.fetch(None).await
    }

    /// A token bound to `header_value`, such as the `Authorization` header that the request will carry: on a route that
    /// binds, the gateway refuses it beside any other value. Each value has a token of its own (the last 32 are kept).
    ///
    /// # Errors
    /// As [`Client::fetch_token`].
    pub async fn fetch_token_bound(&self, header_value: &[u8]) -> Result<Token, FetchError> {
        self.fetch(Some(binding_of(&[header_value]))).await
    }

    /// The same for a route that binds several headers: their values, in the order in which the route names them.
    ///
    /// # Errors
    /// As [`Client::fetch_token`].
    pub async fn fetch_token_bound_to(&self, header_values: &[&[u8]]) -> Result<Token, FetchError> {
        self.fetch(Some(binding_of(header_values))).await
    }

    /// What to do with a gateway's answer to a request that carried `token`, and does so much of it as is the
    /// client's: a token that was refused is forgotten, so that the next fetch brings a new one.
    ///
    /// A gateway (or whoever answers in its place) provokes at most one fetch a minute by 403, and at most six by 401;
    /// beyond that the answer is [`Reaction::Deliver`].
    #[must_use]
    pub fn on_response(&self, token: &Token, status: u16, code: Option<&str>) -> Reaction {
        let reaction = reaction::on_response(status, code);
        match reaction {
            // A newer one is in hand already: an answer to the old one costs nothing.
            Reaction::Retry if !self.0.cache.holds(token) => {}
            Reaction::Retry if self.provoked(Provoked::may_fetch) => self.0.cache.forget(token),
            Reaction::FetchAgain if self.provoked(Provoked::may_fetch_after_refusal) => self.0.cache.forget(token),
            Reaction::Retry | Reaction::FetchAgain => return Reaction::Deliver,
            Reaction::Deliver | Reaction::Wait => {}
        }
        reaction
    }

    /// How long to wait before the request is sent again after [`Reaction::Wait`]: what the `Retry-After` header asks
    /// for (seconds; a date is not read), a second where it is silent, at most a minute; and up to a quarter more, so
    /// that apps which were sent away together do not come back together.
    #[must_use]
    pub fn pause(&self, retry_after: Option<&str>) -> Duration {
        let asked = retry_after.and_then(|text| text.trim().parse().ok()).map_or(DEFAULT_PAUSE, Duration::from_secs);
        retry::spread(asked.min(LONGEST_PAUSE), &*self.0.fetch.random)
    }

    /// Forgets `token`, or every token, so that the next fetch brings a new one: after a user logged out, say.
    /// `false`: not done, because there were six such fetches within the last minute.
    #[must_use]
    pub fn invalidate(&self, token: Option<&Token>) -> bool {
        let allowed = self.provoked(Provoked::may_fetch);
        match token {
            _ if !allowed => {}
            Some(token) => self.0.cache.forget(token),
            None => self.0.cache.forget_all(),
        }
        allowed
    }

    /// The network came back or changed: fetches that failed for want of it may be made at once. What the service
    /// itself asked for still holds.
    pub fn network_changed(&self) {
        self.0.cache.forget_network_failures();
    }

    /// Replaces the device key: the service is shown the old and the new key in one request, each signing it, so that
    /// marks on the device go along. Tokens of the old key are forgotten. On an error the old key stays in use, but where
    /// only [`DeviceKey::settled`] failed: the service has taken the new one then.
    ///
    /// # Errors
    /// As [`Client::fetch_token`].
    pub async fn rotate_device_key(&self, next: impl DeviceKey + 'static) -> Result<Token, FetchError> {
        self.rotate_device_key_to(Arc::new(next)).await
    }

    pub(crate) async fn rotate_device_key_to(&self, next: Arc<dyn DeviceKey>) -> Result<Token, FetchError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(FetchError::NoRuntime);
        }
        let _one_at_a_time = self.0.renewing.lock().await;
        let keys = &self.0.fetch.attester.keys;
        let before = keys.current();
        let renewed = self.0.fetch.clone().renewed(next).await;
        // Also where the new key is in use and could not be settled: no token of the old one goes with its signatures.
        if !Arc::ptr_eq(&before, &keys.current()) {
            self.0.cache.forget_all();
        }
        let token = renewed?;
        self.0.cache.put(token.clone());
        Ok(token)
    }

    /// The device's public key: SEC 1, uncompressed.
    ///
    /// # Errors
    /// [`DeviceKeyError`] when it can't be reached. May block, as a hardware key does.
    pub fn device_public_key(&self) -> Result<[u8; 65], DeviceKeyError> {
        self.0.fetch.attester.keys.current().public_key()
    }

    /// Signs `message` with the device key (ECDSA with SHA-256, `r || s`): for the base of an RFC 9421 signature, or a
    /// DPoP proof. Messages of up to 32 bytes are refused, so that nobody can have a transcript signed by this door.
    ///
    /// # Errors
    /// [`DeviceKeyError`]: too short, the key can't be reached, or it signs nothing but transcripts. May block.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        if message.len() <= TRANSCRIPT_BYTES {
            return Err(DeviceKeyError::TooShort);
        }
        self.0.fetch.attester.keys.current().sign_message(message)
    }

    pub(crate) fn ready(&self, binding: &Binding) -> Option<Result<Token, FetchError>> {
        self.0.cache.ready(binding)
    }

    pub(crate) async fn fetch(&self, binding: Binding) -> Result<Token, FetchError> {
        self.0.cache.fetch(binding, || self.0.fetch.clone().token(binding)).await
    }

    pub(crate) fn stamping(&self) -> &Stamping {
        &self.0.stamping
    }

    pub(crate) fn longest_pause(&self) -> Duration {
        self.0.fetch.retry.longest_pause
    }

    fn provoked(&self, ask: impl FnOnce(&mut Provoked, Duration) -> bool) -> bool {
        let now = self.0.fetch.clock.elapsed();
        ask(&mut self.0.provoked.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("service", &self.0.fetch.service).finish_non_exhaustive()
    }
}

pub(crate) fn binding_of(header_values: &[&[u8]]) -> [u8; 32] {
    binding_hash(header_values, BindingStyle::LengthPrefixed)
}

/// A transcript is 32 bytes; no message of that length is signed for anybody.
const TRANSCRIPT_BYTES: usize = 32;
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
