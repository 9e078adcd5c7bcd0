//! From pending to part of the store. In: pending records, the proven contents. Out: the contents with those taken in that
//! a listed operator signed for this very document; for each of the others, what it waits for. A bad one is told and
//! passed over: who may only add must not be able to keep the store from opening.

use std::fmt;
use std::num::NonZeroU32;

use serde::Serialize;

use super::contents::Contents;
use super::{Put, VersionState};
use crate::api_key::KeyName;
use crate::bounds::BoundsText;
use crate::operator::OperatorPublicKey;
use crate::pending::PendingRecord;
use crate::sealed::{RecordFacts, RecordId, SealedRecord};

/// What a pending record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PendingState {
    /// To be accepted, once its fingerprint was compared with what its maker saw.
    Waiting,
    /// For nothing: sealed with another public key.
    OtherPublicKey,
    /// For nothing: it does not open, it was changed.
    DoesNotOpen,
    /// To be accepted: signed by somebody whom the store does not list.
    UnknownOperator,
    /// For nothing: the signature is not the operator's over this record.
    BadSignature,
    /// To be accepted, or signed again: the store was changed since.
    StaleSignature,
    /// For the next version to be rotated in.
    NextExists,
    /// For nothing: the key has this very secret.
    SameSecret,
    /// For room.
    Full,
}

/// A pending record in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingInfo {
    /// The name it asks for.
    pub name: String,
    /// What to compare before accepting it: 32 hex digits.
    pub fingerprint: String,
    /// What it waits for.
    pub state: PendingState,
    /// The operator who signed it, if one did.
    pub signer: Option<String>,
    /// Its bounds.
    pub bounds: BoundsText,
}

/// What an operator's signature took in: part of the store as long as nothing else changes, and for good with the next change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The key's name.
    pub name: KeyName,
    /// What it became.
    pub put: Put,
    /// Who signed.
    pub signer: OperatorPublicKey,
}

/// Sorts pending records: good signatures take theirs in, the others wait.
pub(super) fn take_in(contents: &mut Contents, pending: Vec<PendingRecord>) {
    for record in pending {
        let taken = signature_of(contents, &record).and_then(|signer| Ok((signer, adopt(contents, &record)?)));
        match taken {
            Ok((signer, put)) => contents.signed_in.push(SignedIn { name: record.name, put, signer }),
            Err(state) => contents.pending.push((state, record)),
        }
    }
}

/// What each waits for after a change: no signature holds for a later document.
pub(super) fn look_again(contents: &mut Contents) {
    contents.signed_in.clear();
    let pending = std::mem::take(&mut contents.pending);
    let again = pending.into_iter().map(|(_, record)| {
        let state = signature_of(contents, &record).err().unwrap_or(PendingState::Waiting);
        (state, record)
    });
    contents.pending = again.collect();
}

/// Makes a pending record the current version of a new key, or the next one of a key that is there.
pub(super) fn adopt(contents: &mut Contents, pending: &PendingRecord) -> Result<Put, PendingState> {
    if pending.recipient != contents.keys.recipient {
        return Err(PendingState::OtherPublicKey);
    }
    if contents.is_full() {
        return Err(PendingState::Full);
    }
    if contents.version_of(&pending.name, VersionState::Next).is_some() {
        return Err(PendingState::NextExists);
    }
    let newest = contents.newest(&pending.name);
    let (id, version, state) = match newest {
        Some((id, version)) => (id, version.saturating_add(1), VersionState::Next),
        // As random as the encapsulated key in it.
        None => (RecordId(pending.fingerprint().0), NonZeroU32::MIN, VersionState::Current),
    };
    let (name, bounds) = (pending.name.clone(), pending.bounds.clone());
    let record = SealedRecord::accept(RecordFacts { id, name, version, bounds }, pending, &contents.keys)
        .map_err(|_| PendingState::DoesNotOpen)?;
    let same = |other: &SealedRecord| other.fingerprint == record.fingerprint && other.bounds == record.bounds;
    if contents.records_of(&pending.name).iter().any(|(_, other)| same(other)) {
        return Err(PendingState::SameSecret);
    }
    let put = Put { version, state, fingerprint: record.fingerprint };
    contents.insert(state, record);
    Ok(put)
}

/// The operator who vouches for it here and now; else what it waits for.
fn signature_of(contents: &Contents, record: &PendingRecord) -> Result<OperatorPublicKey, PendingState> {
    if record.recipient != contents.keys.recipient {
        return Err(PendingState::OtherPublicKey);
    }
    if record.open(&contents.keys.recipient_key).is_err() {
        return Err(PendingState::DoesNotOpen);
    }
    let Some(signature) = record.signature else { return Err(PendingState::Waiting) };
    if !contents.head.operators.values().any(|listed| *listed == signature.operator) {
        return Err(PendingState::UnknownOperator);
    }
    if !record.is_genuine(&signature, &contents.head.store) {
        return Err(PendingState::BadSignature);
    }
    // On top of an older document it may be an old record put back, with a key that was rotated away since.
    if signature.manifest != contents.mac {
        return Err(PendingState::StaleSignature);
    }
    Ok(signature.operator)
}

impl PendingInfo {
    pub(super) fn new(state: PendingState, record: &PendingRecord) -> Self {
        Self {
            name: record.name.to_string(),
            fingerprint: record.fingerprint().to_string(),
            state,
            signer: record.signer().map(|signer| signer.to_string()),
            bounds: record.bounds.to_text(),
        }
    }
}

impl fmt::Display for PendingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "it waits to be accepted",
            Self::OtherPublicKey => "it is sealed with another public key; seal it again",
            Self::DoesNotOpen => "it does not open: it was changed; seal it again",
            Self::UnknownOperator => "its signer is no operator of this store",
            Self::BadSignature => "its signature is not the operator's",
            Self::StaleSignature => "it was signed before the store's last change; sign it again, or accept it",
            Self::NextExists => "the key has a next version already; rotate first",
            Self::SameSecret => "the key has this very secret already",
            Self::Full => "the store is full",
        })
    }
}
