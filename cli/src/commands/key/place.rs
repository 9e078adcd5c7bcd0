//! Which store a command is about. In: the configuration, or a store and its key's file by name. Out: the store, opened to
//! look or to change; proven before a change: it is in the audit log.

use crate::args::KeyStoreArg;
use crate::commands::config;
use crate::output::{Stop, note};
use attest_core::time::{Clock, SystemClock};
use audit::{AuditError, AuditKey, Chain, Change, Event, KeyChange, Limits, WriterName};
use key_sources::{KeySource, SourceError, UnlockError};
use keystore::document::DocumentError;
use keystore::store::SignedIn;
use keystore::{Editor, GenerationMemory, Keystore, MasterKey, StoreError};
use settings::{KeyStorePlace, KeysSettings, Settings, Unlock};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A store, what opens it, and what remembers its generation.
pub(crate) struct Place {
    pub(crate) source: KeySource,
    pub(crate) memory: GenerationMemory,
    /// The configuration, where the store is that of one.
    pub(crate) settings: Option<Settings>,
}

impl Place {
    /// The store that the command names.
    pub(crate) async fn of(args: &KeyStoreArg) -> Result<Self, Stop> {
        let place = match (&args.store, &args.unlock) {
            (Some(store), Some(unlock)) => Self::named(store, unlock)?,
            // A key has to be switched off or changed also while somebody mends the file.
            _ => Self::configured(config::load_running(&args.config).map_err(|stop| {
                stop.hint("mend the file first; a store in a file can be named without it: --store FILE --unlock FILE")
            })?)?,
        };
        if args.accept_rollback {
            place.accept_rollback().await?;
        }
        Ok(place)
    }

    /// A store without a configuration: nothing remembers its generation, and its audit log stands beside it.
    fn named(store: &Path, unlock: &Path) -> Result<Self, Stop> {
        // Before anything else: a key that can't be used is the first thing to mend.
        MasterKey::from_file(unlock).map_err(|e| Stop::usage(e.to_string()))?;
        let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let settings = KeysSettings {
            store: KeyStorePlace::File(store.to_owned()),
            unlock: Unlock::File(unlock.to_owned()),
            min_generation: None,
            state: folder.to_owned(),
            audit: beside(store, ".audit"),
        };
        Ok(Self { source: KeySource::new(&settings), memory: GenerationMemory::in_process(), settings: None })
    }

    fn configured(settings: Settings) -> Result<Self, Stop> {
        let keys = settings.keys.as_ref().ok_or_else(|| {
            Stop::no(format!("{} has no `keys:`", settings.path.display()))
                .hint("add keys: { store: keys.sealed, unlock: { file: … } }")
        })?;
        std::fs::create_dir_all(&keys.state)
            .map_err(|e| Stop::unknown(format!("state.dir {}: {e}", keys.state.display())))?;
        let source = KeySource::new(keys);
        Ok(Self { memory: source.memory(), source, settings: Some(settings) })
    }

    /// The store, to look at.
    pub(crate) async fn inspect(&self) -> Result<Keystore, Stop> {
        Ok(self.source.inspect(&self.memory).await.map_err(|e| refused(&e))?.store)
    }

    /// Changes the store: `work` does, in memory, and says what it did; that is written to the audit log; then the store is.
    pub(crate) async fn change<T>(
        &self,
        work: impl FnOnce(&mut Editor) -> Result<(T, Entry), StoreError>,
    ) -> Result<T, Stop> {
        let mut editor = self.source.edit(&self.memory).await.map_err(|e| refused(&e))?;
        let (done, entry) = work(&mut editor).map_err(|e| not_done(&e))?;
        let mut entries = Entry::of_signed_in(editor.signed_in());
        entries.push(entry);
        let mut log = self.log(AuditKey::new(editor.audit_key()))?;
        log.first(entries, || editor.commit(&self.memory))?;
        Ok(done)
    }

    /// The log that a change has to be in before it is made.
    pub(crate) fn log(&self, key: AuditKey) -> Result<Log, Stop> {
        let dir = &self.source.settings().audit;
        let chain = Chain::open(dir, &WriterName::keys(), key, Limits::default(), SystemClock.now());
        let chain = chain.map_err(|e| no_log(&e))?;
        if let Some(found) = chain.found() {
            note(&format!("warning: {}: {found}; `assay audit verify --keys {0}` says more", dir.display()));
        }
        Ok(Log(chain))
    }

    /// Names of the routes that use a key.
    pub(crate) fn routes_of(&self, key: &str) -> Vec<&str> {
        let routes = self.settings.iter().flat_map(|settings| &settings.routes);
        routes.filter(|route| route.key.as_deref() == Some(key)).map(|route| route.name.as_str()).collect()
    }

    async fn accept_rollback(&self) -> Result<(), Stop> {
        // Read once: what is written to the log is what is taken.
        let document = self.source.document().map_err(|e| refused(&e))?;
        let (at, bytes) = (document.place(), document.read());
        let bytes = bytes.map_err(|why| refused(&SourceError::Document { place: at.clone(), why }))?;
        let head = Keystore::head_of_bytes(&at, &bytes).map_err(|e| not_done(&e))?;
        let master = self.source.master_key(&head).await.map_err(|e| refused(&e))?;
        let store = Keystore::open_bytes(&at, &bytes, &master, &GenerationMemory::in_process());
        let store = store.map_err(|e| not_done(&e))?;
        let mut entry = Entry::of(Change::AcceptRollback);
        entry.detail = Some(format!("generation {}", store.generation()));
        let mut log = self.log(AuditKey::new(store.audit_key()))?;
        let accept = || Keystore::accept_rollback(&at, &bytes, &master, &self.memory);
        let (generation, seen) = log.first(vec![entry], accept)?;
        match seen {
            Some(seen) if seen > generation => {
                note(&format!("took generation {generation} for good; this machine had seen {seen}"));
            }
            _ => note("nothing was rolled back: this machine has seen no later generation"),
        }
        Ok(())
    }
}

/// What is about to be done to a key or a store.
pub(crate) struct Entry {
    change: Change,
    pub(crate) key: Option<String>,
    pub(crate) version: Option<u32>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) detail: Option<String>,
}

impl Entry {
    /// About the store as a whole.
    pub(crate) fn of(change: Change) -> Self {
        Self { change, key: None, version: None, fingerprint: None, detail: None }
    }

    /// What operators' signatures have taken in, which the next change makes part of the store for good: one for each.
    pub(crate) fn of_signed_in(signed_in: &[SignedIn]) -> Vec<Self> {
        let entry = |one: &SignedIn| {
            note(&format!("{}: version {} was signed in by {}", one.name, one.put.version, one.signer));
            Self {
                version: Some(one.put.version.get()),
                fingerprint: Some(one.put.fingerprint.to_string()),
                detail: Some(format!("signed in by {}", one.signer)),
                ..Self::of_key(Change::Accept, &one.name)
            }
        };
        signed_in.iter().map(entry).collect()
    }

    /// About one key.
    pub(crate) fn of_key(change: Change, key: impl ToString) -> Self {
        Self { key: Some(key.to_string()), ..Self::of(change) }
    }
}

/// The audit log of key commands, open.
pub(crate) struct Log(Chain);

impl Log {
    /// Writes `entries`, then does what they say; where that is known to have failed, the log says so too.
    pub(crate) fn first<T>(
        &mut self,
        entries: Vec<Entry>,
        then: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, Stop> {
        let (now, by) = (SystemClock.now(), who());
        let told = entries.into_iter().map(|Entry { change, key, version, fingerprint, detail }| {
            (now, Event::KeyChange(KeyChange { change, key, version, fingerprint, by: by.clone(), detail }))
        });
        let told: Vec<_> = told.collect();
        let count = told.len() as u64;
        self.0.append_all(told).map_err(|e| no_log(&e))?;
        let last = self.0.count();
        then().map_err(|error| {
            if error.may_stand() {
                return not_done(&error).hint("whether it was done is not known: look before you try again");
            }
            let failed = (0..count)
                .rev()
                .map(|before| (SystemClock.now(), Event::KeyChangeFailed { entry: last.saturating_sub(before) }));
            // The first error is the one to tell.
            let _ = self.0.append_all(failed.collect());
            not_done(&error)
        })
    }
}

/// Why a store was not opened.
pub(crate) fn refused(error: &SourceError) -> Stop {
    match error {
        SourceError::Store(error) => not_done(error),
        SourceError::Document { why: DocumentError::Absent, .. } => absent(error),
        SourceError::Document { .. } | SourceError::Unlock(UnlockError::Away { .. } | UnlockError::Refused { .. }) => {
            Stop::unknown(error.to_string())
        }
        _ => Stop::usage(error.to_string()),
    }
}

/// Why a store was not opened or not changed.
pub(crate) fn not_done(error: &StoreError) -> Stop {
    match error {
        StoreError::Absent { .. } => absent(error),
        StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => absent(error),
        StoreError::Io { .. }
        | StoreError::Away { .. }
        | StoreError::Busy { .. }
        | StoreError::ChangedMeanwhile { .. } => Stop::unknown(error.to_string()),
        _ => match remedy(error) {
            Some(hint) => Stop::no(error.to_string()).hint(hint),
            None => Stop::no(error.to_string()),
        },
    }
}

/// What to do about a store that does not open.
pub(crate) fn remedy(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Absent { .. } => Some(ABSENT),
        StoreError::RolledBack { .. } => {
            Some("restore the newest store; if the old one is meant, say it once: `assay key list --accept-rollback`")
        }
        StoreError::WrongKey { .. } => Some(
            "point keys.unlock at the key with that id, which may be in a backup; if it is lost: docs/keys.md, \
             \"When the key-encryption key is lost\"",
        ),
        _ => None,
    }
}

const ABSENT: &str = "`assay key put NAME …` makes the store; a lost one comes back from a backup or from Git";

fn absent(error: &dyn std::fmt::Display) -> Stop {
    Stop::no(error.to_string()).hint(ABSENT)
}

fn no_log(error: &AuditError) -> Stop {
    Stop::unknown(format!("nothing was changed: the audit log of keys can't be written: {error}"))
}

/// `NAME` with more at its end.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// The user of this process. What the environment calls him is his own word; the number is the system's.
fn who() -> String {
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic()));
    let number = rustix::process::getuid().as_raw();
    match name {
        Some(name) => format!("{name} (uid {number})"),
        None => format!("uid {number}"),
    }
}
