//! One version of a key, opened for one request. In: that request, as a draft. Out: what the key changes in it, and what its
//! answer has to pass; proven between: the draft is the request that was held against the bounds.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};

use recipes::{Changes, Credential, Draft, Recipe};
use zeroize::Zeroizing;

use super::{Derived, Inner, KeyError, Minter, Version, VersionId};
use crate::bounds::OutgoingRequest;
use crate::guard::{Guard, TooShort};

/// One version of a key, opened for one request. Gives out nothing but changes of that request, and requests for tokens to
/// the endpoint that the key is bound to.
pub struct OpenKey<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) at: usize,
    pub(super) version: &'a Version,
    pub(super) credential: &'a Credential,
    pub(super) guard: &'a Arc<Guard>,
    pub(super) request: OutgoingRequest<'a>,
}

impl<'a> OpenKey<'a> {
    /// Which version it is.
    pub fn version(&self) -> NonZeroU32 {
        self.version.record.version
    }

    /// The same, told from all that ever were.
    pub fn id(&self) -> VersionId {
        self.version.record.version_id()
    }

    /// How it gets into a request.
    pub fn recipe(&self) -> &'a Recipe {
        self.version.record.bounds.recipe()
    }

    /// What the answer has to pass on its way back.
    pub fn guard(&self) -> &'a Arc<Guard> {
        self.guard
    }

    /// The same, which knows beside the key what was made from it for this request: built anew only where that differs from
    /// the last time.
    ///
    /// # Errors
    /// One of them has under 16 bytes: it would be found where it is not.
    pub fn guard_with(&self, derived: Vec<Zeroizing<Vec<u8>>>) -> Result<Arc<Guard>, TooShort> {
        let Some(opened) = self.inner.opened.get().filter(|_| !derived.is_empty()) else {
            return self.guard.with(&derived);
        };
        let last = || opened.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last().as_ref().filter(|known| known.credentials == derived) {
            return Ok(Arc::clone(&known.guard));
        }
        // Not under the lock: signatures differ in every request, and none waits for another's.
        let guard = self.guard.with(&derived)?;
        *last() = Some(Derived { credentials: derived, guard: Arc::clone(&guard) });
        Ok(guard)
    }

    /// What the key changes in `draft`, which has to be the request that it was opened for. A header with a fixed value
    /// allocates nothing.
    ///
    /// # Errors
    /// It is another request; it has no place for the key, or could not be signed.
    pub fn apply(&self, draft: &Draft<'_>) -> Result<Changes, KeyError> {
        if !is_of(draft, &self.request) {
            return Err(KeyError::OtherRequest { key: self.inner.name().clone() });
        }
        self.credential.apply(draft).map_err(|why| KeyError::NotApplied { key: self.inner.name().clone(), why })
    }

    /// What mints tokens with it.
    pub fn minter(&self) -> Minter {
        Minter { inner: Arc::clone(self.inner), at: self.at }
    }

    /// The PEM chain and the PEM private key of a client certificate, where it is one.
    pub fn certificate(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.credential.certificate()
    }
}

/// Whether a draft is the request that was held against the bounds.
fn is_of(draft: &Draft<'_>, request: &OutgoingRequest<'_>) -> bool {
    let host = match draft.host.strip_prefix(request.host) {
        Some("") => request.port == request.scheme.default_port(),
        Some(port) => port.strip_prefix(':').and_then(|port| port.parse().ok()) == Some(request.port),
        None => false,
    };
    host && draft.scheme == request.scheme && draft.method == request.method && draft.path == request.path
}

impl fmt::Debug for OpenKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenKey({} version {})", self.inner.name(), self.version())
    }
}
