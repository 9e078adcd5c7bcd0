//! In: the settings of a server. Out: calls to it, each of which ends within its time: with the server's word, or with
//! [`Away`]. How many wait at once is bounded, so that a slow server costs memory for so many and no more.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use redis::{FromRedisValue, Script, ScriptInvocation};
use settings::SharedSettings;
use tokio::{
    sync::{Notify, Semaphore},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    epoch::Epoch,
    link::{self, Link, Linked},
    names::Names,
    stream::Route,
};

/// Calls that may wait for the server at once; one more is [`Away`] when its time is over.
const IN_FLIGHT: usize = 1024;

/// No answer from the shared state: it is not there, too slow, or not fit to be asked. What was asked may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared state is away")]
pub struct Away;

/// Why the settings can't be used; a server that is away is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The roots of its certificate.
    #[error("{path}: {why}", path = path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The address.
    #[error("the address of the shared state can't be used")]
    Address,
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// The system gives no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

/// A shared state, reached through one connection that heals itself in the background for as long as this value lives.
pub struct SharedState {
    inner: Arc<Inner>,
    keeper: AbortHandle,
}

/// What calls and the keeper of the connection share.
pub(crate) struct Inner {
    pub(crate) route: Route,
    pub(crate) names: Names,
    pub(crate) scripts: Scripts,
    pub(crate) timeout: Duration,
    pub(crate) linked: Linked,
    /// Told when a call failed: the keeper looks at once.
    pub(crate) doubted: Notify,
    pub(crate) random: SystemRandom,
    room: Semaphore,
}

/// The scripts, by their file names.
pub(crate) struct Scripts {
    pub(crate) epoch: Script,
    pub(crate) spend: Script,
    pub(crate) claim: Script,
    pub(crate) release: Script,
    pub(crate) limits: Script,
    pub(crate) settle: Script,
}

impl SharedState {
    /// Reaches the server of `settings`, or goes on trying: the first attempt is waited for, and may fail.
    ///
    /// The connection lives on the runtime of the caller; calls may come from any other.
    ///
    /// # Errors
    /// Where the settings can't be used.
    pub async fn connect(settings: &SharedSettings) -> Result<Arc<Self>, ConnectError> {
        let inner = Arc::new(Inner {
            route: Route::of(settings)?,
            names: Names::under(&settings.prefix),
            scripts: Scripts {
                epoch: Script::new(include_str!("scripts/epoch.lua")),
                spend: Script::new(include_str!("scripts/spend.lua")),
                claim: Script::new(include_str!("scripts/claim.lua")),
                release: Script::new(include_str!("scripts/release.lua")),
                limits: Script::new(include_str!("scripts/limits.lua")),
                settle: Script::new(include_str!("scripts/settle.lua")),
            },
            timeout: settings.timeout,
            linked: Linked::default(),
            doubted: Notify::new(),
            random: SystemRandom::new(),
            room: Semaphore::new(IN_FLIGHT),
        });
        // Proven once, so that it can't be missing when an epoch has to be made.
        inner.random_epoch().ok_or(ConnectError::NoRandomness)?;
        let first = link::attempt(&inner).await;
        let keeper = tokio::spawn(link::keep(Arc::clone(&inner), first)).abort_handle();
        Ok(Arc::new(Self { inner, keeper }))
    }

    /// Whether the server answered when it was last asked, at most about a second ago.
    #[must_use]
    pub fn health(&self) -> bool {
        self.inner.linked.load().is_some()
    }

    /// The epoch of the server, under which challenges are made and spent.
    ///
    /// # Errors
    /// [`Away`].
    // Waits for nothing: the keeper has asked. Async because its neighbours are, and a caller should not tell them apart.
    pub async fn epoch(&self) -> Result<[u8; 8], Away> {
        Ok(self.inner.linked.load().as_ref().ok_or(Away)?.epoch())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for SharedState {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedState").field("server", &self.inner.route.to_string()).finish_non_exhaustive()
    }
}

impl Inner {
    /// Runs one script within the time of a call.
    pub(crate) async fn run<T: FromRedisValue>(&self, invocation: &ScriptInvocation<'_>) -> Result<T, Away> {
        self.within(async |link: &Link| invocation.invoke_async(&mut link.connection()).await).await
    }

    /// One question to the server within the time of a call; any failure sends the keeper to look.
    pub(crate) async fn within<T>(&self, ask: impl AsyncFnOnce(&Link) -> redis::RedisResult<T>) -> Result<T, Away> {
        let link = self.linked.load().ok_or(Away)?;
        let asked = timeout(self.timeout, async {
            let _room = self.room.acquire().await.map_err(|_| Away)?;
            ask(&link).await.map_err(|_| Away)
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Away)) | Err(_) => {
                self.doubted.notify_one();
                Err(Away)
            }
        }
    }

    pub(crate) fn random_epoch(&self) -> Option<Epoch> {
        let mut id = [0; 8];
        self.random.fill(&mut id).ok()?;
        Some(id)
    }
}
