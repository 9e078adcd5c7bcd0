//! What is counted of each version of a key: how often it was added, when last, and what the API said to it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use attest_core::time::UnixTime;
use http::StatusCode;
use keystore::KeyHandle;

use super::rested;
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
    refused: AtomicU64,
    refused_last: AtomicI64,
    refusal_told: AtomicI64,
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
            refused: AtomicU64::new(0),
            refused_last: AtomicI64::new(0),
            refusal_told: AtomicI64::new(i64::MIN),
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

    /// How often the API answered it 401 since the process began.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// When it last did.
    pub(crate) fn refused_last(&self) -> Option<UnixTime> {
        (self.refused() > 0).then(|| UnixTime::from_secs(self.refused_last.load(Ordering::Relaxed)))
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

    /// The API answered it with this. A key that it doesn't take any more is told, once a minute.
    pub(crate) fn count_answer(&self, status: StatusCode, now: UnixTime, metrics: &Metrics) {
        let Self { key, version } = self;
        if status == StatusCode::UNAUTHORIZED {
            version.refused_last.fetch_max(now.secs(), Ordering::Relaxed);
            version.refused.fetch_add(1, Ordering::Relaxed);
            if rested(&version.refusal_told, now) {
                tracing::warn!(
                    target: "assay::keys",
                    key = %key,
                    version = version.version.get(),
                    fingerprint = %version.fingerprint,
                    "the API answers 401 to this key: it may be revoked there, or mistyped; `assay key list --gateway` counts, \
                     `assay key rotate {key}` takes the next version, with `--back` the one before"
                );
            }
        }
        if let Some(counter) = version.answers.of(status, false) {
            counter.count(&metrics.key_answers, || KeyAnswerLabels {
                key: key.clone(),
                version: version.version.get(),
                status: status.as_u16(),
            });
        }
    }
}
