//! In: sightings and requests to refresh. Out: rows, and the next snapshot. One loop, one connection; whatever fails is said
//! in the log once, counted, and tried again.

use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{Command, Shared, load::Loader};
use crate::{
    actor::Actor,
    devices::{self, Batch},
    error::StoreError,
    gateways::Reports,
    keys, orders, revocations,
    sql::Connection,
    store::Store,
};

/// How often the generation is looked at: what another process changes holds well within a second.
const POLL: Duration = Duration::from_millis(250);
/// How long sightings wait for company.
const FLUSH: Duration = Duration::from_millis(200);
/// How long gateways' reports wait for company: a gateway costs one row written in such a time.
const FLUSH_REPORTS: Duration = Duration::from_secs(5);
/// How often connecting is tried at the least, while the database is away.
const MAX_BACKOFF: Duration = Duration::from_secs(4);
/// How often what is due by the clock is done: keys change their state.
const CHORES: Duration = Duration::from_secs(5);
/// How often long unseen devices and revocations that are over are forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// The thread's own.
pub(super) struct Writer {
    store: Store,
    connection: Option<Connection>,
    loader: Loader,
    shared: Arc<Shared>,
    batch: Batch,
    in_batch: u64,
    reports: Reports,
    backoff: Duration,
}

/// When each thing is due.
struct Due {
    poll: Instant,
    flush: Instant,
    reports: Instant,
    chores: Instant,
    forget: Instant,
}

impl Writer {
    pub(super) fn new(store: Store, connection: Connection, loader: Loader, shared: Arc<Shared>) -> Self {
        Self {
            store,
            connection: Some(connection),
            loader,
            shared,
            batch: Batch::default(),
            in_batch: 0,
            reports: Reports::default(),
            backoff: POLL,
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Command>) {
        // Where this thread ends, however it ends, no token may be issued any more.
        let shared = Arc::clone(&self.shared);
        let _alarm = Alarm(&shared);
        let start = Instant::now();
        let mut due = Due { poll: start + POLL, flush: start, reports: start, chores: start, forget: start };
        loop {
            let next = if self.batch.is_empty() { due.poll } else { due.poll.min(due.flush) };
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Command::Seen(seen)) => {
                    if self.batch.is_empty() {
                        due.flush = Instant::now() + FLUSH;
                    }
                    self.in_batch += 1;
                    self.batch.count(*seen);
                }
                Ok(Command::Gateway(facts, at)) => {
                    self.reports.put(*facts, at);
                }
                Ok(Command::Refresh(done)) => {
                    self.flush();
                    self.flush_reports();
                    self.poll();
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.flush();
                    self.flush_reports();
                    return;
                }
            }
            self.work(&mut due);
        }
    }

    fn work(&mut self, due: &mut Due) {
        let now = Instant::now();
        if !self.batch.is_empty() && now >= due.flush || self.batch.is_full() {
            self.flush();
        }
        if !self.reports.is_empty() && now >= due.reports {
            self.flush_reports();
            due.reports = now + FLUSH_REPORTS;
        }
        if now >= due.poll {
            self.poll();
            due.poll = Instant::now() + if self.connection.is_some() { POLL } else { self.backoff };
        }
        if now >= due.chores {
            self.try_to("the keys' states could not be looked at", |writer, connection| writer.chores(connection));
            due.chores = now + CHORES;
        }
        if now >= due.forget {
            // Piece by piece: a long list of them must not keep a ban from being seen.
            let mut more = false;
            self.try_to("what is long over could not be forgotten", |writer, connection| {
                more = writer.forget(connection)?;
                Ok(())
            });
            due.forget = now + if more { POLL } else { FORGET };
        }
    }

    /// Writes the batch and empties it, whether that succeeds or not: a database that is away must not grow memory.
    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let sightings = std::mem::take(&mut self.in_batch);
        if batch.is_empty() {
            return;
        }
        let written = self.try_to("device sightings could not be written", |writer, connection| {
            writer.store.0.change(connection, &Actor::service(), |change| batch.write(change)).map(|_| ())
        });
        if !written {
            self.shared.dropped.fetch_add(sightings, Ordering::Relaxed);
        }
    }

    /// Writes gateways' reports and empties them, whether that succeeds or not: each gateway tells again.
    fn flush_reports(&mut self) {
        let reports = std::mem::take(&mut self.reports);
        if !reports.is_empty() {
            self.try_to("what gateways told of themselves could not be written", |writer, connection| {
                let now = writer.store.0.clock.now();
                connection.write(|tx| reports.write(tx, now))
            });
        }
    }

    /// Takes over a new generation, and tells whether the database can be read at all.
    fn poll(&mut self) {
        let outcome = self.load();
        let was_readable = self.shared.looked(outcome.is_ok());
        if let Err(error) = outcome {
            self.connection = None;
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
            if was_readable {
                tracing::error!(target: "assay::store", %error, "the database can't be read: no token is issued");
            }
        } else {
            self.backoff = POLL;
            if !was_readable {
                tracing::info!(target: "assay::store", "the database can be read again");
            }
        }
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.0.pool.database().connect()?,
        };
        if let Some(snapshot) = self.loader.load(&connection)? {
            let generation = snapshot.generation;
            self.shared.snapshot.store(Arc::new(snapshot));
            tracing::info!(target: "assay::store", generation, "the state changed");
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Runs `work` where there is a connection, and says what came of it.
    fn try_to(
        &mut self,
        failed: &'static str,
        work: impl FnOnce(&Self, &Connection) -> Result<(), StoreError>,
    ) -> bool {
        let Some(connection) = self.connection.take() else { return false };
        let outcome = work(self, &connection);
        if connection.is_sound() {
            self.connection = Some(connection);
        }
        if let Err(error) = &outcome {
            tracing::warn!(target: "assay::store", %error, "{failed}");
        }
        outcome.is_ok()
    }

    /// What is due by the clock.
    fn chores(&self, connection: &Connection) -> Result<(), StoreError> {
        let inner = &self.store.0;
        if connection.read(|tx| keys::is_anything_due(tx, inner, inner.clock.now()))? {
            inner.change(connection, &Actor::service(), keys::do_what_is_due)?;
        }
        Ok(())
    }

    /// Forgets some of what is long over; whether there is more.
    fn forget(&self, connection: &Connection) -> Result<bool, StoreError> {
        let inner = &self.store.0;
        if connection.write(|tx| devices::forget_unseen(tx, inner.clock.now()))? {
            return Ok(true);
        }
        connection.write(|tx| orders::prune(tx, inner.clock.now()))?;
        inner.change(connection, &Actor::service(), revocations::prune).map(|_| false)
    }
}

/// Turns off `readable` when dropped.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.looked(false);
    }
}
