//! A key in hand. In: the right to unseal, a seat at the upstream, and the request as it is about to be sent. Out: an
//! [`OpenKey`], which changes that request and no other; proven between: a decision allowed it, admission let it in, the key
//! is not disabled, and the request lies inside the key's own bounds.
//!
//! # Without a decision and a seat there is no key
//!
//! [`KeyHandle::open`] demands the right that a decision hands out and the seat that admission does. Leaving one away does
//! not compile:
//!
//! ```compile_fail,E0061
//! # use attest_core::{time::UnixTime, token::verify::UnsealRight};
//! fn not_admitted(key: &keystore::KeyHandle, right: &UnsealRight, request: &keystore::OutgoingRequest<'_>, now: UnixTime) {
//!     let _ = key.open(right, request, now);
//! }
//! ```
//!
//! ```compile_fail,E0061
//! # use attest_core::time::UnixTime;
//! fn not_allowed(key: &keystore::KeyHandle, seat: &admission::Seat, request: &keystore::OutgoingRequest<'_>, now: UnixTime) {
//!     let _ = key.open(seat, request, now);
//! }
//! ```
//!
//! and neither does making one up:
//!
//! ```compile_fail,E0423
//! fn forge() -> attest_core::token::verify::UnsealRight {
//!     attest_core::token::verify::UnsealRight(())
//! }
//! ```
//!
//! ```compile_fail,E0451
//! fn forge(who: admission::Who) -> admission::Seat {
//!     admission::Seat { admission: None, who, kind: todo!() }
//! }
//! ```
//!
//! With both, it does:
//!
//! ```
//! # use attest_core::{time::UnixTime, token::verify::UnsealRight};
//! fn inject(
//!     key: &keystore::KeyHandle,
//!     right: &UnsealRight,
//!     seat: &admission::Seat,
//!     request: &keystore::OutgoingRequest<'_>,
//!     now: UnixTime,
//! ) {
//!     let _ = key.open(right, seat, request, now);
//! }
//! ```

mod error;
mod minter;
mod open_key;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock};

use admission::Seat;
use attest_core::time::UnixTime;
use attest_core::token::verify::UnsealRight;
use recipes::{Credential, Recipe};
use zeroize::Zeroizing;

use crate::api_key::KeyName;
use crate::bounds::{BoundViolation, Bounds, OutgoingRequest, UseDescription};
use crate::guard::Guard;
use crate::sealed::{Fingerprint, SealedRecord, VersionState};
use crate::store::Disabled;
use crate::store_keys::StoreKeys;

pub use error::KeyError;
pub use minter::Minter;
pub use open_key::OpenKey;

/// A key of an opened store. Cheap to clone: clones share the key and outlive the store they came from.
///
/// It is sealed until the first request that is allowed to have it; from then on what is made of it stays in memory, wiped
/// when the last handle and the last request that carries it are gone.
#[derive(Clone)]
pub struct KeyHandle(Arc<Inner>);

struct Inner {
    /// The current one first. `next` is injected where [`KeyHandle::open_next`] asks for it, `previous` never; the answers
    /// are scrubbed of all.
    versions: Vec<Version>,
    disabled: Option<Disabled>,
    keys: Arc<StoreKeys>,
    opened: OnceLock<Opened>,
}

struct Version {
    state: VersionState,
    record: SealedRecord,
}

/// What the first allowed request left behind.
struct Opened {
    /// In the order of the versions.
    credentials: Vec<Credential>,
    guard: Arc<Guard>,
    last: Mutex<Option<Derived>>,
}

/// What was made from a key last, and what finds both: a signed token goes into many requests, and its guard takes longer to
/// build than all else that a request needs.
struct Derived {
    credentials: Vec<Zeroizing<Vec<u8>>>,
    guard: Arc<Guard>,
}

/// One version of a key, told from all others that ever were: the key's random id, and the version's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionId(u128, NonZeroU32);

impl KeyHandle {
    /// A handle on the versions of one key; `None` without a current one.
    pub(crate) fn new(
        versions: &[(VersionState, SealedRecord)],
        keys: &Arc<StoreKeys>,
        disabled: Option<Disabled>,
    ) -> Option<Self> {
        let mut versions: Vec<Version> =
            versions.iter().map(|(state, record)| Version { state: *state, record: record.clone() }).collect();
        versions.sort_by_key(|version| version.state != VersionState::Current);
        versions.first().filter(|first| first.state == VersionState::Current)?;
        Some(Self(Arc::new(Inner { versions, disabled, keys: Arc::clone(keys), opened: OnceLock::new() })))
    }

    /// The name.
    pub fn name(&self) -> &KeyName {
        self.0.name()
    }

    /// The bounds of the current version.
    pub fn bounds(&self) -> &Bounds {
        &self.0.current().record.bounds
    }

    /// The recipe of the current version.
    pub fn recipe(&self) -> &Recipe {
        self.bounds().recipe()
    }

    /// The fingerprint of the current secret.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.current().record.fingerprint
    }

    /// The current version.
    pub fn version(&self) -> NonZeroU32 {
        self.0.current().record.version
    }

    /// All versions with their fingerprints, the current one first.
    pub fn versions(&self) -> impl Iterator<Item = (NonZeroU32, Fingerprint)> + '_ {
        self.0.versions.iter().map(|version| (version.record.version, version.record.fingerprint))
    }

    /// All versions, told from all that ever were.
    pub fn ids(&self) -> impl Iterator<Item = VersionId> + '_ {
        self.0.versions.iter().map(|version| version.record.version_id())
    }

    /// Whether there is a version that takes the place of the current one at the next rotation.
    pub fn has_next(&self) -> bool {
        self.0.next().is_some()
    }

    /// Whether an operator has switched the key off for now.
    pub fn is_disabled(&self, now: UnixTime) -> bool {
        self.0.disabled.is_some_and(|disabled| disabled.is_in_force(now))
    }

    /// Whether a client's header of this name has to be removed before the key goes in.
    pub fn is_credential_slot(&self, header: &str) -> bool {
        self.recipe().slots().is_header(header)
    }

    /// Whether everything that a configured use can send lies inside the bounds: asked when the configuration is loaded.
    ///
    /// # Errors
    /// The key and the first bound that is broken, in words for the operator.
    pub fn check_config(&self, wanted: &UseDescription<'_>) -> Result<(), BoundViolation> {
        self.bounds().admit_use(self.name(), wanted)
    }

    /// The same of the version that the next rotation makes the current one; nothing where there is none.
    ///
    /// # Errors
    /// As [`KeyHandle::check_config`].
    pub fn check_next_config(&self, wanted: &UseDescription<'_>) -> Result<(), BoundViolation> {
        let next = self.0.next().and_then(|at| self.0.versions.get(at));
        next.map_or(Ok(()), |version| version.record.bounds.admit_use(self.name(), wanted))
    }

    /// Opens the current version for `request`, which is the request as it is about to be sent. Whether the key is disabled
    /// at `now`, and its bounds, are looked at each time.
    ///
    /// Allocates only on the first call, which unseals the key.
    ///
    /// # Errors
    /// The key is disabled, or the request breaks a bound: it is not given out, whoever asked.
    pub fn open<'a>(
        &'a self,
        right: &UnsealRight,
        seat: &Seat,
        request: &OutgoingRequest<'a>,
        now: UnixTime,
    ) -> Result<OpenKey<'a>, KeyError> {
        self.open_at(0, right, seat, request, now)
    }

    /// Opens the version that is to be the current one after the next rotation, under its own bounds.
    ///
    /// # Errors
    /// As [`KeyHandle::open`]; there is no such version.
    pub fn open_next<'a>(
        &'a self,
        right: &UnsealRight,
        seat: &Seat,
        request: &OutgoingRequest<'a>,
        now: UnixTime,
    ) -> Result<OpenKey<'a>, KeyError> {
        let at = self.0.next().ok_or_else(|| KeyError::NoNext { key: self.name().clone() })?;
        self.open_at(at, right, seat, request, now)
    }

    fn open_at<'a>(
        &'a self,
        at: usize,
        _right: &UnsealRight,
        _seat: &Seat,
        request: &OutgoingRequest<'a>,
        now: UnixTime,
    ) -> Result<OpenKey<'a>, KeyError> {
        let inner = &self.0;
        if self.is_disabled(now) {
            return Err(KeyError::Disabled { key: self.name().clone() });
        }
        let version = inner.versions.get(at).ok_or_else(|| inner.unsealable())?;
        version.record.bounds.admit(self.name(), request)?;
        let Opened { credentials, guard, .. } = inner.opened()?;
        let credential = credentials.get(at).ok_or_else(|| inner.unsealable())?;
        Ok(OpenKey { inner, at, version, credential, guard, request: *request })
    }
}

impl Inner {
    fn current(&self) -> &Version {
        // `KeyHandle::new` makes no handle without one.
        #[expect(clippy::indexing_slicing, reason = "a handle is made only of versions with a current one in front")]
        &self.versions[0]
    }

    fn next(&self) -> Option<usize> {
        self.versions.iter().position(|version| version.state == VersionState::Next)
    }

    fn name(&self) -> &KeyName {
        &self.current().record.name
    }

    fn unsealable(&self) -> KeyError {
        KeyError::Unsealable { key: self.name().clone() }
    }

    fn opened(&self) -> Result<&Opened, KeyError> {
        match self.opened.get() {
            Some(opened) => Ok(opened),
            None => {
                let opened = self.unseal()?;
                // Two first requests at once: both opened the same key, one of the two results stays.
                Ok(self.opened.get_or_init(|| opened))
            }
        }
    }

    #[cold]
    fn unseal(&self) -> Result<Opened, KeyError> {
        let credentials = self.versions.iter().map(|Version { record, .. }| {
            let secret = record.unseal(&self.keys).map_err(|_| self.unsealable())?;
            record.bounds.recipe().credential(secret.expose()).map_err(|_| self.unsealable())
        });
        let credentials = credentials.collect::<Result<Vec<Credential>, KeyError>>()?;
        let secrets = credentials.iter().flat_map(Credential::secrets);
        let forms: Vec<(&[u8], &[u8])> = secrets.map(|secret| (secret.as_slice(), secret.as_slice())).collect();
        let guard = Guard::for_secrets(&forms).map_err(|_| self.unsealable())?;
        Ok(Opened { credentials, guard, last: Mutex::new(None) })
    }
}

impl SealedRecord {
    fn version_id(&self) -> VersionId {
        VersionId(u128::from_be_bytes(self.id.0), self.version)
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHandle({} version {} {})", self.name(), self.version(), self.fingerprint())
    }
}
