//! The keys in use, whatever configuration runs.
//!
//! In comes an opened store; out goes, for each key that a route names, the handle that is injected from now on. A request
//! asks for it when it is about to be sent and not before: one that waited for its seat while the key was rotated carries
//! the new version, and so does a second attempt. So a rotation has no stale window, and costs no generation.
//!
//! Proven of a handle that was taken: every use that the running configuration makes of the key lies inside its bounds. Each
//! request is held against them all the same when the key is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use attest_core::time::UnixTime;
use keystore::{KeyHandle, Keystore};

mod told;
mod uses;

pub(crate) use told::told;
pub(crate) use uses::{Injected, VersionUses};

/// The store that is in use, and of its keys those that routes name.
pub(crate) struct Keys {
    /// What is in it, for lists: never a value.
    pub store: Keystore,
    /// When it was taken.
    pub taken: UnixTime,
}

/// A key that routes name: one for the life of the process, whatever store and configuration come.
pub(crate) struct LiveKey {
    /// Its name, for labels.
    pub name: Arc<str>,
    in_use: ArcSwap<InUse>,
}

/// What a request gets that asks now.
pub(crate) struct InUse {
    /// Opens it, against a right and a seat.
    pub handle: KeyHandle,
    /// What is counted of each of its versions.
    uses: Vec<Arc<VersionUses>>,
}

impl LiveKey {
    /// A key that was not in use before.
    pub(crate) fn new(name: &str, handle: KeyHandle) -> Arc<Self> {
        let uses = VersionUses::of(&handle, &[]);
        Arc::new(Self { name: name.into(), in_use: ArcSwap::from_pointee(InUse { handle, uses }) })
    }

    /// What is injected now.
    pub(crate) fn in_use(&self) -> Guard<Arc<InUse>> {
        self.in_use.load()
    }

    /// From now on this one is. What was counted of versions that stay goes on.
    fn take(&self, handle: KeyHandle) {
        let uses = VersionUses::of(&handle, &self.in_use().uses);
        self.in_use.store(Arc::new(InUse { handle, uses }));
    }
}

impl InUse {
    /// What is counted of the version that stands at this place of the handle.
    pub(crate) fn uses_of(&self, version: std::num::NonZeroU32) -> Option<&Arc<VersionUses>> {
        self.uses.iter().find(|uses| uses.version == version)
    }
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
