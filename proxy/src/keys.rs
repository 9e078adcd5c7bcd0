//! The keys in use, whatever configuration runs.
//!
//! In comes an opened store; out goes, for each key that a route names, the handle that is injected from now on. A request
//! asks for it when it is about to be sent and not before: one that waited for its seat while the key was rotated carries
//! the new version, and so does a second attempt. So a rotation has no stale window, and costs no generation.
//!
//! Proven of a handle that was taken: every use that the running configuration makes of the key lies inside its bounds. Each
//! request is held against them all the same when the key is opened.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use attest_core::time::UnixTime;
use audit::AuditKey;
use keystore::{KeyHandle, Keystore, OpenKey};
use pingora_core::utils::tls::CertKey;

mod certificate;
mod minting;
mod told;
mod uses;

pub(crate) use minting::{ToMint, Token, TokenPlace, Tokens};
pub(crate) use told::{disabled, told};
pub(crate) use uses::{Injected, VersionUses};

/// The store that is in use.
pub(crate) struct Keys {
    /// What is in it, for lists: never a value.
    pub store: Keystore,
    /// What the audit log of keys is authenticated with.
    pub audit: AuditKey,
    /// When it was taken.
    pub taken: UnixTime,
}

/// A key that routes name: one for the life of the process, whatever store and configuration come.
pub(crate) struct LiveKey {
    /// Its name, for labels.
    pub name: Arc<str>,
    /// When the next version was last tried because the API refused the current one; seconds since 1970.
    next_tried: AtomicI64,
    /// When the log last had that it is disabled.
    disabled_told: AtomicI64,
    in_use: ArcSwap<InUse>,
}

/// What a request gets that asks now.
pub(crate) struct InUse {
    /// Opens it, against a right and a seat.
    pub handle: KeyHandle,
    /// What is counted of each of its versions.
    uses: Vec<Arc<VersionUses>>,
    /// The client certificate of its current version, once it was asked for.
    certificate: OnceLock<Arc<CertKey>>,
}

impl LiveKey {
    /// A key that was not in use before.
    pub(crate) fn new(name: &str, handle: KeyHandle) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            next_tried: AtomicI64::new(i64::MIN),
            disabled_told: AtomicI64::new(i64::MIN),
            in_use: ArcSwap::from_pointee(InUse::new(handle, &[])),
        })
    }

    /// What is injected now.
    pub(crate) fn in_use(&self) -> Guard<Arc<InUse>> {
        self.in_use.load()
    }

    /// Whether the next version may be tried now for the current one; if so, not again within a minute.
    pub(crate) fn may_try_next(&self, now: UnixTime) -> bool {
        rested(&self.next_tried, now)
    }

    /// Whether the log is to have now that it is disabled; if so, not again within a minute.
    pub(crate) fn may_tell_disabled(&self, now: UnixTime) -> bool {
        rested(&self.disabled_told, now)
    }

    /// From now on this one is. What was counted of versions that stay goes on.
    fn take(&self, handle: KeyHandle) {
        let next = InUse::new(handle, &self.in_use().uses);
        self.in_use.store(Arc::new(next));
    }
}

impl InUse {
    fn new(handle: KeyHandle, before: &[Arc<VersionUses>]) -> Self {
        let uses = VersionUses::of(&handle, before);
        Self { handle, uses, certificate: OnceLock::new() }
    }

    /// What is counted of this version.
    pub(crate) fn uses_of(&self, version: NonZeroU32) -> Option<&Arc<VersionUses>> {
        self.uses.iter().find(|uses| uses.version == version)
    }

    /// The client certificate in an opened key, as Pingora wants it; `None` where it can't be read.
    pub(crate) fn certificate(&self, key: &OpenKey<'_>) -> Option<Arc<CertKey>> {
        let read = || key.certificate().and_then(|(chain, key)| certificate::read(chain, key));
        if key.version() != self.handle.version() {
            return read();
        }
        match self.certificate.get() {
            Some(certificate) => Some(certificate.clone()),
            None => read().map(|certificate| self.certificate.get_or_init(|| certificate).clone()),
        }
    }
}

/// Between two tries of a next version, and two lines of the log about the same.
const BETWEEN_TRIES_SECS: i64 = 60;

/// Whether a minute is over since what `tried` holds; if so, it begins anew.
fn rested(tried: &AtomicI64, now: UnixTime) -> bool {
    let (at, now) = (tried.load(Ordering::Relaxed), now.secs());
    let rested = at > now || now.saturating_sub(at) >= BETWEEN_TRIES_SECS;
    rested && tried.compare_exchange(at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// The handles of a store for keys that run, ready to be taken all at once.
#[derive(Default)]
pub(crate) struct Taking(Vec<(Arc<LiveKey>, KeyHandle)>);

impl Taking {
    /// The live key of this name: the one that runs, or a new one; `None` where the store has none.
    pub(crate) fn key(
        &mut self,
        name: &str,
        store: &Keystore,
        running: Option<&BTreeMap<String, Arc<LiveKey>>>,
    ) -> Option<Arc<LiveKey>> {
        let handle = store.key(name)?;
        Some(match running.and_then(|running| running.get(name)) {
            Some(live) => {
                self.0.push((live.clone(), handle));
                live.clone()
            }
            None => LiveKey::new(name, handle),
        })
    }

    /// From now on requests get these.
    pub(crate) fn take(self) {
        for (live, handle) in self.0 {
            live.take(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(tried: &AtomicI64, now: i64) -> bool {
        rested(tried, UnixTime::from_secs(now))
    }

    #[test]
    fn a_next_version_is_tried_once_a_minute_whoever_asks() {
        let tried = AtomicI64::new(i64::MIN);
        assert!(may(&tried, 1_000));
        assert!(!may(&tried, 1_000) && !may(&tried, 1_059));
        assert!(may(&tried, 1_060));
        assert!(may(&tried, 500), "a clock that was set back does not end it");
        let tried = AtomicI64::new(i64::MIN);
        let won = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| may(&tried, 1_000))).collect();
            asking.into_iter().filter_map(|thread| thread.join().ok()).filter(|won| *won).count()
        });
        assert_eq!(won, 1, "one of eight");
    }
}
