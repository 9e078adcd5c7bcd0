//! A new configuration while requests run: asked for by a signal, the admin API, or a file that changed.
//!
//! In come occasions to look; out goes a new generation, or the running one and the reason. Files are
//! watched by asking for them twice a second, which sees what notifications miss: a ConfigMap's symlink
//! swapped, a network mount, an editor that writes beside and renames. Reloads run one after the other,
//! never two at once, and files are read on a thread where that disturbs no request.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use attest_core::time::UnixTime;
use settings::Settings;

use crate::generation::{Generation, LocalService};
use crate::listener::Certificates;
use crate::runtime::Runtime;
use crate::telemetry::metrics::WhyLabels;

/// Reads the configuration anew.
pub type LoadSettings = dyn Fn() -> Result<Settings, LoadError> + Send + Sync;

/// Why a configuration was not read, in words for its author.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// The whole report: every problem with its place and remedy.
    pub report: String,
    /// The files it looked at: a change of one of them is a reason to try again.
    pub sources: Vec<PathBuf>,
}

/// How often files are asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How the last reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// Whether the configuration was taken.
    pub ok: bool,
    /// Why not.
    pub error: Option<String>,
    /// When.
    pub at: UnixTime,
}

/// Takes new configurations. One for the life of the process.
pub(crate) struct Reloader {
    runtime: Arc<Runtime>,
    load: Arc<LoadSettings>,
    local: Option<LocalService>,
    certificates: Option<Arc<Certificates>>,
    /// Held for a whole reload: one at a time.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<LastReload>,
    watched: Mutex<BTreeMap<PathBuf, Option<Print>>>,
}

/// What tells one state of a file from another. A write changes the last two, a swapped link the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Reloader {
    /// Watches the files of the generation that runs now.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        load: Arc<LoadSettings>,
        local: Option<LocalService>,
        certificates: Option<Arc<Certificates>>,
    ) -> Arc<Self> {
        let last = LastReload { ok: true, error: None, at: runtime.clock.now() };
        runtime.metrics.gauges.last_reload_ok.set(1);
        let sources = runtime.generation.load().settings.sources.clone();
        let reloader = Self {
            runtime,
            load,
            local,
            certificates,
            turn: tokio::sync::Mutex::new(()),
            last: Mutex::new(last),
            watched: Mutex::default(),
        };
        *reloader.watched() = prints(&reloader.with_certificates(sources));
        Arc::new(reloader)
    }

    /// How the last reload went; the start counts as the first.
    pub(crate) fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration and takes it, if it is good.
    ///
    /// # Errors
    /// The report for its author. What ran before goes on running.
    pub(crate) async fn reload(&self) -> Result<u64, String> {
        let _turn = self.turn.lock().await;
        let outcome = self.take().await;
        let taken = WhyLabels { why: if outcome.is_ok() { "taken" } else { "refused" } };
        self.runtime.metrics.reloads.get_or_create(&taken).inc();
        self.runtime.metrics.gauges.last_reload_ok.set(outcome.is_ok().into());
        match &outcome {
            Ok(number) => tracing::info!(generation = number, "the configuration was taken"),
            Err(report) => {
                tracing::error!("the configuration was refused, the last good one goes on running:\n{report}")
            }
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            LastReload { ok: outcome.is_ok(), error: outcome.as_ref().err().cloned(), at: self.runtime.clock.now() };
        outcome
    }

    async fn take(&self) -> Result<u64, String> {
        let load = self.load.clone();
        // The prints are taken before the files are read: a change in between is seen as one.
        let before = self.runtime.generation.load().settings.sources.clone();
        let mut watch = prints(&self.with_certificates(before));
        let loaded = tokio::task::spawn_blocking(move || load()).await;
        let loaded = loaded.map_err(|_| "reading the configuration failed".to_owned())?;
        let sources = match &loaded {
            Ok(settings) => &settings.sources,
            Err(error) => &error.sources,
        };
        for source in sources {
            watch.entry(source.clone()).or_insert_with(|| print(source));
        }
        *self.watched() = watch;
        let settings = loaded.map_err(|error| error.report)?;
        if let Some(certificates) = &self.certificates {
            certificates.reload().map_err(|why| why.to_string())?;
        }
        let running = self.runtime.generation.load_full();
        let (local, clock) = (self.local.as_ref(), &self.runtime.clock);
        let failures = self.runtime.metrics.fetch_failures.clone();
        let next = Generation::build(settings, Some(&running), local, clock, failures).await;
        let next = next.map_err(|why| why.to_string())?;
        let number = next.number;
        self.runtime.generation.store(Arc::new(next));
        Ok(number)
    }

    fn with_certificates(&self, mut sources: Vec<PathBuf>) -> Vec<PathBuf> {
        if let Some(certificates) = &self.certificates {
            let files = certificates.files();
            sources.extend([files.certificate.clone(), files.key.clone()]);
        }
        let generation = self.runtime.generation.load();
        sources.extend(generation.settings.keys.iter().flat_map(|keys| [keys.store.clone(), keys.unlock.clone()]));
        let once: BTreeSet<PathBuf> = sources.into_iter().collect();
        once.into_iter().collect()
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<Print>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> bool {
        let watched = self.watched().clone();
        watched.iter().any(|(path, before)| print(path) != *before)
    }
}

/// Looks at the files until the process ends.
pub(crate) async fn watch(reloader: Weak<Reloader>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(reloader) = reloader.upgrade() else { return };
        let looking = reloader.clone();
        let changed = tokio::task::spawn_blocking(move || looking.changed()).await;
        if changed.unwrap_or(false) {
            // Told and counted there; a bad configuration is looked at again when a file changes.
            let _ = reloader.reload().await;
        }
    }
}

/// Reloads at each SIGHUP.
pub(crate) async fn on_hangup(reloader: Weak<Reloader>) {
    let Ok(mut hangups) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else {
        tracing::warn!("SIGHUP can't be listened to; the admin API and changed files still reload");
        return;
    };
    while hangups.recv().await.is_some() {
        let Some(reloader) = reloader.upgrade() else { return };
        let _ = reloader.reload().await;
    }
}

fn prints(sources: &[PathBuf]) -> BTreeMap<PathBuf, Option<Print>> {
    sources.iter().map(|source| (source.clone(), print(source))).collect()
}

/// Follows links: what counts is the file that would be read.
fn print(path: &Path) -> Option<Print> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Print {
        inode: (meta.dev(), meta.ino()),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}
