//! From settings and a store's head to the key-encryption key. In: what the configuration says, and what the store says
//! its key comes from. Out: a [`MasterKey`]; that it is the right one is proven by the store's manifest, not here.
//!
//! File, environment and systemd hold the key itself, so a store may move from one to another of them without being
//! written. The others need what the head says: salt and costs of a passphrase, or the key as a server has wrapped it.

#[cfg(feature = "aws-kms")]
mod aws_kms;
mod passphrase;
#[cfg(any(feature = "vault", feature = "aws-kms"))]
mod server;
#[cfg(feature = "vault")]
mod vault;

use std::io;
use std::path::PathBuf;

use attest_core::random::NoRandomness;
use keystore::MasterKey;
use keystore::kek::{KekHeader, KekHeaderError, KekProvider};
use keystore::master_key::MasterKeyError;
use settings::Unlock;

use crate::{Around, private_file};

/// Why there is no key-encryption key. Says nothing of a file's, a variable's or an answer's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The key's file.
    #[error(transparent)]
    File(#[from] MasterKeyError),
    /// A file with a passphrase, a token or credentials.
    #[error("{}: {source}", .path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Too short or too long.
    #[error("{}: a passphrase has 16 to 1,024 characters", .path.display())]
    Passphrase {
        /// Which file.
        path: PathBuf,
    },
    /// Argon2id did not run: no memory.
    #[error("the passphrase can't be stretched: {why}")]
    Argon2 {
        /// What the library said.
        why: String,
    },
    /// The variable is not set.
    #[error("the environment variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// What stands where a key should be is none.
    #[error("{at}: not a key: 32 random bytes are needed, raw or as one line of base64 (44 characters)")]
    NotAKey {
        /// The variable, or the server.
        at: String,
    },
    /// Not started by systemd with credentials.
    #[error("$CREDENTIALS_DIRECTORY is not set: systemd gives credentials to units that load them (LoadCredential=)")]
    NoCredentials,
    /// The store's key comes from elsewhere.
    #[error(
        "the store's key comes from {found}, and the configuration says {wanted}: write under `keys.unlock` what the store \
         was made or rotated with; to move it, `assay kek rotate --to …` while the configuration still opens it"
    )]
    OtherProvider {
        /// What the store's head says.
        found: &'static str,
        /// What the configuration says.
        wanted: &'static str,
    },
    /// A parameter in the store's head.
    #[error("the head of the store: {0}")]
    Head(#[from] KekHeaderError),
    /// A server could not be asked.
    #[error("{what}: {why}")]
    Away {
        /// `vault` or `aws_kms`.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A server said no.
    #[error("{what}: {host} answers {status}: {said}")]
    Refused {
        /// `vault` or `aws_kms`.
        what: &'static str,
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// Its own words, shortened.
        said: String,
    },
    /// A server answered something else than a wrapped or unwrapped key.
    #[error("{what}: {host} answers what is no answer: {why}")]
    BadAnswer {
        /// `vault` or `aws_kms`.
        what: &'static str,
        /// Who.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The AWS credentials can't sign.
    #[error("aws_kms: the credentials: {why}")]
    Credentials {
        /// What is wrong with them.
        why: String,
    },
    /// Left out when this was built.
    #[error("this build of assay has no `{feature}`: it was built without that cargo feature")]
    NotBuilt {
        /// Which.
        feature: &'static str,
    },
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The key that `head` speaks of, from where `unlock` says.
///
/// # Errors
/// [`UnlockError`]. A wrong key is none of them: the store names it.
pub async fn master_key(unlock: &Unlock, head: &KekHeader, around: &Around) -> Result<MasterKey, UnlockError> {
    let other = || UnlockError::OtherProvider { found: head.provider().kind(), wanted: kind(unlock) };
    let holds_the_key =
        matches!(head.provider(), KekProvider::File {} | KekProvider::Environment {} | KekProvider::Systemd {});
    match unlock {
        Unlock::File(_) | Unlock::Environment(_) | Unlock::Systemd(_) if holds_the_key => {
            held(unlock, head.id(), around)
        }
        Unlock::PassphraseFile(path) => match head.provider() {
            KekProvider::Passphrase { argon2id } => passphrase::master_key(path, argon2id).await,
            _ => Err(other()),
        },
        Unlock::Vault(vault) => match head.provider() {
            KekProvider::Vault { wrapped, .. } => unwrap_by_vault(vault, wrapped, around).await,
            _ => Err(other()),
        },
        Unlock::AwsKms(kms) => match head.provider() {
            KekProvider::AwsKms { wrapped, .. } => unwrap_by_kms(kms, wrapped, around).await,
            _ => Err(other()),
        },
        Unlock::File(_) | Unlock::Environment(_) | Unlock::Systemd(_) => Err(other()),
    }
}

/// A key for a new store, or for one that is wrapped anew, and the head that leads back to it.
///
/// Where the provider holds the key itself, this is that key; a passphrase gets a new salt; a server wraps 32 new random
/// bytes.
///
/// # Errors
/// [`UnlockError`].
pub async fn new_master_key(unlock: &Unlock, around: &Around) -> Result<(MasterKey, KekHeader), UnlockError> {
    let (master, provider) = match unlock {
        Unlock::File(_) => (held(unlock, "", around)?, KekProvider::File {}),
        Unlock::Environment(_) => (held(unlock, "", around)?, KekProvider::Environment {}),
        Unlock::Systemd(_) => (held(unlock, "", around)?, KekProvider::Systemd {}),
        Unlock::PassphraseFile(path) => {
            let argon2id = passphrase::new_parameters(&*around.random)?;
            (passphrase::master_key(path, &argon2id).await?, KekProvider::Passphrase { argon2id })
        }
        Unlock::Vault(vault) => wrap_by_vault(vault, around).await?,
        Unlock::AwsKms(kms) => wrap_by_kms(kms, around).await?,
    };
    let head = KekHeader::new(&master, provider)?;
    Ok((master, head))
}

/// `file`, `passphrase`, `environment`, `systemd`, `vault` or `aws_kms`: as a store's head calls it.
#[must_use]
pub const fn kind(unlock: &Unlock) -> &'static str {
    match unlock {
        Unlock::File(_) => "file",
        Unlock::PassphraseFile(_) => "passphrase",
        Unlock::Environment(_) => "environment",
        Unlock::Systemd(_) => "systemd",
        Unlock::Vault(_) => "vault",
        Unlock::AwsKms(_) => "aws_kms",
    }
}

/// A key that stands somewhere as it is. `id`: which is wanted, where a rotation may have left two.
fn held(unlock: &Unlock, id: &str, around: &Around) -> Result<MasterKey, UnlockError> {
    match unlock {
        Unlock::File(path) if id.is_empty() => Ok(MasterKey::from_file(path)?),
        Unlock::File(path) => Ok(MasterKey::from_file_or_next(path, id)?),
        Unlock::Environment(name) => {
            let text = (around.variable)(name).ok_or_else(|| UnlockError::NoVariable { name: name.clone() })?;
            MasterKey::from_text(text.as_bytes()).map_err(|_| UnlockError::NotAKey { at: format!("${name}") })
        }
        Unlock::Systemd(name) => {
            let folder = around.credentials_directory().ok_or(UnlockError::NoCredentials)?;
            let path = folder.join(name);
            let text =
                private_file::read(&path, 64).map_err(|source| UnlockError::Secret { path: path.clone(), source });
            let at = || path.display().to_string();
            MasterKey::from_text(&text?).map_err(|_| UnlockError::NotAKey { at: at() })
        }
        Unlock::PassphraseFile(_) | Unlock::Vault(_) | Unlock::AwsKms(_) => {
            Err(UnlockError::OtherProvider { found: "file", wanted: kind(unlock) })
        }
    }
}

#[cfg(feature = "vault")]
use vault::{unwrap as unwrap_by_vault, wrap as wrap_by_vault};

#[cfg(feature = "aws-kms")]
use aws_kms::{unwrap as unwrap_by_kms, wrap as wrap_by_kms};

#[cfg(not(feature = "vault"))]
use absent::{unwrap_by_vault, wrap_by_vault};

#[cfg(not(feature = "aws-kms"))]
use absent::{unwrap_by_kms, wrap_by_kms};

#[cfg(not(all(feature = "vault", feature = "aws-kms")))]
mod absent;

#[cfg(test)]
mod tests;
