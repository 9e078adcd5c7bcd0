//! The document as it is written. In: bytes. Out: its raw shape, every field decoded to its width; proven between: syntax
//! alone. The fields are described in `docs/keystore-format.md`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use attest_core::time::UnixTime;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::manifest::{Entry, Head, Manifest};
use super::{Disabled, MAX_OPERATORS, MAX_PENDING, MAX_RECORDS, StoreError, UnprovenHead};
use crate::api_key::KeyName;
use crate::bounds::{Bounds, BoundsText};
use crate::crypto::{NONCE_LEN, TAG_LEN, fixed};
use crate::document::MAX_DOCUMENT_BYTES;
use crate::kek::KekHeader;
use crate::operator::OperatorPublicKey;
use crate::pending::PendingRecord;
use crate::recipient::PublicKey;
use crate::sealed::{Body, FORMAT_VERSION, Fingerprint, RecordId, SealedRecord, VersionState, WRAPPED_LEN};
use crate::store_keys::SealedKeys;

/// A document whose syntax is right.
pub(super) struct Parsed {
    pub(super) records: Vec<SealedRecord>,
    pub(super) manifest: Manifest,
    pub(super) pending: Vec<PendingRecord>,
}

/// Parses a document; `place` is for the messages.
pub(super) fn parse(place: &str, bytes: &[u8]) -> Result<Parsed, StoreError> {
    check_head(place, bytes)?;
    let raw: RawFile = json(place, bytes)?;
    raw.decode().map_err(|what| StoreError::Malformed { place: place.to_owned(), line: 0, column: 0, what })
}

/// Parses what a document says of itself, and passes over the records: ten thousand of them are read when they are proven.
pub(super) fn parse_head(place: &str, bytes: &[u8]) -> Result<UnprovenHead, StoreError> {
    check_head(place, bytes)?;
    let raw: RawUnproven = json(place, bytes)?;
    let malformed = |what| StoreError::Malformed { place: place.to_owned(), line: 0, column: 0, what };
    Ok(UnprovenHead {
        store: fixed(&raw.store).ok_or_else(|| malformed(NOT_A_STORE_ID))?,
        generation: raw.generation,
        manifest: fixed(&raw.manifest.mac).ok_or_else(|| malformed(NOT_A_MAC))?,
        kek: raw.kek,
        public_key: fixed(&raw.recipient.public_key).map(PublicKey).ok_or_else(|| malformed(NOT_A_PUBLIC_KEY))?,
        pending: raw.pending,
    })
}

/// Writes a document: one field a line, so that a change of one key is a change of few lines.
pub(super) fn write<'a>(
    manifest: &Manifest,
    records: impl Iterator<Item = &'a SealedRecord>,
    pending: impl Iterator<Item = &'a PendingRecord>,
) -> Result<Vec<u8>, serde_json::Error> {
    let head = &manifest.head;
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let raw = RawFile {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        store: encode(&head.store),
        generation: head.generation,
        kek: head.kek.clone(),
        inner_key: encode(&head.keys.inner_key),
        recipient: RawRecipient {
            public_key: encode(&head.keys.recipient.0),
            private_key: encode(&head.keys.recipient_key),
        },
        operators: head
            .operators
            .iter()
            .map(|(name, key)| RawOperator { name: name.to_string(), public_key: encode(&key.0) })
            .collect(),
        records: records.map(RawRecord::encode).collect(),
        manifest: RawManifest {
            disabled: head
                .disabled
                .iter()
                .map(|(name, disabled)| RawDisabled {
                    name: name.to_string(),
                    until: disabled.until.map(UnixTime::secs),
                })
                .collect(),
            entries: manifest.entries.iter().map(RawEntry::encode).collect(),
            mac: encode(&manifest.mac),
        },
        pending: pending.cloned().collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&raw)?;
    bytes.push(b'\n');
    Ok(bytes)
}

const FORMAT: &str = "assay-keystore";

/// Whether it is a whole document of this format and version: another version may have other fields.
fn check_head(place: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let place = || place.to_owned();
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(StoreError::TooLarge { place: place() });
    }
    // Whole documents end with a line ending: without it even the last bracket may be a cut.
    if !bytes.ends_with(b"\n") {
        return Err(StoreError::Truncated { place: place() });
    }
    let head: RawHead = json(&place(), bytes)?;
    if head.format != FORMAT {
        let what = "its \"format\" is not \"assay-keystore\"";
        return Err(StoreError::Malformed { place: place(), line: 0, column: 0, what });
    }
    match head.format_version {
        FORMAT_VERSION => Ok(()),
        found if found < FORMAT_VERSION => {
            Err(StoreError::DowngradedFormat { place: place(), found, oldest: FORMAT_VERSION })
        }
        found => Err(StoreError::NewerFormat { place: place(), found, newest: FORMAT_VERSION }),
    }
}

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
    generation: u64,
    kek: KekHeader,
    inner_key: String,
    recipient: RawRecipient,
    operators: Vec<RawOperator>,
    records: Vec<RawRecord>,
    manifest: RawManifest,
    pending: Vec<PendingRecord>,
}

/// The part of a document that is of use without a key. What else is in it is looked at when the store is opened.
#[derive(Deserialize)]
struct RawUnproven {
    store: String,
    generation: u64,
    kek: KekHeader,
    recipient: RawRecipient,
    manifest: RawUnprovenManifest,
    pending: Vec<PendingRecord>,
}

#[derive(Deserialize)]
struct RawUnprovenManifest {
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecipient {
    public_key: String,
    private_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperator {
    name: String,
    public_key: String,
}

/// With `wrapped_key` or with `enc`, never both.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    id: String,
    name: String,
    version: NonZeroU32,
    bounds: BoundsText,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enc: Option<String>,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    disabled: Vec<RawDisabled>,
    entries: Vec<RawEntry>,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDisabled {
    name: String,
    until: Option<i64>,
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

impl RawFile {
    fn decode(self) -> Result<Parsed, &'static str> {
        if self.records.len() > MAX_RECORDS || self.pending.len() > MAX_PENDING || self.operators.len() > MAX_OPERATORS
        {
            return Err("it holds more records, pending records or operators than a store has room for");
        }
        let sealed_key = |text: &str| fixed::<SEALED_KEY_LEN>(text).map(|bytes| bytes.to_vec());
        let head = Head {
            store: fixed(&self.store).ok_or(NOT_A_STORE_ID)?,
            generation: self.generation,
            kek: self.kek,
            keys: SealedKeys {
                inner_key: sealed_key(&self.inner_key).ok_or("\"inner_key\" is not 60 bytes of base64url")?,
                recipient: fixed(&self.recipient.public_key).map(PublicKey).ok_or(NOT_A_PUBLIC_KEY)?,
                recipient_key: sealed_key(&self.recipient.private_key)
                    .ok_or("the recipient's \"private_key\" is not 60 bytes of base64url")?,
            },
            operators: sorted(self.operators, "operators are not sorted by name, or one is there twice", |raw| {
                let key = fixed(&raw.public_key).ok_or("an operator's \"public_key\" is not 32 bytes of base64url")?;
                Ok((name_of(&raw.name)?, OperatorPublicKey(key)))
            })?,
            disabled: sorted(self.manifest.disabled, "\"disabled\" is not sorted by name, or has one twice", |raw| {
                Ok((name_of(&raw.name)?, Disabled { until: raw.until.map(UnixTime::from_secs) }))
            })?,
        };
        Ok(Parsed {
            records: self.records.into_iter().map(RawRecord::decode).collect::<Result<_, _>>()?,
            manifest: Manifest {
                head,
                entries: self.manifest.entries.into_iter().map(RawEntry::decode).collect::<Result<_, _>>()?,
                mac: fixed(&self.manifest.mac).ok_or(NOT_A_MAC)?,
            },
            pending: self.pending,
        })
    }
}

impl RawRecord {
    fn decode(self) -> Result<SealedRecord, &'static str> {
        let bounds = Bounds::parse(&self.bounds).map_err(|_| "the \"bounds\" of a record are none")?;
        // What is authenticated is the canonical form. Another spelling of it would be a change that nothing notices.
        if bounds.to_text() != self.bounds {
            return Err("the \"bounds\" of a record are not in canonical form");
        }
        let sealed = BASE64URL_NOPAD.decode(self.sealed.as_bytes()).map_err(|_| "a \"sealed\" is not base64url")?;
        let body = match (self.wrapped_key, self.enc) {
            (Some(wrapped_key), None) => Body::Wrapped {
                wrapped_key: fixed::<WRAPPED_LEN>(&wrapped_key)
                    .ok_or("a \"wrapped_key\" is not 60 bytes of base64url")?
                    .to_vec(),
                sealed,
            },
            (None, Some(enc)) => {
                Body::Accepted { enc: fixed(&enc).ok_or("an \"enc\" is not 32 bytes of base64url")?, sealed }
            }
            _ => return Err("a record has neither \"wrapped_key\" nor \"enc\", or both"),
        };
        Ok(SealedRecord {
            id: RecordId(fixed(&self.id).ok_or("the \"id\" of a record is not 16 bytes of base64url")?),
            name: name_of(&self.name)?,
            version: self.version,
            bounds,
            fingerprint: HEXLOWER
                .decode(self.fingerprint.as_bytes())
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(Fingerprint)
                .ok_or("the \"fingerprint\" of a record is not 16 lower-case hex digits")?,
            body,
        })
    }

    fn encode(record: &SealedRecord) -> Self {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let (wrapped_key, enc, sealed) = match &record.body {
            Body::Wrapped { wrapped_key, sealed } => (Some(encode(wrapped_key)), None, sealed),
            Body::Accepted { enc, sealed } => (None, Some(encode(enc)), sealed),
        };
        Self {
            id: encode(&record.id.0),
            name: record.name.to_string(),
            version: record.version,
            bounds: record.bounds.to_text(),
            fingerprint: record.fingerprint.to_string(),
            wrapped_key,
            enc,
            sealed: encode(sealed),
        }
    }
}

impl RawEntry {
    fn decode(self) -> Result<Entry, &'static str> {
        Ok(Entry {
            id: RecordId(fixed(&self.id).ok_or("the \"id\" of a manifest entry is not 16 bytes of base64url")?),
            name: name_of(&self.name)?,
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

const NOT_A_STORE_ID: &str = "\"store\" is not 16 bytes of base64url";
const NOT_A_MAC: &str = "\"mac\" is not 32 bytes of base64url";
const NOT_A_PUBLIC_KEY: &str = "the recipient's \"public_key\" is not 32 bytes of base64url";

/// Width of a sealed key: nonce, key, tag.
const SEALED_KEY_LEN: usize = NONCE_LEN + 32 + TAG_LEN;

fn name_of(text: &str) -> Result<KeyName, &'static str> {
    KeyName::parse(text).map_err(|_| "a \"name\" is none")
}

/// A list that has one order, as a map: another order would be a change that nothing notices.
fn sorted<R, T>(
    raw: Vec<R>,
    unsorted: &'static str,
    decode: impl Fn(R) -> Result<(KeyName, T), &'static str>,
) -> Result<BTreeMap<KeyName, T>, &'static str> {
    let members = raw.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    if !members.is_sorted_by(|(one, _), (other, _)| one < other) {
        return Err(unsorted);
    }
    Ok(members.into_iter().collect())
}

fn json<'a, T: Deserialize<'a>>(place: &str, bytes: &'a [u8]) -> Result<T, StoreError> {
    let place = || place.to_owned();
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => return StoreError::Truncated { place: place() },
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "no JSON",
            serde_json::error::Category::Data => {
                "a field is missing, unknown, there twice, of another type or out of its bounds"
            }
        };
        StoreError::Malformed { place: place(), line: error.line(), column: error.column(), what }
    })
}
