//! In: a running service's parts. Out: what its process may ask of it: where it listens, what it signs for gateways, how
//! it is, other settings, its end.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use attest_core::feed::{FeedPublicKey, GatewayFacts, RevocationFormat, SignedDocument};
use attest_store::{Store, StoreError};
use tokio::{
    sync::{Semaphore, watch},
    task,
};
use tracing::dispatcher::{self, Dispatch};

use crate::{
    admin::Admin,
    audit,
    evidence_policies::EvidencePolicies,
    health::Health,
    limits::RateLimits,
    service::Service,
    service_settings::{NeedsRestart, ServiceSettings},
};

/// A running service. Dropped, it stops at once; [`ServiceHandle::shutdown`] lets answers in work leave first.
pub struct ServiceHandle {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: Mutex<ServiceSettings>,
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: Option<SocketAddr>,
    pub(crate) admin: Option<Arc<Admin>>,
    pub(crate) internal_address: SocketAddr,
    pub(crate) internal_secret: String,
    pub(crate) feed_public: FeedPublicKey,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) tasks: Vec<task::JoinHandle<()>>,
    pub(crate) recorder: JoinHandle<()>,
}

impl ServiceHandle {
    /// The address that is listened on; the port is the one the system chose where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin API is served; nothing where none is configured.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where a gateway in this process reaches the service, in plaintext; it never leaves the machine.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// What the gateway in this process sends as `assay-internal`, so that its `assay-client-address` is believed. New at
    /// each start; it never leaves the process but over loopback.
    #[must_use]
    pub fn internal_secret(&self) -> &str {
        &self.internal_secret
    }

    /// The signed key-set document, dated now: what `GET {path}/gateway/keysets` answers.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub fn key_sets(&self) -> Result<SignedDocument, StoreError> {
        self.service.key_set_document()
    }

    /// A function that gives [`ServiceHandle::key_sets`], for a gateway in this process. It does not keep the service
    /// alive: after the service has stopped it gives nothing.
    pub fn key_set_source(&self) -> impl Fn() -> Option<SignedDocument> + Send + Sync + Clone + 'static {
        let service = Arc::downgrade(&self.service);
        move || service.upgrade()?.key_set_document().ok()
    }

    /// A function that gives the signed revocations since a number, as `GET {path}/gateway/revocations?after=` answers;
    /// after the service has stopped it gives nothing.
    pub fn revocation_source(&self) -> impl Fn(u64) -> Option<SignedDocument> + Send + Sync + Clone + 'static {
        let service = Arc::downgrade(&self.service);
        move |after| service.upgrade()?.revocation_document(after, RevocationFormat::WithOrders).ok()
    }

    /// A function that takes what a gateway in this process tells of itself, as `POST {path}/gateway/report` does; after the
    /// service has stopped it gives nothing.
    pub fn gateway_reports(&self) -> impl Fn(&GatewayFacts) -> Option<()> + Send + Sync + Clone + 'static {
        let service = Arc::downgrade(&self.service);
        move |facts| {
            service.upgrade()?.gateway_reported(facts.clone());
            Some(())
        }
    }

    /// The public half of the key that signs the documents.
    #[must_use]
    pub fn feed_public_key(&self) -> &FeedPublicKey {
        &self.feed_public
    }

    /// Whether tokens can be issued.
    #[must_use]
    pub fn health(&self) -> Health {
        self.service.health()
    }

    /// The durable state of this service. What is changed through it holds here within a quarter of a second, or at once
    /// after [`ServiceHandle::refresh`]. Its calls block.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.service.store
    }

    /// Takes over now what was changed in the state, here or by another process. Blocks until it holds.
    pub fn refresh(&self) {
        self.service.live.refresh();
    }

    /// The metrics in the OpenMetrics text form, `# EOF` at the end.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.service.metrics_text()
    }

    /// A function that gives [`ServiceHandle::metrics_text`]; after the service has stopped it gives nothing.
    pub fn metrics_source(&self) -> impl Fn() -> Option<String> + Send + Sync + Clone + 'static {
        let service = Arc::downgrade(&self.service);
        move || Some(service.upgrade()?.metrics_text())
    }

    /// Goes on with other apps, Evidence policies and limits. Requests in work end as they began.
    ///
    /// # Errors
    /// [`NeedsRestart`] where something else differs too; then nothing has changed.
    pub fn reload(&self, new: ServiceSettings) -> Result<(), NeedsRestart> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.can_become(&new)?;
        let (service, old, limits) = (&self.service, settings.limits, new.limits);
        service.policies.store(Arc::new(EvidencePolicies::of(&new.apps)));
        // What is counted is kept where the rate is the same.
        if old.per_address_per_minute != limits.per_address_per_minute {
            service.limits.store(Arc::new(RateLimits::new(limits.per_address_per_minute)));
        }
        if old.concurrency != limits.concurrency {
            service.appraisals.store(Arc::new(seats(limits.concurrency)));
        }
        service.challenges.resize(limits.open_challenges);
        if let Some(admin) = &self.admin {
            admin.reload(&new);
        }
        *settings = new;
        Ok(())
    }

    /// Stops: no new connections, answers in work leave (at most 5 s), sightings and a last audit checkpoint are written,
    /// threads end.
    pub async fn shutdown(self) {
        let Self { service, admin, stop, tasks, recorder, .. } = self;
        drop(admin);
        let _ = stop.send(true);
        for running in tasks {
            let _ = running.await;
        }
        let log = dispatcher::get_default(Dispatch::clone);
        let closing = move || dispatcher::with_default(&log, || close(service, recorder));
        let _ = task::spawn_blocking(closing).await;
    }
}

impl fmt::Debug for ServiceHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServiceHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

/// As many seats for those who appraise.
pub(crate) fn seats(number: std::num::NonZeroU32) -> Semaphore {
    Semaphore::new(usize::try_from(number.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS))
}

/// Ends the threads in the order of the data: the recorder hands the last outcomes to the store, the store writes them.
fn close(service: Arc<Service>, recorder: JoinHandle<()>) {
    audit::checkpoint(&service.store, &mut audit::Told::default());
    let live = Arc::clone(&service.live);
    drop(service);
    let _ = recorder.join();
    live.close();
}
