//! A store and what opens it. In: the settings of `keys:`. Out: [`Opened`], or an [`Editor`]; what of it is proven is
//! proven by the keystore.
//!
//! A shared store whose server is away is opened from the copy that was kept of it: the same document with the same
//! proofs, and no older than this machine has seen.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use audit::AuditKey;
use keystore::document::{DocumentError, FileDocument, SealedDocument};
use keystore::kek::KekHeader;
use keystore::store::UnprovenHead;
use keystore::{Editor, GenerationMemory, Keystore, MasterKey, StoreError};
use settings::{KeyStorePlace, KeysSettings, Unlock};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::postgres::{PostgresDocument, RowVersion};
use crate::{Around, SourceError, Watch, kept, unlock};

/// An opened store, and the key of its audit log.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Keystore,
    /// What the audit log of keys is authenticated with.
    pub audit: AuditKey,
}

/// A store and what opens it. Keep one for as long as its settings stay: it asks a server for the key-encryption key when
/// the store's head has changed and not each time.
pub struct KeySource {
    settings: KeysSettings,
    around: Around,
    shared: Mutex<Option<PostgresDocument>>,
    /// The row that was opened last.
    taken: Arc<Mutex<Option<RowVersion>>>,
    /// What a passphrase or a server gave for this head.
    unlocked: Mutex<Option<(KekHeader, Arc<MasterKey>)>>,
}

/// Opens the store that `settings` describe, once.
///
/// # Errors
/// As [`KeySource::open`].
pub async fn open(settings: &KeysSettings, memory: &GenerationMemory) -> Result<Opened, SourceError> {
    KeySource::new(settings).open(memory).await
}

impl KeySource {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(settings: &KeysSettings) -> Self {
        Self::with(settings, Around::system())
    }

    /// The same with another clock, environment or dialer.
    #[must_use]
    pub fn with(settings: &KeysSettings, around: Around) -> Self {
        Self {
            settings: settings.clone(),
            around,
            shared: Mutex::default(),
            taken: Arc::default(),
            unlocked: Mutex::default(),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &KeysSettings {
        &self.settings
    }

    /// What remembers which generation of the store this machine has seen, in the state folder, and takes none below
    /// `min_generation`.
    #[must_use]
    pub fn memory(&self) -> GenerationMemory {
        let memory = GenerationMemory::file(self.settings.state.join("keystore-generations.json"));
        memory.at_least(self.settings.min_generation.map_or(0, std::num::NonZeroU64::get))
    }

    /// Reads, unlocks and proves the store, and remembers its generation. Where a shared store's server is away, the copy
    /// that was kept of it.
    ///
    /// # Errors
    /// [`SourceError`]: the place, the key, or what the keystore found.
    pub async fn open(&self, memory: &GenerationMemory) -> Result<Opened, SourceError> {
        let document = self.document()?;
        let place = document.place();
        let read = off_the_runtime(|| document.read());
        let version = self.read_version();
        let kept = self.kept_path();
        let (bytes, fresh) = match (read, &kept) {
            (Ok(bytes), _) => (bytes, true),
            (Err(why @ DocumentError::Away { .. }), Some(kept)) => {
                tracing::warn!(%why, file = %kept.display(), "the key store's database is away: opening the copy that was kept");
                (self.kept(kept, &place, why)?, false)
            }
            (Err(why), _) => return Err(SourceError::Document { place, why }),
        };
        let head = Keystore::head_of_bytes(&place, &bytes)?;
        let master = self.master_key(&head).await?;
        let store = off_the_runtime(|| Keystore::open_bytes(&place, &bytes, &master, memory))?;
        self.least(&place, store.generation())?;
        if fresh {
            *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = version;
            if let Some(kept) = &kept
                && let Err(why) = off_the_runtime(|| kept::write(kept, &bytes))
            {
                tracing::warn!(file = %kept.display(), %why, "the key store can't be kept for when its server is away");
            }
        }
        Ok(Opened { audit: AuditKey::new(store.audit_key()), store })
    }

    /// Opens the store as [`KeySource::open`] does and remembers nothing: for commands that only look. A copy that was kept
    /// is not looked at.
    ///
    /// # Errors
    /// As [`KeySource::open`].
    pub async fn inspect(&self, memory: &GenerationMemory) -> Result<Opened, SourceError> {
        let document = self.document()?;
        let place = document.place();
        let master = self.master_key(&off_the_runtime(|| Keystore::head(&*document))?).await?;
        let store = off_the_runtime(|| Keystore::inspect_document(&*document, &master, memory))?;
        self.least(&place, store.generation())?;
        Ok(Opened { audit: AuditKey::new(store.audit_key()), store })
    }

    /// Opens the store to change it. A file is locked until the editor is committed or dropped; of two who change a shared
    /// store at once, the second is refused when it commits.
    ///
    /// # Errors
    /// As [`KeySource::open`]; the file is locked by another process.
    pub async fn edit(&self, memory: &GenerationMemory) -> Result<Editor, SourceError> {
        let document = self.document_to_write()?;
        let master = self.master_key(&off_the_runtime(|| Keystore::head(&*document))?).await?;
        Ok(off_the_runtime(|| Keystore::edit_document(document, &master, memory))?)
    }

    /// Makes the store, empty, for the key that `unlock` has or makes.
    ///
    /// # Errors
    /// There is one already; the key can't be had; nothing can be written there.
    pub async fn create(&self, memory: &GenerationMemory) -> Result<Opened, SourceError> {
        let document = self.document_to_write()?;
        let (master, head) = unlock::new_master_key(&self.settings.unlock, &self.around).await?;
        let random = &*self.around.random;
        let made = off_the_runtime(|| Keystore::create_document(&*document, head, &master, memory, random));
        let store = made?;
        Ok(Opened { audit: AuditKey::new(store.audit_key()), store })
    }

    /// What the store says of itself without being opened.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn head(&self) -> Result<UnprovenHead, SourceError> {
        let document = self.document()?;
        Ok(off_the_runtime(|| Keystore::head(&*document))?)
    }

    /// Whether there is a store.
    ///
    /// # Errors
    /// It could not be found out.
    pub fn exists(&self) -> Result<bool, SourceError> {
        match &self.settings.store {
            KeyStorePlace::File(path) => {
                path.try_exists().map_err(|source| StoreError::Io { place: shown(path), source }.into())
            }
            KeyStorePlace::Database { .. } => match self.head() {
                Ok(_) => Ok(true),
                Err(SourceError::Store(StoreError::Absent { .. })) => Ok(false),
                Err(why) => Err(why),
            },
        }
    }

    /// A key for a store that is wrapped anew, as another `unlock` has or makes it, and the head for it.
    ///
    /// # Errors
    /// The key can't be had.
    pub async fn new_master_key(&self, unlock: &Unlock) -> Result<(MasterKey, KekHeader), SourceError> {
        Ok(unlock::new_master_key(unlock, &self.around).await?)
    }

    /// The key-encryption key of a store whose head this is.
    ///
    /// # Errors
    /// The key can't be had. A wrong one is no error here: the store names it.
    pub async fn master_key(&self, head: &UnprovenHead) -> Result<Arc<MasterKey>, SourceError> {
        let asks = matches!(self.settings.unlock, Unlock::PassphraseFile(_) | Unlock::Vault(_) | Unlock::AwsKms(_));
        if asks {
            let unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, key)) = unlocked.as_ref().filter(|(of, _)| *of == head.kek) {
                return Ok(Arc::clone(key));
            }
        }
        let key = Arc::new(unlock::master_key(&self.settings.unlock, &head.kek, &self.around).await?);
        // A key that is not the head's is asked for again: a passphrase may have been mended.
        if asks && key.id() == head.kek.id() {
            *self.unlocked.lock().unwrap_or_else(PoisonError::into_inner) = Some((head.kek.clone(), Arc::clone(&key)));
        }
        Ok(key)
    }

    /// The store as a document, to be read.
    ///
    /// # Errors
    /// Its database can't be set up.
    pub fn document(&self) -> Result<Box<dyn SealedDocument>, SourceError> {
        Ok(match &self.settings.store {
            KeyStorePlace::File(path) => Box::new(FileDocument::to_read(path)),
            KeyStorePlace::Database { .. } => Box::new(self.shared()?),
        })
    }

    /// The store as a document, to be changed: a file is locked until it is dropped.
    ///
    /// # Errors
    /// Its database can't be set up; the file is locked by another process.
    pub fn document_to_write(&self) -> Result<Box<dyn SealedDocument>, SourceError> {
        Ok(match &self.settings.store {
            KeyStorePlace::File(path) => {
                Box::new(FileDocument::to_write(path).map_err(|why| SourceError::Document { place: shown(path), why })?)
            }
            KeyStorePlace::Database { .. } => Box::new(self.shared()?),
        })
    }

    /// Tells of changes of a shared store. `None` for a file: whoever watches files watches it too.
    #[must_use]
    pub fn watch(&self) -> Option<Watch> {
        if matches!(self.settings.store, KeyStorePlace::File(_)) {
            return None;
        }
        let taken = Arc::clone(&self.taken);
        let taken = move || taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Watch::start(self.shared().ok()?, taken)
    }

    fn shared(&self) -> Result<PostgresDocument, SourceError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = &*shared {
            return Ok(document.clone());
        }
        let KeyStorePlace::Database { database, name } = &self.settings.store else {
            return Err(SourceError::Database { why: "the store is a file".to_owned() });
        };
        Ok(shared.insert(PostgresDocument::new(database, name)?).clone())
    }

    fn read_version(&self) -> Option<RowVersion> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(PostgresDocument::read_version)
    }

    /// Where a shared store's last document is kept.
    fn kept_path(&self) -> Option<PathBuf> {
        match &self.settings.store {
            KeyStorePlace::File(_) => None,
            KeyStorePlace::Database { name, .. } => Some(self.settings.state.join(format!("keystore-{name}.kept"))),
        }
    }

    fn kept(&self, path: &Path, place: &str, why: DocumentError) -> Result<Vec<u8>, SourceError> {
        match off_the_runtime(|| FileDocument::to_read(path).read()) {
            Ok(bytes) => {
                tracing::warn!(%place, %why, "the key store's server is away; the copy that was kept of it is used");
                Ok(bytes)
            }
            Err(_) => Err(SourceError::Document { place: place.to_owned(), why }),
        }
    }

    /// Whatever memory the caller has, the configuration's own bound holds.
    fn least(&self, place: &str, found: u64) -> Result<(), SourceError> {
        match self.settings.min_generation {
            Some(least) if found < least.get() => {
                Err(StoreError::BelowMinimum { place: place.to_owned(), found, least: least.get() }.into())
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySource").field("store", &self.settings.store).finish_non_exhaustive()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Ten thousand keys take most of a second, a database as long as it likes: not on a thread that serves requests.
fn off_the_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
