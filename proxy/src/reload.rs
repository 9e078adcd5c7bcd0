//! A new configuration while requests run: asked for by a signal, the operators' API, or a file that changed.
//!
//! In come occasions to look; out goes a new generation, or the running one and the reason. Files are
//! watched by asking for them twice a second, which sees what notifications miss: a ConfigMap's symlink
//! swapped, a network mount, an editor that writes beside and renames. Reloads run one after the other,
//! never two at once, and files are read on a thread where that disturbs no request.
//!
//! Proven of what is taken: its files did not change while they were read, so it is no mixture of two configurations; everything that
//! can fail has been done before anything is swapped, the certificate too.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use attest_core::time::UnixTime;
use key_sources::KeySource;
use settings::Settings;

use crate::generation::{Generation, LocalService};
use crate::guard::earlier::Earlier;
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

/// Hears of each configuration that was taken by a reload, after it was.
pub type Taken = dyn Fn(&Settings) + Send + Sync;

/// A start with a configuration that ran before, because the files are bad.
#[derive(Clone, Debug)]
pub struct FromLastGood {
    /// When that configuration was taken.
    pub taken: UnixTime,
    /// What is wrong with the files.
    pub report: LoadError,
}

/// How often files are asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A file that changed is read when it has been still for so long: whoever writes it in place may not have come to its end.
const STILL: Duration = Duration::from_millis(50);
/// But no later than after so many times that.
const PATIENCE: usize = 20;
/// How often files are read anew that change while they are read.
const ATTEMPTS: usize = 5;

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
    taken: Arc<Taken>,
    /// Since when the configuration was in use that the process was started with for want of a good file.
    last_good: Mutex<Option<UnixTime>>,
    /// Held for a whole reload: one at a time.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<LastReload>,
    watched: Mutex<BTreeMap<PathBuf, Option<Print>>>,
    /// Why the key store was last refused, until one is taken.
    keys_problem: Mutex<Option<String>>,
    /// Of the key store, which changes by itself.
    watched_keys: Mutex<BTreeMap<PathBuf, Option<Print>>>,
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
    /// Watches the files of the generation that runs now; or, after a start without them, those that are bad.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        load: Arc<LoadSettings>,
        taken: Arc<Taken>,
        local: Option<LocalService>,
        certificates: Option<Arc<Certificates>>,
        from: Option<FromLastGood>,
    ) -> Arc<Self> {
        let error = from.as_ref().map(|from| from.report.report.clone());
        let last = LastReload { ok: error.is_none(), error, at: runtime.clock.now() };
        runtime.metrics.gauges.reloaded(&last);
        runtime.metrics.gauges.from_last_good.set(from.is_some().into());
        let mut sources = runtime.generation.load().settings.sources.clone();
        sources.extend(from.iter().flat_map(|from| from.report.sources.clone()));
        let reloader = Self {
            runtime,
            load,
            taken,
            local,
            certificates,
            last_good: Mutex::new(from.as_ref().map(|from| from.taken)),
            turn: tokio::sync::Mutex::new(()),
            last: Mutex::new(last),
            watched: Mutex::default(),
            keys_problem: Mutex::default(),
            watched_keys: Mutex::default(),
        };
        let keys = reloader.key_files();
        if from.is_none() {
            sources.retain(|file| !keys.contains(file));
        }
        *reloader.watched() = prints(&reloader.with_others(sources));
        *reloader.watched_keys() = prints(&keys);
        if let Some(from) = from {
            let taken = from.taken.secs();
            let report = &from.report.report;
            tracing::error!(
                taken,
                "STARTED WITH THE LAST GOOD CONFIGURATION: the files are not used, and taken as soon as they are good:\n{report}"
            );
        }
        Arc::new(reloader)
    }

    /// How the last reload went; the start counts as the first.
    pub(crate) fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Since when the configuration had been in use that the process was started with, while no good file has taken its place.
    pub(crate) fn last_good(&self) -> Option<UnixTime> {
        *self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the key store as it is now is not in use, where it is not.
    pub(crate) fn keys_problem(&self) -> Option<String> {
        self.keys_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        match &outcome {
            Ok(number) => tracing::info!(generation = number, "the configuration was taken"),
            Err(report) => {
                tracing::error!("the configuration was refused, the last good one goes on running:\n{report}")
            }
        }
        let last =
            LastReload { ok: outcome.is_ok(), error: outcome.as_ref().err().cloned(), at: self.runtime.clock.now() };
        self.runtime.metrics.gauges.reloaded(&last);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        outcome
    }

    /// Takes the key store as it is now under the configuration that runs: good keys do not wait for a good configuration.
    ///
    /// # Errors
    /// Why not; the keys that were in use stay.
    pub(crate) async fn reload_keys(&self) -> Result<u64, String> {
        let _turn = self.turn.lock().await;
        // Before the store is read: a change in between is seen as one.
        *self.watched_keys() = prints(&self.key_files());
        let generation = self.runtime.generation.load_full();
        let outcome = generation.take_keys(self.runtime.clock.now()).await;
        let taken = WhyLabels { why: if outcome.is_ok() { "taken" } else { "refused" } };
        self.runtime.metrics.key_reloads.get_or_create(&taken).inc();
        *self.keys_problem.lock().unwrap_or_else(PoisonError::into_inner) =
            outcome.as_ref().err().map(ToString::to_string);
        match outcome {
            Ok(number) => {
                self.runtime.minted.keep(&generation.key_versions());
                self.runtime.key_audit.follow(generation.audit_place());
                tracing::info!(generation = number, "the key store was taken");
                Ok(number)
            }
            Err(why) => {
                tracing::error!("the key store was refused, the keys that were in use stay:\n{why}");
                Err(why.to_string())
            }
        }
    }

    async fn take(&self) -> Result<u64, String> {
        let settings = self.read().await?;
        *self.watched_keys() = prints(&key_files(&settings));
        let fresh = match &self.certificates {
            Some(certificates) => Some((certificates, certificates.read_anew().map_err(|why| why.to_string())?)),
            None => None,
        };
        let running = self.runtime.generation.load_full();
        let (local, clock) = (self.local.as_ref(), &self.runtime.clock);
        let failures = self.runtime.metrics.fetch_failures.clone();
        let next = Generation::build(settings, Some(&running), local, clock, failures, &Earlier::default()).await;
        let next = Arc::new(next.map_err(|why| why.to_string())?);
        let number = next.number;
        // Nothing below can fail: certificate and configuration change together, or neither does.
        if let Some((certificates, fresh)) = fresh {
            certificates.take(fresh);
        }
        self.runtime.minted.keep(&next.key_versions());
        self.runtime.generation.store(next.clone());
        self.runtime.key_audit.follow(next.audit_place());
        *self.last_good.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.keys_problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.runtime.metrics.gauges.from_last_good.set(0);
        (self.taken)(&next.settings);
        Ok(number)
    }

    /// The settings that the files make, all of one moment.
    async fn read(&self) -> Result<Settings, String> {
        let mut known = self.runtime.generation.load().settings.sources.clone();
        for _ in 0..ATTEMPTS {
            // The prints are taken before the files are read: a change in between is seen as one.
            let before = prints(&self.with_others(known));
            let load = self.load.clone();
            let loaded = tokio::task::spawn_blocking(move || load()).await;
            let loaded = loaded.map_err(|_| "reading the configuration failed".to_owned())?;
            let sources = match &loaded {
                Ok(settings) => settings.sources.clone(),
                Err(error) => error.sources.clone(),
            };
            let still = sources.iter().all(|source| before.get(source) == Some(&print(source)));
            let mut watch = before;
            for source in &sources {
                watch.entry(source.clone()).or_insert_with(|| print(source));
            }
            if let Ok(settings) = &loaded {
                // These are watched by themselves: a change of keys is none of the configuration.
                let keys = key_files(settings);
                watch.retain(|file, _| !keys.contains(file));
            }
            *self.watched() = watch;
            if still {
                return loaded.map_err(|error| error.report);
            }
            known = sources;
        }
        Err("the files changed each time while they were read; they are read again at the next change".to_owned())
    }

    fn with_others(&self, mut sources: Vec<PathBuf>) -> Vec<PathBuf> {
        if let Some(certificates) = &self.certificates {
            sources.extend(certificates.files().cloned());
        }
        let once: BTreeSet<PathBuf> = sources.into_iter().collect();
        once.into_iter().collect()
    }

    fn key_files(&self) -> Vec<PathBuf> {
        key_files(&self.runtime.generation.load().settings)
    }

    fn watched_keys(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<Print>>> {
        self.watched_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<Print>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the configuration changed, and whether the key store did.
    fn changed(&self) -> (bool, bool) {
        let (watched, keys) = (self.watched().clone(), self.watched_keys().clone());
        let changed =
            |watched: BTreeMap<PathBuf, Option<Print>>| watched.iter().any(|(path, before)| print(path) != *before);
        (changed(watched), changed(keys))
    }

    /// Waits until no file changes any more, for a second at most.
    async fn until_still(self: &Arc<Self>) {
        let mut before = None;
        for _ in 0..PATIENCE {
            let looking = self.clone();
            let look = move || {
                let mut paths: Vec<PathBuf> = looking.watched().keys().cloned().collect();
                paths.extend(looking.watched_keys().keys().cloned());
                prints(&paths)
            };
            let now = tokio::task::spawn_blocking(look).await.ok();
            if now.is_some() && now == before {
                return;
            }
            before = now;
            tokio::time::sleep(STILL).await;
        }
    }
}

/// Looks at the files until the process ends, and listens to the key store where it is none.
pub(crate) async fn watch(reloader: Weak<Reloader>) {
    let mut shared = SharedKeys::default();
    loop {
        let told = tokio::time::timeout(LOOK_EVERY, shared.changed()).await.is_ok();
        let Some(reloader) = reloader.upgrade() else { return };
        shared.follow(&reloader.runtime.generation.load());
        if told {
            let _ = reloader.reload_keys().await;
        }
        let looking = reloader.clone();
        let changed = tokio::task::spawn_blocking(move || looking.changed()).await;
        let (configuration, keys) = changed.unwrap_or_default();
        if configuration || keys {
            reloader.until_still().await;
        }
        // Told and counted there; what is bad is looked at again when a file changes.
        if configuration {
            let _ = reloader.reload().await;
        }
        if keys {
            let _ = reloader.reload_keys().await;
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

/// Changes of a key store that many gateways share.
#[derive(Default)]
struct SharedKeys {
    source: Option<Arc<KeySource>>,
    watch: Option<key_sources::Watch>,
}

impl SharedKeys {
    /// Listens to the store of this generation from now on.
    fn follow(&mut self, generation: &Generation) {
        let same = match (&self.source, &generation.source) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.watch = generation.source.as_ref().and_then(|source| source.watch());
            self.source.clone_from(&generation.source);
        }
    }

    /// Returns when it changed; never, where it is a file.
    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }
}

/// The files that a key store is opened from.
fn key_files(settings: &Settings) -> Vec<PathBuf> {
    settings.keys.iter().flat_map(settings::KeysSettings::files).collect()
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
