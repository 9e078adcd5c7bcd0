//! What is counted of each version of a key: how often it was added, when last, and what the API said to it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use attest_core::time::UnixTime;
use http::StatusCode;
use keystore::KeyHandle;

use crate::telemetry::metrics::{ByStatus, KeyAnswerLabels, KeyLabels, Lazy, Metrics};

/// One version of a key, told from another that was sealed under the same number by its fingerprint.
#[derive(Debug)]
pub(crate) struct VersionUses {
    /// The version.
    pub version: NonZeroU32,
    /// The fingerprint of its secret.
    pub fingerprint: Box<str>,
    uses: AtomicU64,
    last: AtomicI64,
    counted: Lazy,
    answers: ByStatus,
}

/// What an attempt carried.
#[derive(Clone)]
pub(crate) struct Injected {
    /// The key.
    pub key: Arc<str>,
    /// Its version.
    pub version: Arc<VersionUses>,
}

impl VersionUses {
    /// Counters for the versions of `handle`; those of `before` go on.
    pub(super) fn of(handle: &KeyHandle, before: &[Arc<Self>]) -> Vec<Arc<Self>> {
        handle
            .versions()
            .map(|(version, fingerprint)| {
                let fingerprint = fingerprint.to_string();
                let same = |uses: &&Arc<Self>| uses.version == version && *uses.fingerprint == *fingerprint;
                before.iter().find(same).cloned().unwrap_or_else(|| Arc::new(Self::new(version, fingerprint)))
            })
            .collect()
    }

    fn new(version: NonZeroU32, fingerprint: String) -> Self {
        Self {
            version,
            fingerprint: fingerprint.into(),
            uses: AtomicU64::new(0),
            last: AtomicI64::new(0),
            counted: Lazy::default(),
            answers: ByStatus::default(),
        }
    }

    /// How often it was added to a request since the process began.
    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    /// When it was last added.
    pub(crate) fn last(&self) -> Option<UnixTime> {
        (self.uses() > 0).then(|| UnixTime::from_secs(self.last.load(Ordering::Relaxed)))
    }
}

impl Injected {
    /// An attempt is about to carry it.
    pub(crate) fn count_use(&self, now: UnixTime, metrics: &Metrics) {
        let Self { key, version } = self;
        version.last.fetch_max(now.secs(), Ordering::Relaxed);
        version.uses.fetch_add(1, Ordering::Relaxed);
        let labels = || KeyLabels { key: key.clone(), version: version.version.get() };
        version.counted.count(&metrics.key_uses, labels);
    }

    /// The API answered it with this.
    pub(crate) fn count_answer(&self, status: StatusCode, metrics: &Metrics) {
        let Self { key, version } = self;
        if let Some(counter) = version.answers.of(status, false) {
            counter.count(&metrics.key_answers, || KeyAnswerLabels {
                key: key.clone(),
                version: version.version.get(),
                status: status.as_u16(),
            });
        }
    }
}
