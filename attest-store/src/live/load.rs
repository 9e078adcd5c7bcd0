//! In: a connection, and what was loaded before. Out: the next snapshot. What is proven: it is read in one transaction; what
//! did not change is shared with the one before, and of marks and revocations only the news are read.

use std::sync::Arc;

use attest_core::{appraisal::DeviceState, feed::Order};

use super::{
    RevocationLog, Snapshot,
    snapshot::{Builds, Marks},
};
use crate::{
    apps, devices,
    error::StoreError,
    issuer::Issuer,
    keys::KeyRing,
    orders, revocations,
    sql::{Connection, Tx, values},
    store::{Part, Store, count_up, counter},
};

/// Loads snapshots.
pub(super) struct Loader {
    store: Store,
    last: Option<Loaded>,
}

/// What was loaded, and the counters it was loaded at.
#[derive(Clone)]
struct Loaded {
    counters: Counters,
    builds: Arc<Builds>,
    marks: Arc<Marks>,
    revocations: Arc<RevocationLog>,
    orders: Arc<[Order]>,
    keys: Arc<KeyRing>,
    issuer: Arc<Issuer>,
    key_set: Numbered,
}

/// The key-set document: what it says, and the number that goes with it; 0 while it has none.
#[derive(Clone, Copy)]
struct Numbered {
    digest: [u8; 32],
    number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Counters {
    generation: i64,
    builds: i64,
    marks: i64,
    marks_removed: i64,
    keys: i64,
    revocations: i64,
    revocations_pruned: i64,
    key_set: i64,
}

/// The counter of key-set documents.
const KEY_SET_NUMBER: &str = "key_set_number";

impl Loader {
    pub(super) fn new(store: Store) -> Self {
        Self { store, last: None }
    }

    /// The next snapshot; none where nothing changed.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<Option<Snapshot>, StoreError> {
        loop {
            let last = self.last.as_ref();
            let loaded = connection.read(|tx| {
                let counters = Counters::load(tx)?;
                if last.is_some_and(|last| last.counters == counters) {
                    return Ok(None);
                }
                self.read(tx, counters).map(Some)
            })?;
            let Some(mut loaded) = loaded else { return Ok(None) };
            if loaded.key_set.number == 0 {
                let Some(number) = number(connection, &loaded)? else { continue };
                loaded.counters.key_set = number;
                loaded.key_set.number = not_negative(number)?;
            }
            let snapshot = loaded.snapshot();
            self.last = Some(loaded);
            return Ok(Some(snapshot));
        }
    }

    /// Reads the parts whose counters rose. A generation that went back is a backup that was restored: all is read anew.
    fn read(&self, tx: &Tx<'_>, now: Counters) -> Result<Loaded, StoreError> {
        let last = self.last.as_ref().filter(|last| now.generation >= last.counters.generation);
        let inner = &self.store.0;
        let (keys, issuer) = match last {
            Some(last) if last.counters.keys == now.keys => (Arc::clone(&last.keys), Arc::clone(&last.issuer)),
            _ => Issuer::load(tx, inner)?,
        };
        let builds = match last {
            Some(last) if last.counters.builds == now.builds => Arc::clone(&last.builds),
            _ => Arc::new(load_builds(tx)?),
        };
        let known = last.filter(|last| last.counters.marks_removed == now.marks_removed);
        let marks = match known {
            Some(last) if last.counters.marks == now.marks => Arc::clone(&last.marks),
            Some(last) => Arc::new(load_marks(tx, (*last.marks).clone(), last.counters.marks)?),
            None => Arc::new(load_marks(tx, Marks::new(), 0)?),
        };
        let number =
            u64::try_from(now.revocations).map_err(|_| StoreError::Damaged { what: "the revocation log's number" })?;
        let known = last.filter(|last| last.counters.revocations_pruned == now.revocations_pruned);
        let revocations = match known {
            Some(last) if last.counters.revocations == now.revocations => Arc::clone(&last.revocations),
            Some(last) => {
                Arc::new(last.revocations.and(revocations::load_after(tx, last.counters.revocations)?, number))
            }
            None => Arc::new(RevocationLog::default().and(revocations::load_after(tx, 0)?, number)),
        };
        let orders = match last {
            Some(last) if last.counters.revocations == now.revocations => Arc::clone(&last.orders),
            _ => orders::load(tx, inner.clock.now())?.into(),
        };
        let key_set = key_set(tx, last, &issuer, now)?;
        Ok(Loaded { counters: now, builds, marks, revocations, orders, keys, issuer, key_set })
    }
}

/// The key-set document of `issuer`, and the number that it has by now.
fn key_set(tx: &Tx<'_>, last: Option<&Loaded>, issuer: &Arc<Issuer>, now: Counters) -> Result<Numbered, StoreError> {
    let Some(last) = last.filter(|last| Arc::ptr_eq(&last.issuer, issuer)) else {
        return Ok(Numbered { digest: issuer.content_digest()?, number: 0 });
    };
    // Another replica gave a number to the same document: it is this one's too, for gateways take no lower one.
    if last.counters.key_set != now.key_set && is_latest(tx, &last.key_set.digest)? {
        return Ok(Numbered { number: not_negative(now.key_set)?, ..last.key_set });
    }
    Ok(last.key_set)
}

/// Whether the key-set document of this digest is the one that was given the latest number.
fn is_latest(tx: &Tx<'_>, digest: &[u8; 32]) -> Result<bool, StoreError> {
    let row = tx.row("SELECT value FROM labels WHERE name = 'key_set_digest'", &[])?;
    Ok(row.map_or(Ok(None), |row| row.opt_blob(0))?.as_deref() == Some(digest))
}

/// The number of the key-set document that `loaded` leads to: raised when its content is another one than before, also
/// when the configuration has made it so. None where the keys have changed since: what is out of date gets no number
/// above what is not.
fn number(connection: &Connection, loaded: &Loaded) -> Result<Option<i64>, StoreError> {
    let digest = &loaded.key_set.digest;
    connection.write(|tx| {
        if counter(tx, Part::Keys.counter())? != loaded.counters.keys {
            return Ok(None);
        }
        if is_latest(tx, digest)? {
            return counter(tx, KEY_SET_NUMBER).map(Some);
        }
        tx.execute(
            "INSERT INTO labels (name, value) VALUES ('key_set_digest', $1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            values![*digest],
        )?;
        count_up(tx, KEY_SET_NUMBER, 1).map(Some)
    })
}

fn not_negative(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged { what: "the key-set number" })
}

impl Loaded {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.counters.generation,
            key_set_number: self.key_set.number,
            revocation_number: self.revocations.number(),
            keys: Arc::clone(&self.keys),
            issuer: Arc::clone(&self.issuer),
            revocations: Arc::clone(&self.revocations),
            orders: Arc::clone(&self.orders),
            builds: Arc::clone(&self.builds),
            marks: Arc::clone(&self.marks),
        }
    }
}

impl Counters {
    fn load(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let rows = tx.rows("SELECT name, value FROM counters", &[])?;
        let mut all = std::collections::HashMap::with_capacity(rows.len());
        for row in rows {
            all.insert(row.text(0)?, row.int(1)?);
        }
        let of = |name: &str| all.get(name).copied().ok_or(StoreError::Damaged { what: "a counter" });
        Ok(Self {
            generation: of("generation")?,
            builds: of(Part::Builds.counter())?,
            marks: of(Part::Marks.counter())?,
            marks_removed: of(Part::MarksRemoved.counter())?,
            keys: of(Part::Keys.counter())?,
            revocations: of(Part::Revocations.counter())?,
            revocations_pruned: of(Part::RevocationsPruned.counter())?,
            key_set: of(KEY_SET_NUMBER)?,
        })
    }
}

fn load_builds(tx: &Tx<'_>) -> Result<Builds, StoreError> {
    let mut builds = Builds::new();
    for build in apps::load(tx)? {
        builds.entry(build.app.clone()).or_default().push(build);
    }
    Ok(builds)
}

fn load_marks(tx: &Tx<'_>, mut marks: Marks, after: i64) -> Result<Marks, StoreError> {
    for (device, mark) in devices::load_marks(tx, after)? {
        if mark.state == DeviceState::Normal && mark.enrolled_until.is_none() {
            marks.remove(&device);
        } else {
            marks.insert(device, mark);
        }
    }
    Ok(marks)
}
