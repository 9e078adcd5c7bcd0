//! What is told of a store: lists, heads, states. In: proven records, or an unproven head. Out: what commands and operators
//! see; never a value.

use std::num::NonZeroU32;

use attest_core::time::UnixTime;
use serde::Serialize;

use crate::bounds::BoundsText;
use crate::kek::KekHeader;
use crate::pending::PendingRecord;
use crate::recipient::PublicKey;
use crate::sealed::{SealedRecord, VersionState};

/// What a store says of itself in the clear, read without any key: enough to find the key-encryption key, and to seal with
/// the public one. Nothing of it is proven, the public key neither: pin that one where secrets are sealed.
#[derive(Debug, Clone)]
pub struct UnprovenHead {
    /// The store's id.
    pub store: [u8; 16],
    /// Its generation.
    pub generation: u64,
    /// The MAC of its manifest: what an operator's signature is made on top of.
    pub manifest: [u8; 32],
    /// Its key-encryption key, and where that comes from.
    pub kek: KekHeader,
    /// The public key to seal with.
    pub public_key: PublicKey,
    /// What is pending.
    pub pending: Vec<PendingRecord>,
}

/// One key in a list: all that is known of it, but for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<VersionInfo>,
    /// Whether it is switched off, and until when.
    pub disabled: Option<Disabled>,
}

/// A key that an operator has switched off: it stays in the store, and no request gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disabled {
    /// When it is on again by itself, in Unix seconds; `None`: when it is enabled.
    #[serde(serialize_with = "until_secs")]
    pub until: Option<UnixTime>,
}

/// One version of a key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionInfo {
    /// The version, counted from 1.
    pub version: NonZeroU32,
    /// Where it stands in a rotation.
    pub state: VersionState,
    /// The fingerprint of its secret: 16 hex digits.
    pub fingerprint: String,
    /// Its bounds.
    pub bounds: BoundsText,
}

impl Disabled {
    /// Whether the key is still off at `now`.
    pub fn is_in_force(self, now: UnixTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

fn until_secs<S: serde::Serializer>(until: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    until.map(UnixTime::secs).serialize(serializer)
}

impl KeyInfo {
    pub(super) fn new(name: &str, versions: &[(VersionState, SealedRecord)], disabled: Option<Disabled>) -> Self {
        let versions = versions.iter().map(|(state, record)| VersionInfo::new(*state, record)).collect();
        Self { name: name.to_owned(), versions, disabled }
    }
}

impl VersionInfo {
    fn new(state: VersionState, record: &SealedRecord) -> Self {
        Self {
            version: record.version(),
            state,
            fingerprint: record.fingerprint().to_string(),
            bounds: record.bounds().to_text(),
        }
    }
}
