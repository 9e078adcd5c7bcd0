//! In: a store, and how attestations end. Out: the snapshot that appraisal reads, and rows. What is proven: a reader sees one
//! generation, never half of two; nobody who attests waits for the database.
//!
//! One thread owns a connection. It looks four times a second whether any process has raised the generation, and then takes
//! over what changed. It writes sightings in batches, after the answers they belong to have left: **a crash, or a database
//! that is away, loses those of the last 200 ms or the last 1024 devices, whichever is less**, and where the database is
//! slower than they come, those that wait for it (8192 at most). They are counters, and nothing that decides reads them.
//! With PostgreSQL away it connects again, after 250 ms, then more slowly, at most 4 s apart.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use attest_core::{feed::GatewayFacts, time::UnixTime};

use crate::{devices::Seen, error::StoreError, store::Store};

mod load;
mod snapshot;
mod thread;

pub use self::snapshot::{RevocationLog, Snapshot};

/// Sightings on their way to the thread; more are dropped and counted.
const QUEUE: usize = 8192;
/// A look at the database that is older says nothing any more: the thread hangs in one that is slow beyond every time-out.
const LOOK_IS_GOOD: Duration = Duration::from_secs(15);
/// How long a change waits for the snapshot to show it.
const REFRESH: Duration = Duration::from_secs(5);

/// The running view of a store.
#[derive(Debug)]
pub struct Live {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and its users share.
pub(crate) struct Shared {
    snapshot: ArcSwap<Snapshot>,
    readable: AtomicBool,
    began: Instant,
    /// When the database was last looked at, in milliseconds since `began`.
    looked: AtomicU64,
    dropped: AtomicU64,
    /// Gone once the view is closed.
    commands: Mutex<Option<SyncSender<Command>>>,
}

enum Command {
    Seen(Box<Seen>),
    Gateway(Box<GatewayFacts>, UnixTime),
    Refresh(mpsc::Sender<()>),
}

impl Live {
    pub(crate) fn start(store: &Store) -> Result<Self, StoreError> {
        let connection = store.0.pool.database().connect()?;
        let mut loader = load::Loader::new(store.clone());
        let first = loader.load(&connection)?.ok_or(StoreError::Damaged { what: "the generation" })?;
        let (commands, inbox) = mpsc::sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(first),
            readable: AtomicBool::new(true),
            began: Instant::now(),
            looked: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            commands: Mutex::new(Some(commands)),
        });
        let writer = thread::Writer::new(store.clone(), connection, loader, Arc::clone(&shared));
        let log = tracing::dispatcher::get_default(tracing::Dispatch::clone);
        let thread = std::thread::Builder::new()
            .name("assay-store".to_owned())
            .spawn(move || tracing::dispatcher::with_default(&log, || writer.run(&inbox)))
            .map_err(|error| StoreError::Away { why: error.to_string() })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// The snapshot of now. Never waits.
    #[must_use]
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.shared.snapshot.load()
    }

    /// Whether the database could be read when last looked at, and that was just now. Where it can't, no token is issued.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.shared.is_readable_after(self.shared.began.elapsed())
    }

    /// Notes how an attestation ended. Never waits: what the queue can't take is dropped and counted.
    pub fn seen(&self, seen: Seen) {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = commands.as_ref().map(|commands| commands.try_send(Command::Seen(Box::new(seen))));
        if !matches!(sent, Some(Ok(()))) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what a gateway tells of itself. Never waits: what the queue can't take is dropped, and told again soon.
    pub fn gateway(&self, facts: GatewayFacts, at: UnixTime) {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = commands.as_ref().map(|commands| commands.try_send(Command::Gateway(Box::new(facts), at)));
    }

    /// Sightings that were not written: the queue was full, or the database away.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes the sightings in hand and takes over what changed; returns when the snapshot shows it, after 5 s at the latest.
    pub fn refresh(&self) {
        self.shared.refresh();
    }

    /// Writes what is left and ends the thread; later sightings are dropped. May be called again.
    pub fn close(&self) {
        self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Live {
    /// The thread ends by itself, and writes what is left, when the way to it is gone.
    fn drop(&mut self) {
        self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Shared {
    /// Notes a look at the database; whether the one before it found it readable.
    fn looked(&self, readable: bool) -> bool {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.looked.store(since, Ordering::Relaxed);
        self.readable.swap(readable, Ordering::Relaxed)
    }

    /// Whether the last look, as it is so long after the beginning, says that the database can be read.
    fn is_readable_after(&self, elapsed: Duration) -> bool {
        let looked = Duration::from_millis(self.looked.load(Ordering::Relaxed));
        self.readable.load(Ordering::Relaxed) && elapsed.saturating_sub(looked) <= LOOK_IS_GOOD
    }

    pub(crate) fn refresh(&self) {
        let (done, wait) = mpsc::channel();
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(commands) = commands else { return };
        // A full queue means sightings ahead of it: they are written soon, and the next look is a quarter second away.
        match commands.try_send(Command::Refresh(done)) {
            Ok(()) => {
                drop(commands);
                let _ = wait.recv_timeout(REFRESH);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared")
            .field("readable", &self.readable)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_the_database_that_was_long_ago_says_nothing_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let live = crate::store::tests::store(folder.path()).live().unwrap();
        let elapsed = live.shared.began.elapsed();
        assert!(live.shared.is_readable_after(elapsed));
        assert!(!live.shared.is_readable_after(elapsed + LOOK_IS_GOOD * 2));
        assert!(live.shared.looked(false) && !live.shared.is_readable_after(elapsed));
        live.close();
    }
}
