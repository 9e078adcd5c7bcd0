//! The file as it is written. In: bytes. Out: its raw shape, every field decoded to its width; proven between: syntax
//! alone. The fields are described in `docs/keystore-format.md`.

use std::num::NonZeroU32;
use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::manifest::{Entry, Manifest};
use super::{Contents, StoreError};
use crate::api_key::KeyName;
use crate::bounds::{Bounds, BoundsText};
use crate::sealed::{FORMAT_VERSION, Fingerprint, RecordId, SealedRecord, VersionState, WRAPPED_LEN};

/// Largest file that is read, in bytes: 1,024 keys of usual size have under 2 MiB.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A file whose syntax is right.
pub(super) struct Parsed {
    pub(super) records: Vec<SealedRecord>,
    pub(super) manifest: Manifest,
}

/// Parses a file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, StoreError> {
    let at = || path.to_path_buf();
    if bytes.len() > MAX_BYTES {
        return Err(StoreError::Malformed { path: at(), line: 0, column: 0, what: "over 16 MiB" });
    }
    // Whole files end with a line ending: without it even the last bracket may be a cut.
    if !bytes.ends_with(b"\n") {
        return Err(StoreError::Truncated { path: at() });
    }
    // The version first: another version may have other fields.
    let head: RawHead = json(path, bytes)?;
    if head.format != FORMAT {
        return Err(StoreError::Malformed {
            path: at(),
            line: 0,
            column: 0,
            what: "its \"format\" is not \"assay-keystore\"",
        });
    }
    match head.format_version {
        FORMAT_VERSION => {}
        found if found < FORMAT_VERSION => {
            return Err(StoreError::DowngradedFormat { path: at(), found, oldest: FORMAT_VERSION });
        }
        found => return Err(StoreError::NewerFormat { path: at(), found, newest: FORMAT_VERSION }),
    }
    let raw: RawFile = json(path, bytes)?;
    let malformed = |what| StoreError::Malformed { path: at(), line: 0, column: 0, what };
    Ok(Parsed {
        records: raw.records.into_iter().map(RawRecord::decode).collect::<Result<_, _>>().map_err(malformed)?,
        manifest: Manifest {
            store: fixed(&raw.store).ok_or_else(|| malformed("\"store\" is not 16 bytes of base64url"))?,
            kek_id: raw.kek,
            generation: raw.generation,
            entries: raw
                .manifest
                .entries
                .into_iter()
                .map(RawEntry::decode)
                .collect::<Result<_, _>>()
                .map_err(malformed)?,
            mac: fixed(&raw.manifest.mac).ok_or_else(|| malformed("\"mac\" is not 32 bytes of base64url"))?,
        },
    })
}

/// Writes a file: one field a line, so that a change of one key is a change of few lines.
pub(super) fn write(contents: &Contents, manifest: &Manifest) -> Result<Vec<u8>, serde_json::Error> {
    let raw = RawFile {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        store: BASE64URL_NOPAD.encode(&contents.id),
        kek: contents.kek_id.clone(),
        generation: contents.generation,
        records: contents.records.iter().map(|(_, record)| RawRecord::encode(record)).collect(),
        manifest: RawManifest {
            entries: manifest.entries.iter().map(RawEntry::encode).collect(),
            mac: BASE64URL_NOPAD.encode(&manifest.mac),
        },
    };
    let mut bytes = serde_json::to_vec_pretty(&raw)?;
    bytes.push(b'\n');
    Ok(bytes)
}

const FORMAT: &str = "assay-keystore";

/// What every version of the format begins with.
#[derive(Deserialize)]
struct RawHead {
    format: String,
    format_version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: String,
    format_version: u32,
    store: String,
    kek: String,
    generation: u64,
    records: Vec<RawRecord>,
    manifest: RawManifest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    id: String,
    name: String,
    version: NonZeroU32,
    bounds: BoundsText,
    fingerprint: String,
    wrapped_key: String,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    entries: Vec<RawEntry>,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    id: String,
    name: String,
    version: NonZeroU32,
    state: String,
    hash: String,
}

impl RawRecord {
    fn decode(self) -> Result<SealedRecord, &'static str> {
        let bounds = Bounds::parse(&self.bounds).map_err(|_| "the \"bounds\" of a record are none")?;
        // What is authenticated is the canonical form. Another spelling of it would be a change that nothing notices.
        if bounds.to_text() != self.bounds {
            return Err("the \"bounds\" of a record are not in canonical form");
        }
        Ok(SealedRecord {
            id: RecordId(fixed(&self.id).ok_or("the \"id\" of a record is not 16 bytes of base64url")?),
            name: KeyName::parse(&self.name).map_err(|_| "the \"name\" of a record is none")?,
            version: self.version,
            bounds,
            fingerprint: HEXLOWER
                .decode(self.fingerprint.as_bytes())
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(Fingerprint)
                .ok_or("the \"fingerprint\" of a record is not 16 lower-case hex digits")?,
            wrapped_key: fixed::<WRAPPED_LEN>(&self.wrapped_key)
                .ok_or("a \"wrapped_key\" is not 60 bytes of base64url")?
                .to_vec(),
            sealed: BASE64URL_NOPAD.decode(self.sealed.as_bytes()).map_err(|_| "a \"sealed\" is not base64url")?,
        })
    }

    fn encode(record: &SealedRecord) -> Self {
        Self {
            id: BASE64URL_NOPAD.encode(&record.id.0),
            name: record.name.to_string(),
            version: record.version,
            bounds: record.bounds.to_text(),
            fingerprint: record.fingerprint.to_string(),
            wrapped_key: BASE64URL_NOPAD.encode(&record.wrapped_key),
            sealed: BASE64URL_NOPAD.encode(&record.sealed),
        }
    }
}

impl RawEntry {
    fn decode(self) -> Result<Entry, &'static str> {
        Ok(Entry {
            id: RecordId(fixed(&self.id).ok_or("the \"id\" of a manifest entry is not 16 bytes of base64url")?),
            name: KeyName::parse(&self.name).map_err(|_| "the \"name\" of a manifest entry is none")?,
            version: self.version,
            state: VersionState::parse(&self.state).ok_or("a \"state\" is neither current, next nor previous")?,
            hash: fixed(&self.hash).ok_or("a \"hash\" is not 32 bytes of base64url")?,
        })
    }

    fn encode(entry: &Entry) -> Self {
        Self {
            id: BASE64URL_NOPAD.encode(&entry.id.0),
            name: entry.name.to_string(),
            version: entry.version,
            state: entry.state.as_str().to_owned(),
            hash: BASE64URL_NOPAD.encode(&entry.hash),
        }
    }
}

/// Exactly `N` bytes of strict base64url: no padding, no stray bits.
fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn json<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => StoreError::Truncated { path: path.to_path_buf() },
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => StoreError::Malformed {
            path: path.to_path_buf(),
            line: error.line(),
            column: error.column(),
            what: "no JSON",
        },
        serde_json::error::Category::Data => StoreError::Malformed {
            path: path.to_path_buf(),
            line: error.line(),
            column: error.column(),
            what: "a field is missing, unknown, there twice, or of another type",
        },
    })
}
