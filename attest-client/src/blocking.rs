//! The client for apps without an async runtime. Comes in: a [`crate::Client`]. Goes out: the same tokens, the
//! caller's thread waiting. Proven between: it works on any thread, one of another runtime's too, and never panics there.

use std::sync::{Arc, mpsc};

use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

use crate::cache::Binding;
use crate::client::{self, BuildError, Builder};
use crate::device_key::DeviceKey;
use crate::reaction::Reaction;
use crate::status::FetchError;
use crate::token::Token;

/// [`crate::Client`] with a thread of its own to fetch on.
#[derive(Debug)]
pub struct Client {
    client: crate::Client,
    // Taken only when dropped.
    runtime: Option<Runtime>,
}

impl Client {
    /// See [`crate::Client::builder`]; [`Builder::build_blocking`] ends it.
    #[must_use]
    pub fn builder(service_url: impl Into<String>, app: impl Into<String>, version: impl Into<String>) -> Builder {
        crate::Client::builder(service_url, app, version)
    }

    pub(crate) fn new(client: crate::Client) -> Result<Self, BuildError> {
        let runtime = RuntimeBuilder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS_THAT_WAIT)
            .thread_name("assay")
            .enable_all()
            .build()
            .map_err(BuildError::Thread)?;
        Ok(Self { client, runtime: Some(runtime) })
    }

    /// See [`crate::Client::fetch_token`]. Returns at once where a token is in hand; otherwise blocks.
    ///
    /// # Errors
    /// As there.
    pub fn fetch_token(&self) -> Result<Token, FetchError> {
        self.fetch(None)
    }

    /// See [`crate::Client::fetch_token_bound`].
    ///
    /// # Errors
    /// As there.
    pub fn fetch_token_bound(&self, header_value: &[u8]) -> Result<Token, FetchError> {
        self.fetch(Some(client::binding_of(&[header_value])))
    }

    /// See [`crate::Client::fetch_token_bound_to`].
    ///
    /// # Errors
    /// As there.
    pub fn fetch_token_bound_to(&self, header_values: &[&[u8]]) -> Result<Token, FetchError> {
        self.fetch(Some(client::binding_of(header_values)))
    }

    /// See [`crate::Client::on_response`].
    #[must_use]
    pub fn on_response(&self, token: &Token, status: u16, code: Option<&str>) -> Reaction {
        self.client.on_response(token, status, code)
    }

    /// Fetches without blocking the caller: `then` is called with the outcome, on a thread that may wait, bound to
    /// `header_values` where there are any. It is dropped uncalled where the client ends first.
    pub fn fetch_token_then(
        &self,
        header_values: &[&[u8]],
        then: impl FnOnce(Result<Token, FetchError>) + Send + 'static,
    ) {
        let binding = (!header_values.is_empty()).then(|| client::binding_of(header_values));
        let Some(runtime) = &self.runtime else { return };
        let client = self.client.clone();
        runtime.spawn(async move {
            let outcome = client.fetch(binding).await;
            // Not here: `then` is the app's code, and other fetches go through this thread.
            tokio::task::spawn_blocking(move || then(outcome));
        });
    }

    /// See [`crate::Client::rotate_device_key`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn rotate_device_key(&self, next: impl DeviceKey + 'static) -> Result<Token, FetchError> {
        let next: Arc<dyn DeviceKey> = Arc::new(next);
        self.wait_for(|client| async move { client.rotate_device_key_to(next).await })
    }

    /// The client itself, for what needs no waiting.
    #[must_use]
    pub fn client(&self) -> &crate::Client {
        &self.client
    }

    fn fetch(&self, binding: Binding) -> Result<Token, FetchError> {
        if let Some(ready) = self.client.ready(&binding) {
            return ready;
        }
        self.wait_for(|client| async move { client.fetch(binding).await })
    }

    fn wait_for<F>(&self, ask: impl FnOnce(crate::Client) -> F) -> Result<Token, FetchError>
    where
        F: Future<Output = Result<Token, FetchError>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().ok_or(FetchError::NoRuntime)?;
        let asked = ask(self.client.clone());
        let (tell, told) = mpsc::sync_channel(1);
        // Not `block_on`: that panics on a thread of a runtime, where an app may well find itself.
        runtime.spawn(async move {
            // The caller waits below and cannot have gone.
            let _ = tell.send(asked.await);
        });
        told.recv().unwrap_or(Err(FetchError::CutOff))
    }
}

impl Drop for Client {
    /// Without waiting: dropping a runtime the plain way panics on another runtime's thread.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// For measuring, hardware keys, platforms, and what the app does with its outcomes.
const THREADS_THAT_WAIT: usize = 8;
