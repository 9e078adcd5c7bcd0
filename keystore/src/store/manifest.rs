//! The list of what belongs to one generation. In: records and their states. Out: a [`Manifest`] whose MAC only a holder
//! of the key-encryption key can make; proven by [`Manifest::is_authentic`]: id, generation and list are as written.

use std::num::NonZeroU32;

use super::Contents;
use crate::api_key::KeyName;
use crate::crypto::{self, Canonical};
use crate::sealed::{FORMAT_VERSION, RecordId, SealedRecord, StoreKeys, VersionState};

/// What belongs to one generation of a store.
pub(super) struct Manifest {
    pub(super) store: [u8; 16],
    pub(super) kek_id: String,
    pub(super) generation: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) mac: [u8; 32],
}

/// One record of that generation.
pub(super) struct Entry {
    pub(super) id: RecordId,
    pub(super) name: KeyName,
    pub(super) version: NonZeroU32,
    pub(super) state: VersionState,
    pub(super) hash: [u8; 32],
}

impl Manifest {
    /// The manifest of `contents`, with its MAC.
    pub(super) fn of(contents: &Contents) -> Self {
        let mut manifest = Self {
            store: contents.id,
            kek_id: contents.kek_id.clone(),
            generation: contents.generation,
            entries: contents.records.iter().map(|(state, record)| Entry::of(*state, record)).collect(),
            mac: [0; 32],
        };
        manifest.mac = crypto::mac(&contents.keys.manifest, &manifest.encoding());
        manifest
    }

    /// Whether the MAC is right, in constant time.
    pub(super) fn is_authentic(&self, keys: &StoreKeys) -> bool {
        crypto::mac_is(&keys.manifest, &self.encoding(), &self.mac)
    }

    /// How the entries contradict each other, if they do: nobody without the key can write such a manifest, and we don't.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let count = |name: &KeyName, state| {
            self.entries.iter().filter(|entry| entry.name == *name && entry.state == state).count()
        };
        for (index, entry) in self.entries.iter().enumerate() {
            if self.entries.iter().take(index).any(|other| (other.id, other.version) == (entry.id, entry.version)) {
                return Some("one version is there twice");
            }
            if self.entries.iter().any(|other| (other.name == entry.name) != (other.id == entry.id)) {
                return Some("one name has two ids, or one id two names");
            }
            if count(&entry.name, VersionState::Current) != 1 {
                return Some("a key has no current version, or two");
            }
            if count(&entry.name, VersionState::Next) > 1 || count(&entry.name, VersionState::Previous) > 1 {
                return Some("a key has two next or two previous versions");
            }
        }
        None
    }

    fn encoding(&self) -> Vec<u8> {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let head = Canonical::new("assay-keystore-manifest-v1")
            .field(&FORMAT_VERSION.to_be_bytes())
            .field(&self.store)
            .field(self.kek_id.as_bytes())
            .field(&self.generation.to_be_bytes())
            .field(&count.to_be_bytes());
        let whole = self.entries.iter().fold(head, |encoding, entry| {
            encoding
                .field(&entry.id.0)
                .field(entry.name.as_str().as_bytes())
                .field(&entry.version.get().to_be_bytes())
                .field(entry.state.as_str().as_bytes())
                .field(&entry.hash)
        });
        whole.bytes()
    }
}

impl Entry {
    fn of(state: VersionState, record: &SealedRecord) -> Self {
        Self { id: record.id, name: record.name.clone(), version: record.version, state, hash: record.hash() }
    }
}
