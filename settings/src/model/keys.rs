//! `keys:` the sealed keystore: where it is, and where the key that opens it comes from.

use std::{num::NonZeroU64, path::PathBuf};

use attest_core::target::Scheme;
use ipnet::IpNet;

use super::PostgresSettings;

/// Where third-party keys are, and what opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysSettings {
    /// `store:` the sealed store; ciphertext only.
    pub store: KeyStorePlace,
    /// `unlock:` where the key-encryption key comes from.
    pub unlock: Unlock,
    /// `min_generation:` the oldest generation that is opened, also by a machine that has seen none. Default: any.
    pub min_generation: Option<NonZeroU64>,
    /// The state folder: it remembers which generation was seen, and keeps the last document of a shared store.
    pub state: PathBuf,
    /// `audit:` the folder of the audit log of keys. Default `audit` in the state folder.
    pub audit: PathBuf,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStorePlace {
    /// One file, which may live in Git.
    File(PathBuf),
    /// A row in PostgreSQL, which many gateways share.
    Database {
        /// The server.
        database: PostgresSettings,
        /// The store's name there. Default `keys`.
        name: String,
    },
}

/// Where a key-encryption key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// 32 bytes in a file, raw or as base64, not readable by others.
    File(PathBuf),
    /// A passphrase in a file, not readable by others: Argon2id makes a key of it.
    PassphraseFile(PathBuf),
    /// 32 bytes as base64 in this environment variable.
    Environment(String),
    /// The systemd credential of this name: a file in `$CREDENTIALS_DIRECTORY`.
    Systemd(String),
    /// Wrapped by the transit engine of Vault or OpenBao.
    Vault(VaultUnlock),
    /// Wrapped by a key of AWS KMS.
    AwsKms(AwsKmsUnlock),
}

/// `vault:` the transit engine of a Vault or OpenBao server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultUnlock {
    /// The server.
    pub server: KeyServer,
    /// The path of the transit engine, without slashes at its ends. Default `transit`.
    pub mount: String,
    /// The name of the key there.
    pub key: String,
    /// The file with the token, read at every call: an agent may renew it.
    pub token_file: PathBuf,
    /// `X-Vault-Namespace`.
    pub namespace: Option<String>,
}

/// `aws_kms:` a symmetric key of AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKmsUnlock {
    /// The service: `kms.REGION.amazonaws.com`, or what `endpoint` says.
    pub server: KeyServer,
    /// Key id, alias (`alias/...`) or ARN.
    pub key_id: String,
    /// The region that requests are signed for.
    pub region: String,
    /// What requests are signed with.
    pub credentials: AwsCredentials,
}

/// Where AWS credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsCredentials {
    /// A file with what `aws configure export-credentials` prints, not readable by others; read at every call.
    File(PathBuf),
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`.
    Environment,
}

/// A server that is asked for the key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyServer {
    /// `https`, or `http` on loopback where the file says so.
    pub scheme: Scheme,
    /// Host name or address; an IPv6 address in brackets, as in a URL.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Roots for its certificate, PEM; absent: the public ones.
    pub ca_file: Option<PathBuf>,
    /// Private networks that may be dialled; other private and all metadata addresses are refused.
    pub private_addresses: Vec<IpNet>,
}

impl KeysSettings {
    /// The files that a change of keys shows in: what to watch beside the configuration.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let store = match &self.store {
            KeyStorePlace::File(path) => Some(path),
            KeyStorePlace::Database { .. } => None,
        };
        let unlock = match &self.unlock {
            Unlock::File(path) | Unlock::PassphraseFile(path) => Some(path),
            Unlock::Environment(_) | Unlock::Systemd(_) | Unlock::Vault(_) | Unlock::AwsKms(_) => None,
        };
        store.into_iter().chain(unlock).cloned().collect()
    }
}
