//! Both feeds of our own service together: asked in one place, taken over together by a new configuration.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attest_core::time::Clock;
use prometheus_client::metrics::counter::Counter;
use settings::{Attestation, AttestationSource};
use tokio::task::JoinSet;

use super::key_sets::Wanted;
use super::{Feed, FetchKeySets, FetchRevocations, OwnKeySets, OwnRevocations, Remote, fetch_once, keep_fetched};
use crate::generation::{GenerationError, LocalService};

/// The service in this process is asked for each so often.
const LOCAL_REFRESH: Duration = Duration::from_secs(1);

/// Who is asked for key sets, and who for revocations.
type Sources = (Arc<dyn FetchKeySets>, Arc<dyn FetchRevocations>);

/// What our own service publishes.
pub(crate) struct OwnFeeds {
    /// The keys.
    pub key_sets: Arc<OwnKeySets>,
    /// What it took back.
    pub revocations: Arc<OwnRevocations>,
    started: AtomicBool,
}

/// Counts fetches that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchFailures {
    /// Of key sets.
    pub key_sets: Counter,
    /// Of revocations.
    pub revocations: Counter,
}

impl OwnFeeds {
    /// The feeds that `attestation` asks for: those that ran before, unless they come from elsewhere now. What outlives the
    /// process lies in the folder `state`.
    pub(crate) fn build(
        attestation: Option<&Attestation>,
        running: Option<(&Attestation, &Arc<Self>)>,
        local: Option<&LocalService>,
        clock: &Arc<dyn Clock>,
        state: &Path,
    ) -> Result<Option<Arc<Self>>, GenerationError> {
        let Some(attestation) = attestation else { return Ok(None) };
        if let Some((_, feeds)) = running.filter(|(old, _)| same_feeds(old, attestation)) {
            return Ok(Some(feeds.clone()));
        }
        let name = attestation.token.key_set.clone();
        let (wanted, every, sources): (_, _, Sources) = match (&attestation.source, local) {
            (AttestationSource::Remote(remote), _) => {
                let service = Arc::new(Remote::new(remote)?);
                let wanted = Wanted { name, refresh: remote.refresh, concealment: None };
                (wanted, remote.revocations_every, (service.clone(), service))
            }
            (AttestationSource::Serve(_), Some(local)) => {
                let concealment = Some(attestation.token.concealment);
                let wanted = Wanted { name, refresh: LOCAL_REFRESH, concealment };
                (wanted, LOCAL_REFRESH, (local.key_sets.clone(), local.revocations.clone()))
            }
            (AttestationSource::Serve(_), None) => {
                return Err(GenerationError::Attestation(
                    "attestation.serve: the service runs in another process, so this gateway needs \
                     attestation.remote with its address"
                        .to_owned(),
                ));
            }
        };
        let feeds = Self {
            key_sets: Arc::new(OwnKeySets::new(wanted, sources.0, clock.clone())),
            revocations: Arc::new(OwnRevocations::new(every, sources.1, clock.clone(), Some(state))),
            started: AtomicBool::new(false),
        };
        if let Some((_, running)) = running.filter(|(old, _)| same_publisher(old, attestation)) {
            // A change of address or period while the service is away must not cost what is known.
            feeds.key_sets.adopt(&running.key_sets);
            feeds.revocations.adopt(&running.revocations);
        }
        Ok(Some(Arc::new(feeds)))
    }

    /// Asks for the first documents in `first`, and from then on in the background. Once in the life of these feeds.
    pub(crate) fn start(&self, first: &mut JoinSet<()>, failures: FetchFailures) {
        if !self.started.swap(true, Ordering::AcqRel) {
            begin(&self.key_sets, first, failures.key_sets);
            begin(&self.revocations, first, failures.revocations);
        }
    }
}

fn begin<F: Feed>(feed: &Arc<F>, first: &mut JoinSet<()>, failed: Counter) {
    let feed = feed.clone();
    first.spawn(async move {
        fetch_once(&*feed, &failed).await;
        tokio::spawn(keep_fetched(Arc::downgrade(&feed), failed));
    });
}

fn same_feeds(old: &Attestation, new: &Attestation) -> bool {
    old.source == new.source && same_set(old, new)
}

/// Whether both pin the same feed key: what one has taken, the other would take.
fn same_publisher(old: &Attestation, new: &Attestation) -> bool {
    match (&old.source, &new.source) {
        (AttestationSource::Remote(one), AttestationSource::Remote(other)) => {
            one.feed_key == other.feed_key && same_set(old, new)
        }
        _ => false,
    }
}

fn same_set(old: &Attestation, new: &Attestation) -> bool {
    old.token.key_set == new.token.key_set && old.token.concealment == new.token.concealment
}
