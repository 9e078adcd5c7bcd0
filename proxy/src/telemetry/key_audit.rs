//! One entry of the audit log for each request that had a key, without ever making a request wait.
//!
//! In comes what a request carried; out go lines of one hash chain, many at once, from one thread. Between the two is a queue
//! of bounded size: when the disk is slower than we are, or full, entries are dropped and counted, in a figure and in the chain
//! itself. Every minute and at the end the thread tells the log where the chains of the folder end, those of the key commands
//! too, which have no log of their own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use attest_core::time::{Clock, UnixTime};
use audit::{AuditError, AuditKey, Chain, Checkpoint, Event, KeyUse, Limits, WriterName};
use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use tracing::dispatcher::{self, Dispatch};

use crate::decision_id::DecisionId;
use crate::keys::Injected;

/// Entries that may wait for the writer.
const ROOM: usize = 16_384;
/// Entries that are written at once.
const BATCH: usize = 1024;
/// How long the writer gathers: each write goes through to the disk.
const GATHER: Duration = Duration::from_millis(250);
/// Time between two checkpoints.
const EVERY: Duration = Duration::from_secs(60);

/// A request that had a key.
pub(crate) struct Use {
    /// When its head had been read.
    pub at: UnixTime,
    /// Its id in answer and log.
    pub id: DecisionId,
    /// Its route.
    pub route: Arc<str>,
    /// What its last attempt carried.
    pub injected: Injected,
    /// Keyed hash of its device.
    pub device: Option<u64>,
    /// What the client got.
    pub status: Option<StatusCode>,
}

/// Where the chain is, and what authenticates it.
#[derive(Clone)]
pub(crate) struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// The key.
    pub key: AuditKey,
}

/// The queue and its writer. Cloning shares it.
#[derive(Clone)]
pub(crate) struct KeyAudit(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    stop: AtomicBool,
    dropped: Counter,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Use>,
    /// Not yet told in the chain.
    dropped: u64,
    /// Where to go on writing, from a configuration that was taken since.
    next: Option<Option<Place>>,
}

/// Joins the writer when the process ends, so that the last entries are written.
pub(crate) struct AuditWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl KeyAudit {
    /// A log at `place`, or one that waits for a configuration with keys.
    ///
    /// # Errors
    /// The folder can't be written; the writer's thread can't be started.
    pub(crate) fn start(
        place: Option<Place>,
        clock: Arc<dyn Clock>,
        dropped: Counter,
    ) -> Result<(Self, AuditWriter), AuditError> {
        let chain = place.as_ref().map(|place| place.open(clock.now())).transpose()?;
        let (waiting, filled) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { waiting, filled, stop: AtomicBool::new(false), dropped, clock });
        let log = dispatcher::get_default(Dispatch::clone);
        let mut writer = Writer { shared: shared.clone(), place, chain, told: Vec::new(), complained: None };
        let thread = std::thread::Builder::new()
            .name("key-audit".into())
            .spawn(move || dispatcher::with_default(&log, || writer.run()))
            .map_err(|source| AuditError::Io { path: PathBuf::from("the writer's thread"), source })?;
        Ok((Self(shared.clone()), AuditWriter { shared, thread: Some(thread) }))
    }

    /// From now on the chain is there: the configuration changed, or another store came.
    pub(crate) fn follow(&self, place: Option<Place>) {
        self.0.lock().next = Some(place);
        self.0.filled.notify_one();
    }

    /// Puts an entry down to be written, or counts it.
    pub(crate) fn used(&self, used: Use) {
        let mut waiting = self.0.lock();
        if waiting.entries.len() >= ROOM {
            waiting.dropped += 1;
            self.0.dropped.inc();
            return;
        }
        let first = waiting.entries.is_empty();
        waiting.entries.push(used);
        drop(waiting);
        if first {
            self.0.filled.notify_one();
        }
    }
}

impl Place {
    fn open(&self, now: UnixTime) -> Result<Chain, AuditError> {
        let chain = Chain::open_free(&self.dir, &WriterName::gateway(), &self.key, Limits::default(), now)?;
        if let Some(found) = chain.found() {
            tracing::error!(
                target: "assay::audit",
                dir = %self.dir.display(),
                found,
                "the audit log of keys was changed or damaged; `assay audit verify --keys` says where"
            );
        }
        Ok(chain)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.dir == other.dir && self.key.id() == other.key.id()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own.
struct Writer {
    shared: Arc<Shared>,
    place: Option<Place>,
    chain: Option<Chain>,
    /// What the log was told last, by writer.
    told: Vec<(String, u64)>,
    /// When it last said that it can't write.
    complained: Option<Instant>,
}

impl Writer {
    fn run(&mut self) {
        let mut due = Instant::now() + EVERY;
        loop {
            let (waiting, stop) = self.gathered(due);
            if let Some(place) = waiting.next {
                self.go_to(place);
            }
            self.write(waiting.entries, waiting.dropped);
            if stop {
                break;
            }
            if Instant::now() >= due {
                due = Instant::now() + EVERY;
                self.checkpoint();
            }
        }
        self.lay_down();
        self.checkpoint();
    }

    /// What waits, once there is something or a checkpoint is due; and whether that was all.
    fn gathered(&self, due: Instant) -> (Waiting, bool) {
        let shared = &self.shared;
        let stops = || shared.stop.load(Ordering::Acquire);
        let mut waiting = shared.lock();
        while waiting.entries.is_empty() && waiting.next.is_none() && !stops() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (waiting, _) = shared.filled.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.entries.is_empty() && !stops() {
            // More come while the lock is free; the end of the process wakes this early.
            (waiting, _) = shared.filled.wait_timeout(waiting, GATHER).unwrap_or_else(PoisonError::into_inner);
        }
        (std::mem::take(&mut *waiting), stops())
    }

    fn go_to(&mut self, place: Option<Place>) {
        let stays = match (&self.place, &place) {
            (Some(old), Some(new)) => old.is_same(new) && self.chain.is_some(),
            (None, None) => true,
            _ => false,
        };
        if !stays {
            self.lay_down();
            self.place = place;
            self.told.clear();
        }
    }

    /// Ends the chain, if there is one.
    fn lay_down(&mut self) {
        if let Some(mut chain) = self.chain.take()
            && let Err(why) = chain.append(self.shared.clock.now(), Event::Closed)
        {
            self.complain(&why);
        }
    }

    /// Writes what came; what can't be written is told in the chain as soon as it can be.
    fn write(&mut self, entries: Vec<Use>, dropped: u64) {
        let now = self.shared.clock.now();
        let mut lost = dropped;
        if self.chain.is_none()
            && let Some(place) = &self.place
        {
            match place.open(now) {
                Ok(chain) => self.chain = Some(chain),
                Err(why) => self.complain(&why),
            }
        }
        let mut events: Vec<(UnixTime, Event)> = entries.into_iter().map(Use::into_event).collect();
        while !events.is_empty() || lost > 0 {
            let rest = events.split_off(events.len().min(BATCH));
            let mut batch = std::mem::replace(&mut events, rest);
            let count = batch.len() as u64;
            if lost > 0 {
                batch.push((now, Event::Dropped { count: lost }));
            }
            match self.chain.as_mut().map(|chain| chain.append_all(batch)) {
                Some(Ok(())) => lost = 0,
                failed => {
                    let left = count + events.len() as u64;
                    self.shared.dropped.inc_by(left);
                    self.shared.lock().dropped += lost + left;
                    if let Some(Err(why)) = failed {
                        self.complain(&why);
                    }
                    return;
                }
            }
        }
    }

    /// At most once a minute: the disk may be full for long.
    fn complain(&mut self, why: &AuditError) {
        if self.complained.is_none_or(|at| at.elapsed() >= EVERY) {
            self.complained = Some(Instant::now());
            tracing::error!(target: "assay::audit", "uses of keys are not in the audit log: {why}");
        }
    }

    /// One line for each chain that has grown, which `assay audit verify --keys` reads back.
    fn checkpoint(&mut self) {
        let Some(place) = &self.place else { return };
        match audit::ends(&place.dir, &place.key, self.shared.clock.now()) {
            Ok(ends) => {
                for writer in shrunk(&mut self.told, &ends) {
                    tracing::error!(
                        target: "assay::audit",
                        writer,
                        "the end of an audit chain is gone or was changed since its last checkpoint; \
                         `assay audit verify --keys --checkpoint` says more"
                    );
                }
                ends.iter().for_each(|end| tell(end, &mut self.told));
            }
            Err(why) => tracing::warn!(target: "assay::audit", "no audit checkpoint could be made: {why}"),
        }
    }
}

/// Chains that end before what the log was told, or nowhere: each once.
fn shrunk(told: &mut Vec<(String, u64)>, ends: &[Checkpoint]) -> Vec<String> {
    let stands = |writer: &str, count: u64| {
        ends.iter().any(|end| end.checkpoint.writer == writer && end.checkpoint.count >= count)
    };
    let gone = told.extract_if(.., |(writer, count)| !stands(writer, *count));
    gone.map(|(writer, _)| writer).collect()
}

fn tell(end: &Checkpoint, told: &mut Vec<(String, u64)>) {
    let said = &end.checkpoint;
    let before = told.iter_mut().find(|(writer, _)| *writer == said.writer);
    if before.as_ref().is_some_and(|(_, count)| *count == said.count) {
        return;
    }
    match before {
        Some((_, count)) => *count = said.count,
        None => told.push((said.writer.clone(), said.count)),
    }
    let checkpoint = serde_json::to_string(end).unwrap_or_default();
    tracing::info!(target: "assay::audit", checkpoint, "audit checkpoint");
}

impl Use {
    fn into_event(self) -> (UnixTime, Event) {
        let Self { at, id, route, injected: Injected { key, version }, device, status } = self;
        let event = KeyUse {
            decision: id.text().as_str().to_owned(),
            route: route.to_string(),
            key: key.to_string(),
            version: version.version.get(),
            fingerprint: version.fingerprint.to_string(),
            device: device.map(|device| format!("{device:016x}")),
            status: status.map(|status| status.as_u16()),
        };
        (at, Event::KeyUse(event))
    }
}

impl Drop for AuditWriter {
    fn drop(&mut self) {
        {
            // Under the lock: the writer must not miss it between looking and waiting.
            let _waiting = self.shared.lock();
            self.shared.stop.store(true, Ordering::Release);
            self.shared.filled.notify_one();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(dir: &std::path::Path, lines: u64) -> Vec<Checkpoint> {
        let (key, now) = (AuditKey::new([1; 32].into()), UnixTime::from_secs(1_790_000_000));
        let mut chain = Chain::open(dir, &WriterName::keys(), key.clone(), Limits::default(), now).unwrap();
        while chain.count() < lines {
            chain.append(now, Event::Dropped { count: 1 }).unwrap();
        }
        audit::ends(dir, &key, now).unwrap()
    }

    #[test]
    fn a_chain_that_is_shorter_than_was_told_or_gone_is_noticed_once() {
        let (long, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (long, short) = (end(long.path(), 5), end(short.path(), 4));
        let mut told = Vec::new();
        assert!(shrunk(&mut told, &long).is_empty());
        long.iter().for_each(|end| tell(end, &mut told));
        assert!(shrunk(&mut told, &long).is_empty());
        assert_eq!(shrunk(&mut told, &short), ["keys"]);
        short.iter().for_each(|end| tell(end, &mut told));
        assert!(shrunk(&mut told, &short).is_empty(), "once");
        assert_eq!(shrunk(&mut told, &[]), ["keys"]);
        assert!(shrunk(&mut told, &[]).is_empty(), "once");
    }
}
