//! In: the configuration of a service, running or not. Out: what only its state can tell: the key set its tokens are
//! verified with, the key of its support codes. Nothing is written, and nothing is made up: a state that was never started
//! has neither.

use std::path::PathBuf;

use attest_core::{
    random::SystemRandom,
    time::UnixTime,
    token::{
        arc::ArcKey,
        key_set::{KeySet, KeySetError},
    },
};
use keystore::{MasterKey, master_key::MasterKeyError};
use settings::Settings;

use crate::{
    key_sets,
    secrets::{Secrets, SecretsError, Source},
    service_settings::ServiceSettings,
    store::{self, StoreError},
};

/// Why the state tells nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The configuration describes no service, or one that runs elsewhere.
    #[error("the configuration has no attestation.serve: the service runs elsewhere")]
    NotServedHere,
    /// The service has not made its keys yet.
    #[error("{} holds no keys of a service: start it once, or name the right configuration", path.display())]
    NotStartedYet {
        /// The state folder.
        path: PathBuf,
    },
    /// The unlock key's file.
    #[error("attestation.serve.unlock: {0}")]
    Unlock(#[from] MasterKeyError),
    /// The state folder or its database.
    #[error("state.dir: {0}")]
    Store(#[from] StoreError),
    /// The service's secrets.
    #[error("{0}")]
    Secrets(#[from] SecretsError),
    /// The stored keys can't be used under this configuration.
    #[error("attestation.token: {0}")]
    Keys(#[from] KeySetError),
}

/// The key set that tokens of this service are verified with.
///
/// # Errors
/// [`OfflineError`].
pub fn key_set(settings: &Settings) -> Result<KeySet, OfflineError> {
    let (service, secrets) = open(settings)?;
    Ok(key_sets::key_set(&service.token, &secrets)?)
}

/// The key of this service's support codes.
///
/// # Errors
/// [`OfflineError`].
pub fn arc_key(settings: &Settings) -> Result<ArcKey, OfflineError> {
    let (_, secrets) = open(settings)?;
    Ok(ArcKey::new(*secrets.arc))
}

fn open(settings: &Settings) -> Result<(ServiceSettings, Secrets), OfflineError> {
    let service = ServiceSettings::of(settings, false).ok_or(OfflineError::NotServedHere)?;
    let master = MasterKey::from_file(&service.unlock)?;
    if !store::exists(&service.state_dir) {
        return Err(OfflineError::NotStartedYet { path: service.state_dir });
    }
    let mut connection = store::open(&service.state_dir)?;
    let source = Source {
        master: &master,
        master_path: service.unlock.clone(),
        random: &SystemRandom,
        now: UnixTime::from_secs(0),
    };
    match Secrets::read(&mut connection, &service.token.key_set, service.token.algorithm, &source)? {
        Some(secrets) => Ok((service, secrets)),
        None => Err(OfflineError::NotStartedYet { path: service.state_dir }),
    }
}
