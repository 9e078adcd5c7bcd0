//! A key in hand. In: the right to unseal, and the request as it is about to be sent. Out: the one header to add, with
//! the guard for its answer; proven between: a decision allowed it, and the request lies inside the key's own bounds.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use attest_core::token::verify::UnsealRight;
use http::{HeaderName, HeaderValue};

use crate::api_key::{ApiKey, KeyName};
use crate::bounds::{BoundViolation, Bounds, OutgoingRequest, UseDescription};
use crate::guard::Guard;
use crate::sealed::{Fingerprint, SealedRecord, StoreKeys, VersionState};
use crate::slots;

/// A key of an opened store. Cheap to clone: clones share the key and outlive the store they came from.
///
/// It is sealed until the first request that is allowed to have it; from then on the rendered header stays in memory,
/// wiped when the last handle and the last request that carries it are gone.
#[derive(Clone)]
pub struct KeyHandle(Arc<Inner>);

struct Inner {
    current: SealedRecord,
    /// `next` and `previous`: never injected here, scrubbed from answers all the same.
    others: Vec<SealedRecord>,
    keys: Arc<StoreKeys>,
    opened: OnceLock<Opened>,
}

/// What the first allowed request left behind.
struct Opened {
    value: HeaderValue,
    guard: Arc<Guard>,
}

/// A header to set on the request, in place of all that a client sent in that slot.
#[derive(Debug, Clone)]
pub struct Injection {
    /// Its name.
    pub name: HeaderName,
    /// Its value, marked sensitive.
    pub value: HeaderValue,
    /// What the answer has to pass on its way back.
    pub guard: Arc<Guard>,
}

impl KeyHandle {
    /// A handle on the versions of one key; `None` without a current one.
    pub(crate) fn new(versions: &[(VersionState, SealedRecord)], keys: &Arc<StoreKeys>) -> Option<Self> {
        let current = versions.iter().find(|(state, _)| *state == VersionState::Current)?.1.clone();
        let others = versions.iter().filter(|(state, _)| *state != VersionState::Current);
        let others = others.map(|(_, record)| record.clone()).collect();
        Some(Self(Arc::new(Inner { current, others, keys: Arc::clone(keys), opened: OnceLock::new() })))
    }

    /// The name.
    pub fn name(&self) -> &KeyName {
        &self.0.current.name
    }

    /// The bounds of the current version.
    pub fn bounds(&self) -> &Bounds {
        &self.0.current.bounds
    }

    /// The fingerprint of the current secret.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.current.fingerprint
    }

    /// The current version.
    pub fn version(&self) -> NonZeroU32 {
        self.0.current.version
    }

    /// All versions with their fingerprints, the current one first.
    pub fn versions(&self) -> impl Iterator<Item = (NonZeroU32, Fingerprint)> + '_ {
        std::iter::once(&self.0.current).chain(&self.0.others).map(|record| (record.version, record.fingerprint))
    }

    /// Whether a client's header of this name has to be removed before the key goes in: see [`slots`].
    pub fn is_credential_slot(&self, header: &str) -> bool {
        slots::is_credential_slot(header, self.bounds().recipe().header())
    }

    /// Whether everything that a configured use can send lies inside the bounds: asked when the configuration is loaded.
    ///
    /// # Errors
    /// The key and the first bound that is broken, in words for the operator.
    pub fn check_config(&self, wanted: &UseDescription<'_>) -> Result<(), BoundViolation> {
        self.bounds().admit_use(self.name(), wanted)
    }

    /// The header to add to `request`, which is the request as it is about to be sent. Bounds are checked each time.
    ///
    /// Allocates only on the first call, which unseals the key.
    ///
    /// # Errors
    /// `OutOfBounds` when the request breaks a bound: the key is not given out, whoever asked.
    pub fn render(&self, _right: &UnsealRight, request: &OutgoingRequest<'_>) -> Result<Injection, KeyError> {
        self.bounds().admit(self.name(), request)?;
        let opened = match self.0.opened.get() {
            Some(opened) => opened,
            None => {
                let opened = self.unseal()?;
                // Two first requests at once: both opened the same key, one of the two results stays.
                self.0.opened.get_or_init(|| opened)
            }
        };
        Ok(Injection {
            name: self.bounds().recipe().header().clone(),
            value: opened.value.clone(),
            guard: Arc::clone(&opened.guard),
        })
    }

    #[cold]
    fn unseal(&self) -> Result<Opened, KeyError> {
        let records = || std::iter::once(&self.0.current).chain(&self.0.others);
        let unsealable = || KeyError::Unsealable { key: self.name().clone() };
        let clear = records().map(|record| {
            let key = record.unseal(&self.0.keys).map_err(|_| unsealable())?;
            let value = record.bounds.recipe().render(&key).map_err(|_| unsealable())?;
            Ok((key, value))
        });
        let clear = clear.collect::<Result<Vec<(ApiKey, HeaderValue)>, KeyError>>()?;
        let forms: Vec<_> = clear.iter().map(|(key, value)| (key.expose().as_bytes(), value.as_bytes())).collect();
        let guard = Guard::for_secrets(&forms).map_err(|_| unsealable())?;
        let (_, value) = clear.into_iter().next().ok_or_else(unsealable)?;
        Ok(Opened { value, guard })
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHandle({} version {} {})", self.name(), self.version(), self.fingerprint())
    }
}

/// Why a key was not given out. Never the client's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The request breaks a bound of the key.
    #[error(transparent)]
    OutOfBounds(#[from] BoundViolation),
    /// The record did not open, though it did when the store was opened: memory was damaged.
    #[error("key \"{key}\" no longer unseals")]
    Unsealable {
        /// Which key.
        key: KeyName,
    },
}
