//! In: the database, the unlock key. Out: every secret of the service, in the clear and in memory. What is proven: each
//! was made exactly once, at the first start that needed it, sealed before it was stored, and opens under the unlock key
//! given now. None is ever ephemeral: a restart changes no key, no device id, no support code.
//!
//! | secret | held by | for |
//! | --- | --- | --- |
//! | signing keys, decoy keys | service, gateways of the audience | result tokens |
//! | verdict key | service, gateways | the claim `asv` |
//! | challenge key | service | the MAC of challenges |
//! | arc key | service | the claim `arc` |
//! | device-id salt | service | `did` |
//! | feed key | service (gateways: its public half) | the key-set document |
//!
//! No two are derived from one another.

use std::{cell::Cell, fmt, path::PathBuf};

use attest_core::{
    b64u,
    random::{NoRandomness, Random, array},
    time::UnixTime,
    token::{Algorithm, issue::SigningKey},
};
use keystore::{
    MasterKey,
    envelope::{self, EnvelopeError},
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use zeroize::Zeroizing;

use crate::store::StoreError;

/// A signing secret in the clear, wiped when dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;
/// A secret of 32 bytes in the clear, wiped when dropped.
pub(crate) type Secret32 = Zeroizing<[u8; 32]>;

/// Bytes of an HMAC key: the block of SHA-256, twice the least that HS256 takes, enough for HS512 (RFC 7518, 3.2).
const HMAC_BYTES: usize = 64;

/// Why the secrets can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The unlock key is another one than at the first start.
    #[error(
        "the unlock key {} (id {given}) is not the one that sealed this state (id {sealed_with}): point \
         attestation.serve.unlock at that key; without it this state can't be opened, and a new state folder means new keys",
        path.display()
    )]
    WrongUnlockKey {
        /// The file the key was read from.
        path: PathBuf,
        /// The id of the key that was given.
        given: String,
        /// The id of the key that sealed the secrets.
        sealed_with: String,
    },
    /// A secret is sealed by the right key and does not open: the database was changed by hand.
    #[error("the secret {name} in the database does not open: {source}")]
    Damaged {
        /// Its name.
        name: String,
        /// What the envelope says.
        source: EnvelopeError,
    },
    /// The system gave no random bytes or made no key.
    #[error("no random bytes from the operating system")]
    NoRandomness(#[from] NoRandomness),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SecretsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Every secret of the service. `Debug` prints none.
pub(crate) struct Secrets {
    /// The MAC key of challenges.
    pub(crate) challenge: Secret32,
    /// The AES key of support codes.
    pub(crate) arc: Secret32,
    /// The Ed25519 seed of the key-set document.
    pub(crate) feed: Secret32,
    /// The key of `asv`, of this key set.
    pub(crate) verdict: Secret32,
    /// The salt of device ids, of this key set.
    pub(crate) device_salt: Secret32,
    /// The signing keys of this key set that gateways have to know, the one that signs first.
    pub(crate) signing: Vec<StoredKey>,
}

/// A signing key and its decoy.
pub(crate) struct StoredKey {
    /// Its name in token headers.
    pub(crate) kid: String,
    /// What it signs with.
    pub(crate) algorithm: Algorithm,
    /// Whether it signs; else it is only verified with.
    pub(crate) active: bool,
    /// The HMAC secret, or the PKCS #8 form of a P-256 key.
    pub(crate) secret: Secret,
    /// What failed apps' tokens are signed with; absent for P-256.
    pub(crate) decoy: Option<Secret>,
}

/// Where secrets come from.
pub(crate) struct Source<'a> {
    /// Seals and opens them.
    pub(crate) master: &'a MasterKey,
    /// Where it was read from, for messages.
    pub(crate) master_path: PathBuf,
    /// Makes them.
    pub(crate) random: &'a dyn Random,
    /// Dates them.
    pub(crate) now: UnixTime,
}

impl Secrets {
    /// Opens the secrets of `key_set`, making those that are not there yet: all in one transaction.
    ///
    /// # Errors
    /// `WrongUnlockKey`; `Damaged`; `NoRandomness`; `Store`. Then nothing was written.
    pub(crate) fn open(
        connection: &mut Connection,
        key_set: &str,
        algorithm: Algorithm,
        source: &Source<'_>,
    ) -> Result<Self, SecretsError> {
        // Immediate: of two first starts at once, one makes the secrets and the other finds them.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (secrets, _) = Self::find_or_make(&transaction, key_set, algorithm, source)?;
        transaction.commit()?;
        Ok(secrets)
    }

    /// The secrets of `key_set`, where all of them are there; nothing is written.
    ///
    /// # Errors
    /// As [`Secrets::open`].
    pub(crate) fn read(
        connection: &mut Connection,
        key_set: &str,
        algorithm: Algorithm,
        source: &Source<'_>,
    ) -> Result<Option<Self>, SecretsError> {
        // Never committed: what is made where something is missing is thrown away.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (secrets, made) = Self::find_or_make(&transaction, key_set, algorithm, source)?;
        Ok(if made { None } else { Some(secrets) })
    }

    /// The secrets, and whether any of them had to be made.
    fn find_or_make(
        transaction: &Transaction<'_>,
        key_set: &str,
        algorithm: Algorithm,
        source: &Source<'_>,
    ) -> Result<(Self, bool), SecretsError> {
        let chest = Chest { transaction, source, made: Cell::new(false) };
        chest.check_master()?;
        let secrets = Self {
            challenge: chest.secret("challenge")?,
            arc: chest.secret("arc")?,
            feed: chest.secret("feed")?,
            verdict: chest.secret(&format!("verdict/{key_set}"))?,
            device_salt: chest.secret(&format!("device-salt/{key_set}"))?,
            signing: chest.signing_keys(key_set, algorithm)?,
        };
        Ok((secrets, chest.made.get()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secrets([redacted])")
    }
}

struct Chest<'a> {
    transaction: &'a Transaction<'a>,
    source: &'a Source<'a>,
    made: Cell<bool>,
}

impl Chest<'_> {
    /// The first start writes down which key seals; every later one compares.
    fn check_master(&self) -> Result<(), SecretsError> {
        let given = self.source.master.id();
        self.transaction.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('unlock_key_id', ?1)", [&given])?;
        let sealed_with: String =
            self.transaction.query_row("SELECT value FROM meta WHERE key = 'unlock_key_id'", [], |row| row.get(0))?;
        if sealed_with == given {
            return Ok(());
        }
        Err(SecretsError::WrongUnlockKey { path: self.source.master_path.clone(), given, sealed_with })
    }

    fn secret(&self, name: &str) -> Result<Secret32, SecretsError> {
        let sealed: Option<Vec<u8>> = self
            .transaction
            .query_row("SELECT sealed FROM secrets WHERE name = ?1", [name], |row| row.get(0))
            .optional()?;
        if let Some(sealed) = sealed {
            let secret = self.unseal(name, &sealed)?;
            let secret = <[u8; 32]>::try_from(secret.as_slice());
            return secret.map(Zeroizing::new).map_err(|_| StoreError::Damaged { what: "a secret's length" }.into());
        }
        self.made.set(true);
        let mut secret = Zeroizing::new([0; 32]);
        self.source.random.fill(&mut *secret)?;
        self.transaction.execute(
            "INSERT INTO secrets (name, sealed, created) VALUES (?1, ?2, ?3)",
            params![name, self.seal(name, &*secret)?, self.source.now.millis()],
        )?;
        Ok(secret)
    }

    /// The keys of `key_set` that gateways have to know: the one that signs, made where there is none, and those of the
    /// same family that signed before it.
    fn signing_keys(&self, key_set: &str, algorithm: Algorithm) -> Result<Vec<StoredKey>, SecretsError> {
        self.transaction.execute(
            "UPDATE signing_keys SET state = 'retiring' WHERE key_set = ?1 AND algorithm <> ?2 AND state = 'active'",
            params![key_set, algorithm.as_str()],
        )?;
        // A key that comes back into use goes on under its name; otherwise one is made.
        let revived = self.transaction.execute(
            "UPDATE signing_keys SET state = 'active' WHERE kid = (
                SELECT kid FROM signing_keys WHERE key_set = ?1 AND algorithm = ?2 AND state <> 'next'
                ORDER BY state = 'active' DESC, created DESC LIMIT 1)",
            params![key_set, algorithm.as_str()],
        )?;
        if revived == 0 {
            self.make_signing_key(key_set, algorithm)?;
        }
        self.load_signing_keys(key_set, algorithm)
    }

    fn make_signing_key(&self, key_set: &str, algorithm: Algorithm) -> Result<(), SecretsError> {
        self.made.set(true);
        let kid = b64u::encode(&array::<9>(self.source.random)?);
        let (secret, decoy) = match algorithm {
            hmac if hmac.is_hmac() => (self.hmac_secret()?, Some(self.hmac_secret()?)),
            private => (SigningKey::generate_pkcs8(private).map_err(|_| NoRandomness)?, None),
        };
        let decoy = decoy.map(|decoy| self.seal(&key_name(key_set, &kid, "decoy"), &decoy)).transpose()?;
        self.transaction.execute(
            "INSERT INTO signing_keys (kid, key_set, algorithm, state, secret, decoy, created)
             VALUES (?1, ?2, ?3, 'active', ?4, ?5, ?6)",
            params![
                kid,
                key_set,
                algorithm.as_str(),
                self.seal(&key_name(key_set, &kid, "secret"), &secret)?,
                decoy,
                self.source.now.millis()
            ],
        )?;
        Ok(())
    }

    fn load_signing_keys(&self, key_set: &str, algorithm: Algorithm) -> Result<Vec<StoredKey>, SecretsError> {
        type Row = (String, String, String, Vec<u8>, Option<Vec<u8>>);
        let mut statement = self.transaction.prepare(
            "SELECT kid, algorithm, state, secret, decoy FROM signing_keys WHERE key_set = ?1
             ORDER BY state = 'active' DESC, created DESC",
        )?;
        let rows: Vec<Row> = statement
            .query_map([key_set], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
            .collect::<Result<_, _>>()?;
        let mut keys = Vec::with_capacity(rows.len());
        for (kid, stored, state, secret, decoy) in rows {
            let stored = parse(&stored).ok_or(StoreError::Damaged { what: "a signing key's algorithm" })?;
            // A key set conceals in one way: HMAC keys and P-256 keys never stand in one document.
            if stored.is_hmac() != algorithm.is_hmac() {
                continue;
            }
            keys.push(StoredKey {
                algorithm: stored,
                active: state == "active",
                secret: self.unseal(&key_name(key_set, &kid, "secret"), &secret)?,
                decoy: decoy.map(|decoy| self.unseal(&key_name(key_set, &kid, "decoy"), &decoy)).transpose()?,
                kid,
            });
        }
        Ok(keys)
    }

    fn hmac_secret(&self) -> Result<Secret, NoRandomness> {
        let mut secret = Zeroizing::new(vec![0; HMAC_BYTES]);
        self.source.random.fill(&mut secret)?;
        Ok(secret)
    }

    fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, SecretsError> {
        envelope::seal(self.source.master, purpose(name).as_bytes(), secret, self.source.random)
            .map_err(|source| SecretsError::Damaged { name: name.to_owned(), source })
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Secret, SecretsError> {
        envelope::open(self.source.master, purpose(name).as_bytes(), sealed)
            .map_err(|source| SecretsError::Damaged { name: name.to_owned(), source })
    }
}

/// What a box is for; a box put in another one's place does not open.
fn purpose(name: &str) -> String {
    format!("attest-service/{name}")
}

fn key_name(key_set: &str, kid: &str, part: &str) -> String {
    format!("signing-key/{key_set}/{kid}/{part}")
}

fn parse(word: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == word)
}

#[cfg(test)]
mod tests;
