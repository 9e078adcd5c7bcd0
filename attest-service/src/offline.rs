//! What an operator may ask of a service's state while the service runs elsewhere or not at all.
//!
//! In: the state folder and the unlock key. Out: the key that opens support codes, or the key set to verify tokens with.
//! Nothing is made: a state folder in which no service ever started is refused.

use std::path::{Path, PathBuf};

use attest_core::{
    feed::{FeedError, FeedKey},
    random::SystemRandom,
    time::{Clock, SystemClock},
    token::{
        arc::ArcKey,
        key_set::{KeySet, KeySetError},
    },
};
use keystore::{MasterKey, master_key::MasterKeyError};
use settings::{AttestationSource, Settings, TokenAlgorithm};

use crate::{
    key_sets::KeySets,
    secrets::{Secrets, SecretsError, Source},
    store::{self, StoreError},
};

/// Why the state can't be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The configuration does not serve attestation.
    #[error("this configuration does not serve attestation")]
    NotServed,
    /// No service ever started with this state folder.
    #[error("{} holds no service's state: start the service once, or name the right configuration", .0.display())]
    NoState(PathBuf),
    /// The unlock key's file.
    #[error("attestation.serve.unlock: {0}")]
    Unlock(#[from] MasterKeyError),
    /// The database.
    #[error("state.dir: {0}")]
    Store(#[from] StoreError),
    /// The sealed secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The stored keys make no key set.
    #[error("attestation.token: {0}")]
    Keys(#[from] KeySetError),
    /// The stored keys can't be written down.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// The key that opens support codes.
///
/// # Errors
/// [`OfflineError`] names what can't be opened.
pub fn arc_key(settings: &Settings) -> Result<ArcKey, OfflineError> {
    Ok(ArcKey::new(*secrets(settings)?.arc))
}

/// The key set that gateways verify with.
///
/// # Errors
/// [`OfflineError`] names what can't be opened.
pub fn key_set(settings: &Settings) -> Result<KeySet, OfflineError> {
    let secrets = secrets(settings)?;
    let token = &settings.attestation.as_ref().ok_or(OfflineError::NotServed)?.token;
    let sets = KeySets::new(token, &secrets, FeedKey::from_seed(&secrets.feed)?)?;
    Ok(sets.key_set()?)
}

fn secrets(settings: &Settings) -> Result<Secrets, OfflineError> {
    let attestation = settings.attestation.as_ref().ok_or(OfflineError::NotServed)?;
    let AttestationSource::Serve(serve) = &attestation.source else { return Err(OfflineError::NotServed) };
    open(&settings.state_dir, &serve.unlock, &attestation.token.key_set, attestation.token.algorithm)
}

fn open(state_dir: &Path, unlock: &Path, key_set: &str, algorithm: TokenAlgorithm) -> Result<Secrets, OfflineError> {
    if !store::exists(state_dir) {
        return Err(OfflineError::NoState(state_dir.to_owned()));
    }
    let master = MasterKey::from_file(unlock)?;
    let mut connection = store::open(state_dir)?;
    let source = Source { master: &master, master_path: unlock.to_owned(), random: &SystemRandom, now: SystemClock.now() };
    Ok(Secrets::open(&mut connection, key_set, algorithm, &source)?)
}
