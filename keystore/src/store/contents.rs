//! What a store holds once it is proven, and what is written into the next one. In: proven parts, changes. Out: the same in
//! order: by name, then version; so every name is found by halving.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::manifest::{Head, Manifest};
use super::{MAX_RECORDS, PendingState, SignedIn, StoreError, VersionState, file};
use crate::api_key::KeyName;
use crate::document::MAX_DOCUMENT_BYTES;
use crate::pending::PendingRecord;
use crate::sealed::{RecordId, SealedRecord};
use crate::store_keys::StoreKeys;

/// A proven store.
pub(super) struct Contents {
    pub(super) head: Head,
    /// The MAC of the manifest that it was read or written with last.
    pub(super) mac: [u8; 32],
    /// By name, then version.
    pub(super) records: Vec<(VersionState, SealedRecord)>,
    /// In the order in which they came.
    pub(super) pending: Vec<(PendingState, PendingRecord)>,
    /// Records of this document's pending ones that an operator's signature has made records like any other.
    pub(super) signed_in: Vec<SignedIn>,
    pub(super) keys: Arc<StoreKeys>,
}

impl Contents {
    /// All versions of one key.
    pub(super) fn records_of(&self, name: &KeyName) -> &[(VersionState, SealedRecord)] {
        self.records.get(self.range_of(name)).unwrap_or_default()
    }

    /// All versions of one key, to be changed.
    pub(super) fn records_of_mut(&mut self, name: &KeyName) -> &mut [(VersionState, SealedRecord)] {
        let range = self.range_of(name);
        self.records.get_mut(range).unwrap_or_default()
    }

    /// The version that is in this state.
    pub(super) fn version_of(&self, name: &KeyName, state: VersionState) -> Option<NonZeroU32> {
        self.records_of(name).iter().find(|(other, _)| *other == state).map(|(_, record)| record.version)
    }

    /// The id of a key, and its newest version.
    pub(super) fn newest(&self, name: &KeyName) -> Option<(RecordId, NonZeroU32)> {
        self.records_of(name).last().map(|(_, record)| (record.id, record.version))
    }

    /// Whether there is no room for one more version.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= MAX_RECORDS
    }

    /// Adds a record in its place.
    pub(super) fn insert(&mut self, state: VersionState, record: SealedRecord) {
        let at =
            self.records.partition_point(|(_, other)| (&other.name, other.version) < (&record.name, record.version));
        self.records.insert(at, (state, record));
    }

    /// The document of this generation.
    pub(super) fn encoded(&mut self, place: &str) -> Result<Vec<u8>, StoreError> {
        let manifest = Manifest::of(self);
        self.mac = manifest.mac;
        let (records, pending) =
            (self.records.iter().map(|(_, record)| record), self.pending.iter().map(|(_, record)| record));
        let bytes = file::write(&manifest, records, pending)
            .map_err(|error| StoreError::Io { place: place.to_owned(), source: error.into() })?;
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge { place: place.to_owned() });
        }
        Ok(bytes)
    }

    fn range_of(&self, name: &KeyName) -> std::ops::Range<usize> {
        let from = self.records.partition_point(|(_, record)| record.name < *name);
        let rest = self.records.get(from..).unwrap_or_default();
        from..from + rest.partition_point(|(_, record)| record.name == *name)
    }
}
