//! In: the state folder, and what happened to devices. Out: a snapshot of all that appraisal reads, in memory, swapped
//! whole when the registry changes. What is proven: a reader sees one generation, never half of two; what the registry
//! acknowledged is on disk (WAL, `synchronous=FULL`) and opens again after a kill at any instruction.
//!
//! One thread owns the connection. It writes device tallies in batches, after the answers they belong to have left, and
//! looks several times a second whether another process has raised the generation (`assay app register`).

use std::{
    collections::HashMap,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use attest_core::{
    appraisal::DeviceState,
    reference::Build,
    time::{Clock, UnixTime},
};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) mod apps;
pub(crate) mod devices;
mod migrations;

use self::devices::{Batch, DeviceId, Mark};

/// The database's name in the state folder.
const FILE: &str = "assay.db";
/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// How often the generation is looked at: what another process registers holds well within a second.
const POLL: Duration = Duration::from_millis(250);
/// How long tallies wait for company, and how many devices make a full batch.
const FLUSH: Duration = Duration::from_millis(200);
const FULL_BATCH: usize = 1024;
/// Tallies on their way to the thread; more are dropped and counted.
const QUEUE: usize = 8192;
/// How often long unseen devices are forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// Why the state folder can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder or the file can't be made or opened.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// Something else stands where the database is, or it was damaged.
    #[error("{} is not a database that Assay can read: restore it from your backup, or move it away to begin anew", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer Assay has written the database.
    #[error("the database has format {version}, which a newer Assay has written: run that one, or restore a backup")]
    FromTheFuture {
        /// Its `user_version`.
        version: i64,
    },
    /// A row can't be read.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Which value.
        what: &'static str,
    },
    /// A live build of the same name has another measurement.
    #[error("registered already with another measurement")]
    AnotherMeasurement,
}

/// Opens, and on first use makes, the database of `state_dir`: readable by its owner alone, brought to today's shape.
///
/// # Errors
/// `Path` names what can't be used; `FromTheFuture` and `Database` as they say.
pub(crate) fn open(state_dir: &Path) -> Result<Connection, StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(|source| StoreError::Path { path: state_dir.to_owned(), source })?;
    let path = state_dir.join(FILE);
    // SQLite would make it readable by others; its journal files take this file's mode.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(StoreError::Path { path, source }),
    }
    connect(&path).map_err(|error| match error {
        StoreError::Database(error) if is_damage(&error) => StoreError::NotADatabase { path },
        other => other,
    })
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrations::migrate(&mut connection)?;
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt))
}

/// Whether a database was ever made in `state_dir`.
pub(crate) fn exists(state_dir: &Path) -> bool {
    state_dir.join(FILE).is_file()
}

/// Runs `change` in one transaction and raises the generation when it says that something changed.
///
/// # Errors
/// What `change` or SQLite says; then nothing was written.
pub(crate) fn change<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<(T, bool), StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (value, changed) = change(&transaction)?;
    if changed {
        transaction.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'", [])?;
    }
    transaction.commit()?;
    Ok(value)
}

/// All that appraisal reads of the database, of one generation.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Rises with every change of the registry.
    pub(crate) generation: i64,
    /// The number of the key-set document that goes with it.
    pub(crate) key_set_number: u64,
    builds: HashMap<String, Vec<Build>>,
    marks: HashMap<DeviceId, Mark>,
}

impl Snapshot {
    /// The builds registered for `app`; none for an app that nobody registered.
    pub(crate) fn builds(&self, app: &str) -> &[Build] {
        self.builds.get(app).map_or(&[], Vec::as_slice)
    }

    /// The state of `device` at `now`.
    pub(crate) fn device_state(&self, device: &DeviceId, now: UnixTime) -> DeviceState {
        self.marks.get(device).map_or(DeviceState::Normal, |mark| mark.at(now))
    }

    /// The devices whose tokens gateways must refuse, in order: banned for good (a ban that ends by itself is left to
    /// the appraisal, so that the document has no clock in it).
    pub(crate) fn banned(&self) -> Vec<DeviceId> {
        let banned = |mark: &Mark| mark.state == DeviceState::Banned && mark.until.is_none();
        let mut devices: Vec<_> = self.marks.iter().filter(|(_, mark)| banned(mark)).map(|(id, _)| *id).collect();
        devices.sort_unstable();
        devices
    }
}

/// The digest of what the key-set document would say of a snapshot: its number rises when this changes.
pub(crate) type ContentDigest = Box<dyn Fn(&Snapshot) -> [u8; 32] + Send>;

enum Command {
    Count { device: DeviceId, passed: bool, at: UnixTime },
    Refresh(mpsc::Sender<()>),
}

/// The running store: a thread that owns the connection, and the snapshot it keeps.
pub(crate) struct Store {
    snapshot: Arc<ArcSwap<Snapshot>>,
    commands: SyncSender<Command>,
    readable: Arc<AtomicBool>,
    dropped: AtomicU64,
    thread: JoinHandle<()>,
}

impl Store {
    /// Loads the first snapshot from `connection` and starts the thread.
    ///
    /// # Errors
    /// `Database` or `Damaged` where the snapshot can't be read; `Path` where no thread can be had.
    pub(crate) fn start(
        mut connection: Connection,
        content_digest: ContentDigest,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let snapshot = Arc::new(ArcSwap::from_pointee(load(&mut connection, &content_digest)?));
        let readable = Arc::new(AtomicBool::new(true));
        let (commands, inbox) = mpsc::sync_channel(QUEUE);
        let mut writer = Writer {
            connection,
            content_digest,
            clock,
            snapshot: Arc::clone(&snapshot),
            readable: Alarm(Arc::clone(&readable)),
            batch: Batch::default(),
        };
        let thread = std::thread::Builder::new()
            .name("assay-store".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|source| StoreError::Path { path: PathBuf::from("a thread for the store"), source })?;
        Ok(Self { snapshot, commands, readable, dropped: AtomicU64::new(0), thread })
    }

    /// The snapshot of now.
    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Whether the database could be read when last looked at. Where it can't, no token is issued.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    /// Counts an attestation of `device`. Never waits.
    pub(crate) fn count(&self, device: DeviceId, passed: bool, at: UnixTime) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.commands.try_send(Command::Count { device, passed, at })
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Attestations that were not counted because the database was slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes over what the registry has changed; returns when the snapshot shows it (or the thread is gone).
    pub(crate) fn refresh(&self) {
        let (done, wait) = mpsc::channel();
        if self.commands.send(Command::Refresh(done)).is_ok() {
            let _ = wait.recv_timeout(BUSY);
        }
    }

    /// Writes what is left and ends the thread.
    pub(crate) fn close(self) {
        drop(self.commands);
        let _ = self.thread.join();
    }
}

/// Turns off `readable` when the thread ends, however it ends.
struct Alarm(Arc<AtomicBool>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct Writer {
    connection: Connection,
    content_digest: ContentDigest,
    clock: Arc<dyn Clock>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    readable: Alarm,
    batch: Batch,
}

impl Writer {
    fn run(&mut self, inbox: &mpsc::Receiver<Command>) {
        let start = Instant::now();
        let (mut next_poll, mut next_flush, mut next_forget) = (start + POLL, start + FLUSH, start);
        loop {
            let now = Instant::now();
            let next = if self.batch.len() > 0 { next_poll.min(next_flush) } else { next_poll };
            match inbox.recv_timeout(next.saturating_duration_since(now)) {
                Ok(Command::Count { device, passed, at }) => {
                    if self.batch.len() == 0 {
                        next_flush = Instant::now() + FLUSH;
                    }
                    self.batch.count(device, passed, at);
                }
                Ok(Command::Refresh(done)) => {
                    self.flush();
                    self.poll();
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
            let now = Instant::now();
            if now >= next_flush || self.batch.len() >= FULL_BATCH {
                self.flush();
                next_flush = now + FLUSH;
            }
            if now >= next_poll {
                self.poll();
                next_poll = now + POLL;
            }
            if now >= next_forget {
                if let Err(error) = devices::forget_unseen(&self.connection, self.clock.now()) {
                    tracing::warn!(target: "assay::store", %error, "long unseen devices could not be forgotten");
                }
                next_forget = now + FORGET;
            }
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.batch.write(&mut self.connection) {
            tracing::warn!(target: "assay::store", %error, "device counters could not be written");
        }
    }

    /// Takes over a new generation, and tells whether the database can be read at all.
    fn poll(&mut self) {
        let seen = self.snapshot.load().generation;
        let outcome = generation(&self.connection).and_then(|generation| {
            if generation != seen {
                self.snapshot.store(Arc::new(load(&mut self.connection, &self.content_digest)?));
                tracing::info!(target: "assay::store", generation, "the registry changed");
            }
            Ok(())
        });
        let was_readable = self.readable.0.swap(outcome.is_ok(), Ordering::Relaxed);
        match outcome {
            Err(error) if was_readable => {
                tracing::error!(target: "assay::store", %error, "the database can't be read: no token is issued");
            }
            Ok(()) if !was_readable => {
                tracing::info!(target: "assay::store", "the database can be read again");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn generation(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("SELECT value FROM meta WHERE key = 'generation'")?.query_row([], |row| row.get(0))?)
}

/// Reads one generation whole, and raises the key-set number when the document it leads to is a new one.
fn load(connection: &mut Connection, content_digest: &ContentDigest) -> Result<Snapshot, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut builds: HashMap<String, Vec<Build>> = HashMap::new();
    for build in apps::load(&transaction)? {
        builds.entry(build.app.clone()).or_default().push(build);
    }
    let mut snapshot = Snapshot {
        generation: generation(&transaction)?,
        key_set_number: 0,
        builds,
        marks: devices::load_marked(&transaction)?,
    };
    let digest = content_digest(&snapshot);
    transaction.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'key_set_number'
         AND (SELECT value FROM meta WHERE key = 'key_set_digest') IS NOT ?1",
        [digest],
    )?;
    transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'key_set_digest'", [digest])?;
    let number: i64 =
        transaction.query_row("SELECT value FROM meta WHERE key = 'key_set_number'", [], |row| row.get(0))?;
    snapshot.key_set_number = u64::try_from(number).map_err(|_| StoreError::Damaged { what: "the key-set number" })?;
    transaction.commit()?;
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "not a database, whatever its name says").unwrap();
        let refused = open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()) && refused.contains("backup"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a database, whatever its name says");
    }
}
