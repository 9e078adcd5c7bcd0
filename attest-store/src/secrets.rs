//! In: the database, the unlock key. Out: every secret of the service, in the clear and in memory. What is proven: each
//! was made exactly once, at the first start that needed it, sealed before it was stored, and opens under the unlock key
//! given now. None is ever ephemeral: a restart changes no key, no device id, no support code.
//!
//! `docs/service-keys.md` has the table of who holds what. No two are derived from one another.

use std::{fmt, path::PathBuf, sync::Arc};

use attest_core::{random::Random, time::UnixTime};
use keystore::{MasterKey, envelope};
use zeroize::Zeroizing;

use crate::{
    error::{OpenError, StoreError},
    sql::{Tx, values},
};

/// A secret in the clear, wiped when dropped.
pub type Secret = Zeroizing<Vec<u8>>;
/// A secret of 32 bytes in the clear, wiped when dropped.
pub type Secret32 = Zeroizing<[u8; 32]>;

/// Seals and opens what the database keeps.
pub(crate) struct Vault {
    /// The unlock key.
    pub(crate) master: MasterKey,
    /// Where it was read from, for messages.
    pub(crate) master_path: PathBuf,
    /// Makes secrets.
    pub(crate) random: Arc<dyn Random>,
}

impl Vault {
    /// The first start writes down which key seals; every later one compares.
    pub(crate) fn check_master(&self, tx: &Tx<'_>) -> Result<(), OpenError> {
        let given = self.master.id();
        tx.execute(
            "INSERT INTO labels (name, value) VALUES ('unlock_key_id', $1) ON CONFLICT (name) DO NOTHING",
            values![given.as_bytes()],
        )?;
        self.compare_master(tx)
    }

    /// Proves that this key sealed the database, where any did.
    pub(crate) fn compare_master(&self, tx: &Tx<'_>) -> Result<(), OpenError> {
        let given = self.master.id();
        let Some(row) = tx.row("SELECT value FROM labels WHERE name = 'unlock_key_id'", &[])? else { return Ok(()) };
        let sealed_with = String::from_utf8_lossy(&row.blob(0)?).into_owned();
        if sealed_with == given {
            return Ok(());
        }
        Err(OpenError::WrongUnlockKey { path: self.master_path.clone(), given, sealed_with })
    }

    /// The secret `name`, made where there is none.
    pub(crate) fn secret(&self, tx: &Tx<'_>, name: &str, now: UnixTime) -> Result<Secret32, StoreError> {
        if let Some(row) = tx.row("SELECT sealed FROM secrets WHERE name = $1", values![name])? {
            let secret = <[u8; 32]>::try_from(self.unseal(name, &row.blob(0)?)?.as_slice());
            return secret.map(Zeroizing::new).map_err(|_| StoreError::Damaged { what: "a secret's length" });
        }
        let mut secret = Zeroizing::new([0; 32]);
        self.random.fill(&mut *secret)?;
        tx.execute(
            "INSERT INTO secrets (name, sealed, created) VALUES ($1, $2, $3)",
            values![name, self.seal(name, &*secret)?, now],
        )?;
        Ok(secret)
    }

    /// Seals `secret` under its name; a box put in another one's place does not open.
    pub(crate) fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        envelope::seal(&self.master, purpose(name).as_bytes(), secret, &*self.random)
            .map_err(|source| StoreError::Sealed { name: name.to_owned(), source })
    }

    /// Opens what [`Vault::seal`] made for `name`.
    pub(crate) fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Secret, StoreError> {
        envelope::open(&self.master, purpose(name).as_bytes(), sealed)
            .map_err(|source| StoreError::Sealed { name: name.to_owned(), source })
    }
}

/// What a box is for. The prefix is that of the crate which sealed the first ones.
fn purpose(name: &str) -> String {
    format!("attest-service/{name}")
}

/// Every secret of the service that is not a signing key. `Debug` prints none.
pub(crate) struct Secrets {
    /// The MAC key of challenges.
    pub(crate) challenge: Secret32,
    /// Seals answers that are kept in shared state.
    pub(crate) answer: Secret32,
    /// The AES key of support codes.
    pub(crate) arc: Secret32,
    /// The Ed25519 seed of the documents for gateways.
    pub(crate) feed: Secret32,
    /// The key of `asv`, of this key set.
    pub(crate) verdict: Secret32,
    /// The salt of device ids, of this key set.
    pub(crate) device_salt: Secret32,
    /// Authenticates audit entries.
    pub(crate) audit: Secret32,
    /// The Ed25519 seed of audit checkpoints.
    pub(crate) audit_checkpoint: Secret32,
}

impl Secrets {
    /// Opens the secrets of `key_set`, making those that are not there yet.
    pub(crate) fn open(tx: &Tx<'_>, vault: &Vault, key_set: &str, now: UnixTime) -> Result<Self, StoreError> {
        let secret = |name: &str| vault.secret(tx, name, now);
        Ok(Self {
            challenge: secret("challenge")?,
            answer: secret("answer")?,
            arc: secret("arc")?,
            feed: secret("feed")?,
            verdict: secret(&format!("verdict/{key_set}"))?,
            device_salt: secret(&format!("device-salt/{key_set}"))?,
            audit: secret("audit")?,
            audit_checkpoint: secret("audit-checkpoint")?,
        })
    }

    /// Whether a service of `key_set` has been started on this database.
    pub(crate) fn are_there(tx: &Tx<'_>, key_set: &str) -> Result<bool, StoreError> {
        let name = format!("device-salt/{key_set}");
        Ok(tx.row("SELECT created FROM secrets WHERE name = $1", values![name])?.is_some())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secrets([redacted])")
    }
}
