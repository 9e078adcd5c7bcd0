//! In: a database, the unlock key, who asks. Out: changes and listings. What is proven: every change is one transaction
//! with its audit entry, under the writers' lock; running services learn of it by the generation that it raises.

use std::{
    cell::Cell,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use attest_core::{
    random::Random,
    time::{Clock, UnixTime},
};
use keystore::MasterKey;
use serde_json::Value as Json;
use settings::TokenSettings;

use crate::{
    actor::{Actor, Role},
    audit, check,
    database::Database,
    error::{OpenError, StoreError},
    issuer::Issuer,
    keys,
    live::{Live, Shared},
    secrets::{Secret32, Secrets, Vault},
    sql::{Connection, Pool, Tx, migrations, values},
};

/// What a store is opened with.
pub struct Opening<'a> {
    /// Where it is.
    pub database: Database,
    /// The unlock key: seals every secret in it.
    pub master: MasterKey,
    /// Where that was read from, for messages.
    pub master_path: PathBuf,
    /// What tokens say and how they are signed.
    pub token: &'a TokenSettings,
    /// How long gateways may serve key sets stale: a key is published at least as long before it signs.
    pub keys_stale: Duration,
    /// Makes secrets.
    pub random: Arc<dyn Random>,
    /// Dates everything.
    pub clock: Arc<dyn Clock>,
    /// The name of this process's audit chain, such as `service@host`: 1 to 64 characters A-Z a-z 0-9 . _ + - @.
    pub writer: String,
}

/// The durable state. Cheap to clone. Calls block.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) vault: Vault,
    pub(crate) secrets: Secrets,
    pub(crate) token: TokenSettings,
    pub(crate) keys_stale: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) writer: String,
    /// The running view of this process, told at once of each change.
    running: Mutex<Weak<Shared>>,
}

impl Store {
    /// Opens the store, and makes what a first start needs: database, tables, secrets, a key that signs and the next one.
    /// Two first starts at once make it once.
    ///
    /// # Errors
    /// [`OpenError`]; then no secret was written.
    pub fn open(opening: Opening<'_>) -> Result<Self, OpenError> {
        check::name("writer", &opening.writer.replace('@', "."))?;
        let connection = opening.database.connect()?;
        migrations::migrate(&connection)?;
        let vault = Vault { master: opening.master, master_path: opening.master_path, random: opening.random };
        let now = opening.clock.now();
        let mut wrong = None;
        let secrets = connection.write(|tx| {
            if let Err(error) = vault.check_master(tx) {
                return Err(store_error(error, &mut wrong));
            }
            let secrets = Secrets::open(tx, &vault, &opening.token.key_set, now)?;
            keys::make_missing(tx, &vault, opening.token, now)?;
            Ok(secrets)
        });
        let secrets = match (secrets, wrong) {
            (_, Some(wrong)) => return Err(wrong),
            (secrets, None) => secrets?,
        };
        Ok(Self(Arc::new(Inner {
            pool: Pool::new(opening.database),
            vault,
            secrets,
            token: opening.token.clone(),
            keys_stale: opening.keys_stale,
            clock: opening.clock,
            writer: opening.writer,
            running: Mutex::new(Weak::new()),
        })))
    }

    /// The store of a service that was started before; absent where none was, and then nothing is written or made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn find(opening: Opening<'_>) -> Result<Option<Self>, OpenError> {
        if !opening.database.exists()? {
            return Ok(None);
        }
        let connection = opening.database.connect()?;
        if !connection.read(migrations::is_there)? {
            return Ok(None);
        }
        migrations::migrate(&connection)?;
        let key_set = opening.token.key_set.as_str();
        if !connection.read(|tx| Secrets::are_there(tx, key_set))? {
            return Ok(None);
        }
        drop(connection);
        Self::open(opening).map(Some)
    }

    /// Starts the running view: takes up what the configuration asks of the keys, loads the first snapshot, and starts a
    /// thread that keeps it. A command that only opens the store, with whatever configuration, changes no key.
    ///
    /// # Errors
    /// [`StoreError`] where the database can't be read or no thread can be had.
    pub fn live(&self) -> Result<Live, StoreError> {
        self.0.pool.with(|connection| self.0.change(connection, &Actor::service(), keys::follow_configuration))?;
        let live = Live::start(self)?;
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = live.downgrade();
        Ok(live)
    }

    /// The MAC key of challenges.
    #[must_use]
    pub fn challenge_key(&self) -> &Secret32 {
        &self.0.secrets.challenge
    }

    /// The salt of device ids.
    #[must_use]
    pub fn device_salt(&self) -> &Secret32 {
        &self.0.secrets.device_salt
    }

    /// The key under which answers are sealed before they are kept in shared state.
    #[must_use]
    pub fn answer_key(&self) -> &Secret32 {
        &self.0.secrets.answer
    }

    /// What signs as the database says now, for a command that needs it once; a running service has it in its snapshot.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn issuer(&self) -> Result<Arc<Issuer>, StoreError> {
        self.read(|tx| Issuer::load(tx, &self.0)).map(|(_, issuer)| issuer)
    }

    /// What tokens say, as the store was opened with.
    #[must_use]
    pub fn token_settings(&self) -> &TokenSettings {
        &self.0.token
    }

    /// Runs `work` on one state of the database.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.pool.with(|connection| connection.read(work))
    }

    /// Runs `work` as one change by `actor`, who needs the role `needs` for `app`; running services learn of it, the one
    /// of this process before this returns.
    pub(crate) fn change<T>(
        &self,
        actor: &Actor,
        (needs, app): (Role, Option<&str>),
        work: impl FnOnce(&Change<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        actor.may(needs, app)?;
        let (value, told) = self.0.pool.with(|connection| self.0.change(connection, actor, work))?;
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let (true, Some(running)) = (told, running) {
            running.refresh();
        }
        Ok(value)
    }
}

impl Inner {
    /// One change; and whether running services have to learn of it.
    pub(crate) fn change<T>(
        &self,
        connection: &Connection,
        actor: &Actor,
        work: impl FnOnce(&Change<'_>) -> Result<T, StoreError>,
    ) -> Result<(T, bool), StoreError> {
        connection.write(|tx| {
            let change = Change { tx, now: self.clock.now(), actor, inner: self, touched: Cell::new(false) };
            let value = work(&change)?;
            let touched = change.touched.get();
            if touched {
                count_up(tx, "generation", 1)?;
            }
            Ok((value, touched))
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Store").field(self.0.pool.database()).finish()
    }
}

/// What of the snapshot a change touches.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Builds,
    Marks,
    MarksRemoved,
    Keys,
    Revocations,
    RevocationsPruned,
}

impl Part {
    /// The counter that rises with it.
    pub(crate) const fn counter(self) -> &'static str {
        match self {
            Self::Builds => "builds_changed",
            Self::Marks => "marks_changed",
            Self::MarksRemoved => "marks_removed",
            Self::Keys => "keys_changed",
            Self::Revocations => "revocation_number",
            Self::RevocationsPruned => "revocations_pruned",
        }
    }
}

/// A change under way.
pub(crate) struct Change<'a> {
    /// Its transaction.
    pub(crate) tx: &'a Tx<'a>,
    /// Its date.
    pub(crate) now: UnixTime,
    /// Who makes it.
    pub(crate) actor: &'a Actor,
    /// The store.
    pub(crate) inner: &'a Inner,
    touched: Cell<bool>,
}

impl Change<'_> {
    /// Says that running services have to learn of it; the counter's new value.
    pub(crate) fn touch(&self, part: Part) -> Result<i64, StoreError> {
        self.touched.set(true);
        count_up(self.tx, part.counter(), 1)
    }

    /// Writes the audit entry that goes with it.
    pub(crate) fn audit(&self, action: &str, target: &str, detail: &Json) -> Result<(), StoreError> {
        let line = audit::Line { at: self.now, actor: self.actor, action, target, detail: &detail.to_string() };
        audit::append(self.tx, self.inner, &line)
    }
}

/// Raises a counter; its new value.
pub(crate) fn count_up(tx: &Tx<'_>, name: &str, by: i64) -> Result<i64, StoreError> {
    tx.row("UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value", values![name, by])?
        .ok_or(StoreError::Damaged { what: "a counter" })?
        .int(0)
}

/// A counter's value.
pub(crate) fn counter(tx: &Tx<'_>, name: &str) -> Result<i64, StoreError> {
    tx.row("SELECT value FROM counters WHERE name = $1", values![name])?
        .ok_or(StoreError::Damaged { what: "a counter" })?
        .int(0)
}

/// Keeps `error` where it is not the store's own, and hands back one that undoes the transaction.
fn store_error(error: OpenError, kept: &mut Option<OpenError>) -> StoreError {
    match error {
        OpenError::Store(error) => error,
        other => {
            *kept = Some(other);
            StoreError::Refused { why: "the unlock key is another one" }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
