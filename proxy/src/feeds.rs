//! What the attestation service publishes, as it reaches this gateway: key sets and revocations.
//!
//! In come signed documents, from the service in this process or over HTTPS; out goes the newest of each kind, and how
//! old it is. Proven between: a document was signed by the pinned key, and its number is not lower than one that was
//! seen before, so that nobody can serve an old one with a retired key or without last week's ban.
//!
//! Silence is stale, not empty: the last document stays in use for as long as a route says, and counts from its own
//! date, so that a copy played again is silence too. Nothing is written to disk but operators' orders ([`orders`]).

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use attest_core::feed::FeedError;
use attest_core::revocations::IndexError;
use attest_core::token::key_set::Concealment;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio::time::sleep;

mod freshness;
mod key_sets;
mod orders;
mod own;
mod problem;
mod remote;
mod report;
mod revocations;
mod source;
mod watch;

pub(crate) use freshness::Freshness;
pub(crate) use key_sets::{OwnKeySets, Usable};
pub(crate) use own::{FetchFailures, OwnFeeds};
pub(crate) use problem::Problem;
pub(crate) use remote::{Remote, RemoteError};
pub(crate) use report::report;
pub(crate) use revocations::{InUse, OwnRevocations};
pub use source::{FetchKeySets, FetchRevocations, Fetched};
pub(crate) use watch::{Staleness, watch};

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It couldn't be fetched.
    #[error("can't be fetched: {0}")]
    Fetch(String),
    /// It was not signed by the pinned key, or is not one.
    #[error("is not what our service signs: {0}")]
    NotOurs(#[from] FeedError),
    /// Older than the one in use.
    #[error(
        "has number {got}, and {have} was seen before: an old copy, or a service set up anew. If it was, restart this \
         gateway"
    )]
    Older {
        /// Its number.
        got: u64,
        /// The one in use.
        have: u64,
    },
    /// Changes that don't continue what is known, or more than there is room for.
    #[error("can't be applied: {0}")]
    Index(#[from] IndexError),
    /// More is announced and nothing comes.
    #[error("announces more than it brings")]
    NoProgress,
    /// It doesn't hold the configured key set.
    #[error("does not hold the key set {0}")]
    NoSuchSet(String),
    /// It says another concealment than the configuration that this process serves.
    #[error("says concealment {got:?}, and the configuration says {configured:?}")]
    Concealment {
        /// The document's.
        got: Concealment,
        /// Ours.
        configured: Concealment,
    },
}

/// One of the two feeds, as the loop that keeps it new sees it.
pub(crate) trait Feed: Send + Sync + 'static {
    /// What it is called in the log.
    fn what(&self) -> &'static str;
    /// Time between two fetches.
    fn every(&self) -> Duration;
    /// Rung by whoever can't wait for the next one.
    fn bell(&self) -> &Notify;
    /// What was wrong with the last fetch.
    fn problem(&self) -> &Problem;
    /// Asks the service once.
    fn fetch(&self) -> impl Future<Output = Result<(), NotTaken>> + Send;
    /// A fetch that the bell asked for is over.
    fn answered_bell(&self) {}
}

/// Asks once; the outcome is kept for `/status`, and told where it differs from the one before.
pub(crate) async fn fetch_once<F: Feed>(feed: &F, failed: &Counter) {
    let fetched = feed.fetch().await;
    if fetched.is_err() {
        failed.inc();
    }
    let now = fetched.err().map(|why| why.to_string());
    let told = feed.problem().is(now.clone());
    match now {
        Some(problem) if told => tracing::warn!("the {} {problem}; what is known stays in use", feed.what()),
        None if told => tracing::info!("the {} can be fetched again", feed.what()),
        _ => {}
    }
}

/// Asks again and again, a little irregularly so that many gateways don't ask together. Ends when the configuration that
/// uses the feed is gone.
pub(crate) async fn keep_fetched<F: Feed>(feed: Weak<F>, failed: Counter) {
    let mut round = 0_u32;
    while let Some(living) = feed.upgrade() {
        round = round.wrapping_add(1);
        // 90 to 100 % of the period, in a fixed pattern: no need for chance here.
        let pause = living.every().mul_f64(0.9 + f64::from(round % 5) * 0.025);
        let rung = rung_within(living, pause).await;
        let Some(feed) = feed.upgrade() else { return };
        fetch_once(&*feed, &failed).await;
        if rung {
            feed.answered_bell();
        }
    }
}

/// Waits out the pause; tells whether the bell ended it.
async fn rung_within<F: Feed>(feed: Arc<F>, pause: Duration) -> bool {
    tokio::select! {
        () = feed.bell().notified() => true,
        () = sleep(pause) => false,
    }
}
