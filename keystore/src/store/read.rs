//! Opening. In: a document. Out: [`Contents`]; proven between, in this order: its syntax, the key, the manifest, each record
//! against the manifest and that it unseals, its age; then the pending records, of which those that a listed operator has
//! signed for this very document become part of it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::file::{self, Parsed};
use super::manifest::{Entry, Manifest};
use super::{Contents, StoreError, pending};
use crate::generation::{Age, GenerationMemory};
use crate::master_key::MasterKey;
use crate::sealed::{NotProven, RecordId, SealedRecord, VersionState};
use crate::store_keys::{OuterKeys, StoreKeys};

/// Reads and proves a store. Remembers nothing.
pub(super) fn open(
    place: &str,
    bytes: &[u8],
    master: &MasterKey,
    memory: &GenerationMemory,
) -> Result<Contents, StoreError> {
    let contents = open_of_any_age(place, bytes, master)?;
    let found = contents.head.generation;
    match memory.age_of(&contents.head.store, found)? {
        Age::Fresh => Ok(contents),
        Age::RolledBack { seen } => Err(StoreError::RolledBack { place: place.to_owned(), found, seen }),
        Age::BelowMinimum { least } => Err(StoreError::BelowMinimum { place: place.to_owned(), found, least }),
    }
}

/// As [`open`], whatever generation it is: for whoever accepts a rollback.
pub(super) fn open_of_any_age(place: &str, bytes: &[u8], master: &MasterKey) -> Result<Contents, StoreError> {
    let Parsed { records, manifest, pending } = file::parse(place, bytes)?;
    let at = || place.to_owned();
    let outer = OuterKeys::new(master, &manifest.head.store);
    if !manifest.is_authentic(&outer.manifest) {
        let (locked_with, given) = (manifest.head.kek.id().to_owned(), master.id());
        return Err(match locked_with == given {
            true => StoreError::ManifestChanged { place: at() },
            false => StoreError::WrongKey { place: at(), locked_with, given },
        });
    }
    if let Some(what) = manifest.contradiction() {
        return Err(StoreError::Inconsistent { place: at(), what });
    }
    let keys = outer.open(&manifest.head.store, &manifest.head.keys);
    let keys = Arc::new(keys.map_err(|_| StoreError::Inconsistent { place: at(), what: "its own keys do not open" })?);
    let records = matched(place, records, &manifest, &keys)?;
    let mut contents =
        Contents { head: manifest.head, mac: manifest.mac, records, pending: Vec::new(), signed_in: Vec::new(), keys };
    pending::take_in(&mut contents, pending);
    Ok(contents)
}

/// Each record beside its state, or what is wrong with the first that is not as the manifest says.
fn matched(
    place: &str,
    records: Vec<SealedRecord>,
    manifest: &Manifest,
    keys: &StoreKeys,
) -> Result<Vec<(VersionState, SealedRecord)>, StoreError> {
    let at = || place.to_owned();
    let by_id = Index::of(&records);
    for entry in &manifest.entries {
        let (name, version) = (entry.name.clone(), entry.version);
        let Some(record) = by_id.of_entry(entry) else {
            return Err(StoreError::RecordDropped { place: at(), name, version });
        };
        match record.prove(keys, &entry.hash) {
            Ok(()) => {}
            Err(NotProven::DoesNotUnseal) => return Err(StoreError::DoesNotUnseal { place: at(), name, version }),
            Err(NotProven::Changed) => {
                let donor = records.iter().find(|donor| record.hash_with(&donor.body) == entry.hash);
                return Err(match donor {
                    Some(donor) => StoreError::RecordsSwapped { place: at(), name, version, with: donor.name.clone() },
                    None => StoreError::RecordChanged { place: at(), name, version },
                });
            }
        }
    }
    // Every entry has its record. A record too many is one that has no entry, or the second one for an entry.
    if let Some(extra) = by_id.twice.or_else(|| by_id.without_entry(&manifest.entries)) {
        return Err(StoreError::RecordAdded { place: at(), name: extra.name.clone(), version: extra.version });
    }
    // As many records as entries, each entry with its own: the order is all that can differ.
    let misplaced =
        records.iter().zip(&manifest.entries).find(|(record, entry)| key_of(record) != (entry.id, entry.version));
    if let Some((record, entry)) = misplaced {
        let (name, version, with) = (entry.name.clone(), entry.version, record.name.clone());
        return Err(StoreError::RecordsSwapped { place: at(), name, version, with });
    }
    Ok(manifest.entries.iter().map(|entry| entry.state).zip(records).collect())
}

/// Records by id and version: ten thousand of them are looked up one by one.
struct Index<'a> {
    records: BTreeMap<(RecordId, NonZeroU32), &'a SealedRecord>,
    /// A second record with the id and version of an earlier one.
    twice: Option<&'a SealedRecord>,
}

impl<'a> Index<'a> {
    fn of(records: &'a [SealedRecord]) -> Self {
        let mut index = Self { records: BTreeMap::new(), twice: None };
        for record in records {
            match index.records.entry(key_of(record)) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(record)),
                std::collections::btree_map::Entry::Occupied(_) => index.twice = index.twice.or(Some(record)),
            }
        }
        index
    }

    fn of_entry(&self, entry: &Entry) -> Option<&'a SealedRecord> {
        self.records.get(&(entry.id, entry.version)).copied()
    }

    fn without_entry(&self, entries: &[Entry]) -> Option<&'a SealedRecord> {
        let named: std::collections::BTreeSet<_> = entries.iter().map(|entry| (entry.id, entry.version)).collect();
        self.records.iter().find(|(key, _)| !named.contains(key)).map(|(_, record)| *record)
    }
}

fn key_of(record: &SealedRecord) -> (RecordId, NonZeroU32) {
    (record.id, record.version)
}
