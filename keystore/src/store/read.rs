//! Opening. In: a file. Out: [`Contents`]; proven between, in this order: its syntax, the key, the manifest, each record
//! against the manifest, its age, and that every record unseals.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::file::{self, MAX_BYTES, Parsed};
use super::manifest::{Entry, Manifest};
use super::{Contents, StoreError};
use crate::generation::GenerationMemory;
use crate::master_key::MasterKey;
use crate::sealed::{SealedRecord, StoreKeys, VersionState};

/// Reads and proves a store. Remembers nothing.
pub(super) fn open(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Contents, StoreError> {
    let Parsed { records, manifest } = file::parse(path, &bytes(path)?)?;
    let keys = Arc::new(StoreKeys::new(master, &manifest.store));
    if !manifest.is_authentic(&keys) {
        let (locked_with, given) = (manifest.kek_id, master.id());
        return Err(match locked_with == given {
            true => StoreError::ManifestChanged { path: path.to_path_buf() },
            false => StoreError::WrongKey { path: path.to_path_buf(), locked_with, given },
        });
    }
    if let Some(what) = manifest.contradiction() {
        return Err(StoreError::Inconsistent { path: path.to_path_buf(), what });
    }
    let records = matched(path, records, &manifest)?;
    if let Some(seen) = memory.seen(&manifest.store)?.filter(|seen| *seen > manifest.generation) {
        return Err(StoreError::RolledBack { path: path.to_path_buf(), found: manifest.generation, seen });
    }
    if let Some((_, record)) = records.iter().find(|(_, record)| record.unseal(&keys).is_err()) {
        let (name, version) = (record.name.clone(), record.version);
        return Err(StoreError::DoesNotUnseal { path: path.to_path_buf(), name, version });
    }
    Ok(Contents { id: manifest.store, kek_id: manifest.kek_id, generation: manifest.generation, records, keys })
}

fn bytes(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| StoreError::Io { path: path.to_path_buf(), source })?;
    Ok(bytes)
}

/// Each record beside its entry, or what is wrong with the first that has none.
fn matched(
    path: &Path,
    records: Vec<SealedRecord>,
    manifest: &Manifest,
) -> Result<Vec<(VersionState, SealedRecord)>, StoreError> {
    let at = || path.to_path_buf();
    let is_of = |record: &SealedRecord, entry: &Entry| (record.id, record.version) == (entry.id, entry.version);
    for entry in &manifest.entries {
        let (name, version) = (entry.name.clone(), entry.version);
        let Some(record) = records.iter().find(|record| is_of(record, entry)) else {
            return Err(StoreError::RecordDropped { path: at(), name, version });
        };
        if record.hash() != entry.hash {
            let donor = records.iter().find(|donor| record.hash_with(&donor.wrapped_key, &donor.sealed) == entry.hash);
            return Err(match donor {
                Some(donor) => StoreError::RecordsSwapped { path: at(), name, version, with: donor.name.clone() },
                None => StoreError::RecordChanged { path: at(), name, version },
            });
        }
    }
    // Every entry has its record; a record too many has no entry, or one that an earlier record has taken.
    let is_extra = |(index, record): &(usize, &SealedRecord)| {
        let taken = records.iter().take(*index).any(|other| (other.id, other.version) == (record.id, record.version));
        taken || !manifest.entries.iter().any(|entry| is_of(record, entry))
    };
    if records.len() > manifest.entries.len()
        && let Some((_, extra)) = records.iter().enumerate().find(is_extra)
    {
        return Err(StoreError::RecordAdded { path: at(), name: extra.name.clone(), version: extra.version });
    }
    // As many records as entries, each entry with its own: the order is all that can differ.
    let misplaced = records.iter().zip(&manifest.entries).find(|(record, entry)| !is_of(record, entry));
    if let Some((record, entry)) = misplaced {
        let (name, version, with) = (entry.name.clone(), entry.version, record.name.clone());
        return Err(StoreError::RecordsSwapped { path: at(), name, version, with });
    }
    Ok(manifest.entries.iter().map(|entry| entry.state).zip(records).collect())
}
