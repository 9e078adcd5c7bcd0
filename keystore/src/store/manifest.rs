//! The head of a store and the list of what belongs to one generation. In: the head, records and their states. Out: a
//! [`Manifest`] whose MAC only a holder of the key-encryption key can make; proven by [`Manifest::is_authentic`]: all of
//! the head and the list are as written.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{Contents, Disabled};
use crate::api_key::KeyName;
use crate::crypto::{self, Canonical};
use crate::kek::KekHeader;
use crate::operator::OperatorPublicKey;
use crate::sealed::{FORMAT_VERSION, RecordId, SealedRecord, VersionState};
use crate::store_keys::SealedKeys;

/// What a store says of itself, beside its records.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) store: [u8; 16],
    pub(super) generation: u64,
    pub(super) kek: KekHeader,
    pub(super) keys: SealedKeys,
    /// Whose signature takes a pending record in.
    pub(super) operators: BTreeMap<KeyName, OperatorPublicKey>,
    /// Keys that are switched off.
    pub(super) disabled: BTreeMap<KeyName, Disabled>,
}

/// What belongs to one generation of a store.
pub(super) struct Manifest {
    pub(super) head: Head,
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
            head: contents.head.clone(),
            entries: contents.records.iter().map(|(state, record)| Entry::of(*state, record)).collect(),
            mac: [0; 32],
        };
        manifest.mac = crypto::mac(&contents.keys.manifest, &manifest.encoding());
        manifest
    }

    /// Whether the MAC is right, in constant time.
    pub(super) fn is_authentic(&self, key: &[u8; 32]) -> bool {
        crypto::mac_is(key, &self.encoding(), &self.mac)
    }

    /// How the entries contradict each other, if they do: nobody without the key can write such a manifest, and we don't.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let (mut of_name, mut of_id) = (BTreeMap::new(), BTreeMap::new());
        let (mut versions, mut states) = (BTreeSet::new(), BTreeSet::new());
        for entry in &self.entries {
            if !versions.insert((entry.id, entry.version)) {
                return Some("one version is there twice");
            }
            if *of_name.entry(&entry.name).or_insert(entry.id) != entry.id
                || *of_id.entry(entry.id).or_insert(&entry.name) != &entry.name
            {
                return Some("one name has two ids, or one id two names");
            }
            if !states.insert((&entry.name, entry.state)) {
                return Some("a key has two current, two next or two previous versions");
            }
        }
        if of_name.keys().any(|name| !states.contains(&(*name, VersionState::Current))) {
            return Some("a key has no current version");
        }
        if self.head.disabled.keys().any(|name| !of_name.contains_key(name)) {
            return Some("a key is disabled that is not there");
        }
        None
    }

    fn encoding(&self) -> Vec<u8> {
        let count = |len| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let head = &self.head;
        // The provider is text and numbers: it always serializes.
        let kek = crypto::canonical_json(&head.kek).unwrap_or_default();
        let whole = Canonical::new("assay-keystore-manifest-v2")
            .field(&FORMAT_VERSION.to_be_bytes())
            .field(&head.store)
            .field(&head.generation.to_be_bytes())
            .field(&kek)
            .field(&head.keys.inner_key)
            .field(&head.keys.recipient.0)
            .field(&head.keys.recipient_key)
            .field(&count(head.operators.len()));
        let whole = head
            .operators
            .iter()
            .fold(whole, |encoding, (name, key)| encoding.field(name.as_str().as_bytes()).field(&key.0));
        let whole =
            head.disabled.iter().fold(whole.field(&count(head.disabled.len())), |encoding, (name, disabled)| {
                // Without an end the field is empty, which no end is.
                let until = disabled.until.map(|until| until.secs().to_be_bytes());
                encoding.field(name.as_str().as_bytes()).field(until.as_ref().map_or(&[], <[u8; 8]>::as_slice))
            });
        let whole = self.entries.iter().fold(whole.field(&count(self.entries.len())), |encoding, entry| {
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
