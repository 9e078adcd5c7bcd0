//! Changing a store. In: the proven contents, changes. Out: the next generation in the document's place, whole; a change
//! that is not committed never happened. Nothing here overwrites a secret without saying so.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use attest_core::random::{Random, array};
use attest_core::time::UnixTime;
use zeroize::Zeroizing;

use super::contents::Contents;
use super::manifest::Head;
use super::{
    Disabled, Keystore, MAX_OPERATORS, MAX_PENDING, MAX_RECORDS, PendingInfo, SignedIn, StoreError, file, pending, read,
};
use crate::api_key::{ApiKey, KeyName};
use crate::bounds::Bounds;
use crate::document::{Revision, SealedDocument};
use crate::generation::{Age, GenerationMemory};
use crate::kek::KekHeader;
use crate::master_key::MasterKey;
use crate::operator::OperatorPublicKey;
use crate::pending::{PendingFingerprint, PendingRecord};
use crate::sealed::{Fingerprint, RecordFacts, RecordId, RewrapError, SealError, SealedRecord, VersionState};
use crate::store_keys::OuterKeys;

/// A store being changed. Dropped without [`Editor::commit`], nothing has changed.
pub struct Editor {
    document: Box<dyn SealedDocument>,
    place: String,
    read: Revision,
    contents: Contents,
}

/// What a `put` or an `accept` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The new version.
    pub version: NonZeroU32,
    /// `Current` for a new name. `Next` for one that exists: it waits for `rotate`, and what is in use stays in use.
    pub state: VersionState,
    /// The fingerprint of the secret.
    pub fingerprint: Fingerprint,
}

/// What a rotation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The version that is injected from now on.
    pub current: NonZeroU32,
    /// The one that was, kept so that it is still scrubbed from answers.
    pub previous: NonZeroU32,
    /// The one that was previous before, now gone.
    pub dropped: Option<NonZeroU32>,
}

impl Editor {
    pub(super) fn open(
        document: Box<dyn SealedDocument>,
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<Self, StoreError> {
        let place = document.place();
        let bytes = document.read().map_err(StoreError::at(&place))?;
        let contents = read::open(&place, &bytes, master, memory)?;
        let read = Revision::of(&bytes, contents.head.generation);
        Ok(Self { document, place, read, contents })
    }

    /// Seals a secret. Under a new name it is current at once; under a name that exists it waits as `next`, whatever its
    /// bounds, until [`Editor::rotate`].
    ///
    /// # Errors
    /// `SecretRefused` when the recipe can't use it, `NextExists` when one waits already, `SameSecret` when the key has this
    /// secret, `Full`, or no randomness.
    pub fn put(
        &mut self,
        name: &KeyName,
        secret: &ApiKey,
        bounds: Bounds,
        random: &dyn Random,
    ) -> Result<Put, StoreError> {
        let refused = |why| StoreError::SecretRefused { name: name.clone(), why };
        bounds.recipe().credential(secret.expose()).map_err(refused)?;
        if self.contents.is_full() {
            return Err(StoreError::Full { what: "versions of keys", most: MAX_RECORDS });
        }
        if let Some(version) = self.contents.version_of(name, VersionState::Next) {
            return Err(StoreError::NextExists { name: name.clone(), version });
        }
        let fingerprint = self.contents.keys.fingerprint_of(secret);
        let mut versions = self.contents.records_of(name).iter();
        if let Some((_, same)) =
            versions.find(|(_, record)| record.fingerprint == fingerprint && record.bounds == bounds)
        {
            return Err(StoreError::SameSecret { name: name.clone(), version: same.version });
        }
        let (id, version, state) = match self.contents.newest(name) {
            Some((id, version)) => (id, version.saturating_add(1), VersionState::Next),
            None => (RecordId(array(random).map_err(SealError::from)?), NonZeroU32::MIN, VersionState::Current),
        };
        let facts = RecordFacts { id, name: name.clone(), version, bounds };
        let record = SealedRecord::seal(facts, secret, &self.contents.keys, random)?;
        self.contents.insert(state, record);
        Ok(Put { version, state, fingerprint })
    }

    /// Takes a pending record in, as [`Editor::put`] would its secret. Whoever calls it has compared the fingerprint with
    /// what the record's maker saw, or knows why not.
    ///
    /// # Errors
    /// `NoSuchPending`; `WhichPending` when there are several and no fingerprint; `NotAcceptable`, saying why.
    pub fn accept(&mut self, name: &KeyName, fingerprint: Option<PendingFingerprint>) -> Result<Put, StoreError> {
        let wanted = |record: &PendingRecord| is_meant(record, name, fingerprint);
        let found = self.contents.pending.iter().filter(|(_, record)| wanted(record)).count();
        match found {
            0 => return Err(StoreError::NoSuchPending { name: name.clone() }),
            1 => {}
            count => return Err(StoreError::WhichPending { name: name.clone(), count }),
        }
        let Some(at) = self.contents.pending.iter().position(|(_, record)| wanted(record)) else {
            return Err(StoreError::NoSuchPending { name: name.clone() });
        };
        let (state, record) = self.contents.pending.remove(at);
        let adopted = pending::adopt(&mut self.contents, &record);
        adopted.map_err(|why| {
            self.contents.pending.insert(at, (state, record));
            StoreError::NotAcceptable { name: name.clone(), why }
        })
    }

    /// Throws pending records of this name away: the one with that fingerprint, or all. How many.
    ///
    /// # Errors
    /// `NoSuchPending`.
    pub fn reject(&mut self, name: &KeyName, fingerprint: Option<PendingFingerprint>) -> Result<usize, StoreError> {
        let before = self.contents.pending.len();
        self.contents.pending.retain(|(_, record)| !is_meant(record, name, fingerprint));
        match before - self.contents.pending.len() {
            0 => Err(StoreError::NoSuchPending { name: name.clone() }),
            gone => Ok(gone),
        }
    }

    /// Puts the next version into use: `next` becomes `current`, `current` becomes `previous`, the old `previous` goes.
    ///
    /// # Errors
    /// `NoSuchKey`, or `NoNext` when nothing waits.
    pub fn rotate(&mut self, name: &KeyName) -> Result<Rotated, StoreError> {
        let version_of = |state| self.contents.version_of(name, state);
        let previous = version_of(VersionState::Current).ok_or_else(|| StoreError::NoSuchKey { name: name.clone() })?;
        let current = version_of(VersionState::Next).ok_or_else(|| StoreError::NoNext { name: name.clone() })?;
        let dropped = version_of(VersionState::Previous);
        self.contents.records.retain(|(state, record)| record.name != *name || *state != VersionState::Previous);
        for (state, _) in self.contents.records_of_mut(name) {
            *state = if *state == VersionState::Next { VersionState::Current } else { VersionState::Previous };
        }
        Ok(Rotated { current, previous, dropped })
    }

    /// Takes a rotation back: `previous` becomes `current` again, and `current` becomes `previous`. What waits as `next` goes
    /// on waiting.
    ///
    /// # Errors
    /// `NoSuchKey`, or `NoPrevious` when none is kept.
    pub fn rotate_back(&mut self, name: &KeyName) -> Result<Rotated, StoreError> {
        let version_of = |state| self.contents.version_of(name, state);
        let previous = version_of(VersionState::Current).ok_or_else(|| StoreError::NoSuchKey { name: name.clone() })?;
        let current =
            version_of(VersionState::Previous).ok_or_else(|| StoreError::NoPrevious { name: name.clone() })?;
        for (state, _) in self.contents.records_of_mut(name) {
            *state = match *state {
                VersionState::Current => VersionState::Previous,
                VersionState::Previous => VersionState::Current,
                VersionState::Next => VersionState::Next,
            };
        }
        Ok(Rotated { current, previous, dropped: None })
    }

    /// Removes the version of a key that waits, and leaves what is in use. Which one it was.
    ///
    /// # Errors
    /// `NoSuchKey`, or `NoNext` when nothing waits.
    pub fn remove_next(&mut self, name: &KeyName) -> Result<NonZeroU32, StoreError> {
        self.known(name)?;
        let next = self.contents.version_of(name, VersionState::Next);
        let next = next.ok_or_else(|| StoreError::NoNext { name: name.clone() })?;
        self.contents.records.retain(|(state, record)| record.name != *name || *state != VersionState::Next);
        Ok(next)
    }

    /// Removes a key with all its versions.
    ///
    /// # Errors
    /// `NoSuchKey`.
    pub fn remove(&mut self, name: &KeyName) -> Result<(), StoreError> {
        self.known(name)?;
        self.contents.records.retain(|(_, record)| record.name != *name);
        self.contents.head.disabled.remove(name);
        Ok(())
    }

    /// Switches a key off: until then, or until it is enabled. It stays in the store, and its versions in the response
    /// guard.
    ///
    /// # Errors
    /// `NoSuchKey`.
    pub fn disable(&mut self, name: &KeyName, until: Option<UnixTime>) -> Result<(), StoreError> {
        self.known(name)?;
        self.contents.head.disabled.insert(name.clone(), Disabled { until });
        Ok(())
    }

    /// Switches a key on again; whether it was off.
    ///
    /// # Errors
    /// `NoSuchKey`.
    pub fn enable(&mut self, name: &KeyName) -> Result<bool, StoreError> {
        self.known(name)?;
        Ok(self.contents.head.disabled.remove(name).is_some())
    }

    /// Lists an operator: from now on his signature takes a pending record in.
    ///
    /// # Errors
    /// `OperatorExists` for a name or key that is listed, `Full`.
    pub fn add_operator(&mut self, name: &KeyName, key: OperatorPublicKey) -> Result<(), StoreError> {
        let operators = &mut self.contents.head.operators;
        if operators.len() >= MAX_OPERATORS {
            return Err(StoreError::Full { what: "operators", most: MAX_OPERATORS });
        }
        if operators.iter().any(|(other, listed)| other == name || *listed == key) {
            return Err(StoreError::OperatorExists { name: name.clone() });
        }
        operators.insert(name.clone(), key);
        Ok(())
    }

    /// Takes an operator off the list. What he had signed before and was taken in stays.
    ///
    /// # Errors
    /// `NoSuchOperator`.
    pub fn remove_operator(&mut self, name: &KeyName) -> Result<(), StoreError> {
        match self.contents.head.operators.remove(name) {
            Some(_) => Ok(()),
            None => Err(StoreError::NoSuchOperator { name: name.clone() }),
        }
    }

    /// Moves the whole store to another key-encryption key: every data key is wrapped anew, and there is a new public key to
    /// seal with. Committed in one replacement, like every change.
    ///
    /// This revokes nothing: who had the old key-encryption key and an old document has the secrets in it.
    ///
    /// # Errors
    /// `OtherKek` when `kek` describes another key than `master`, `SameKek`, `PendingInTheWay`, or no randomness.
    pub fn rotate_kek(&mut self, kek: KekHeader, master: &MasterKey, random: &dyn Random) -> Result<(), StoreError> {
        if kek.id() != master.id() {
            return Err(StoreError::OtherKek { head: kek.id().to_owned(), given: master.id() });
        }
        if kek.id() == self.contents.head.kek.id() {
            return Err(StoreError::SameKek { id: master.id() });
        }
        if !self.contents.pending.is_empty() {
            return Err(StoreError::PendingInTheWay { count: self.contents.pending.len() });
        }
        let Contents { head, records, keys, .. } = &self.contents;
        let (fresh, sealed_keys) = keys.under(&head.keys, &head.store, master, random)?;
        let rewrapped = records.iter().map(|(state, record)| {
            let moved = record.rewrap(keys, &fresh, random).map_err(|error| match error {
                RewrapError::Seal(error) => StoreError::Seal(error),
                RewrapError::DoesNotUnseal(_) => StoreError::DoesNotUnseal {
                    place: self.place.clone(),
                    name: record.name.clone(),
                    version: record.version,
                },
            })?;
            Ok((*state, moved))
        });
        self.contents.records = rewrapped.collect::<Result<_, StoreError>>()?;
        self.contents.head.kek = kek;
        self.contents.head.keys = sealed_keys;
        self.contents.keys = Arc::new(fresh);
        Ok(())
    }

    /// The generation that is being changed.
    pub fn generation(&self) -> u64 {
        self.contents.head.generation
    }

    /// What is pending now.
    pub fn pending(&self) -> Vec<PendingInfo> {
        self.contents.pending.iter().map(|(state, record)| PendingInfo::new(*state, record)).collect()
    }

    /// What operators have signed in since the last change: the commit makes it part of the store for good.
    pub fn signed_in(&self) -> &[SignedIn] {
        &self.contents.signed_in
    }

    /// The key of the store's audit chain: see [`Keystore::audit_key`].
    pub fn audit_key(&self) -> Zeroizing<[u8; 32]> {
        self.contents.keys.audit()
    }

    /// Writes the next generation. A kill at any moment leaves this generation or the one before.
    ///
    /// # Errors
    /// The document or the memory can't be written. Whether the new generation may stand: [`StoreError::may_stand`].
    pub fn commit(mut self, memory: &GenerationMemory) -> Result<Keystore, StoreError> {
        self.contents.head.generation = self.contents.head.generation.saturating_add(1);
        let generation = self.contents.head.generation;
        let bytes = self.contents.encoded(&self.place)?;
        self.document.replace(&self.read, &bytes, generation).map_err(StoreError::at(&self.place))?;
        memory.remember(&self.contents.head.store, generation)?;
        pending::look_again(&mut self.contents);
        Ok(Keystore::new(&self.contents))
    }

    fn known(&self, name: &KeyName) -> Result<(), StoreError> {
        match self.contents.records_of(name) {
            [] => Err(StoreError::NoSuchKey { name: name.clone() }),
            _ => Ok(()),
        }
    }
}

/// Makes a new, empty store.
pub(super) fn create(
    document: &dyn SealedDocument,
    kek: KekHeader,
    master: &MasterKey,
    memory: &GenerationMemory,
    random: &dyn Random,
) -> Result<Keystore, StoreError> {
    if kek.id() != master.id() {
        return Err(StoreError::OtherKek { head: kek.id().to_owned(), given: master.id() });
    }
    let store = array(random).map_err(SealError::from)?;
    let (keys, sealed_keys) = OuterKeys::new(master, &store).fresh(&store, random)?;
    let (operators, disabled) = Default::default();
    let head = Head { store, generation: 1, kek, keys: sealed_keys, operators, disabled };
    let (records, pending, signed_in) = Default::default();
    let mut contents = Contents { head, mac: [0; 32], records, pending, signed_in, keys: Arc::new(keys) };
    let place = document.place();
    document.create(&contents.encoded(&place)?, 1).map_err(StoreError::at(&place))?;
    memory.remember(&store, 1)?;
    Ok(Keystore::new(&contents))
}

/// Adds a pending record; the generation and everything that is authenticated stay as they are.
pub(super) fn append_pending(document: &dyn SealedDocument, record: PendingRecord) -> Result<(), StoreError> {
    let place = document.place();
    let bytes = document.read().map_err(StoreError::at(&place))?;
    let mut parsed = file::parse(&place, &bytes)?;
    let head = &parsed.manifest.head;
    let (own, read) = (head.keys.recipient, Revision::of(&bytes, head.generation));
    if record.recipient != own {
        return Err(StoreError::OtherRecipient { place, sealed_for: record.recipient, own });
    }
    // The same record again, with a signature that it did not have.
    let fingerprint = record.fingerprint();
    parsed.pending.retain(|other| other.fingerprint() != fingerprint);
    if parsed.pending.len() >= MAX_PENDING {
        return Err(StoreError::Full { what: "pending records", most: MAX_PENDING });
    }
    parsed.pending.push(record);
    let bytes = file::write(&parsed.manifest, parsed.records.iter(), parsed.pending.iter())
        .map_err(|error| StoreError::Io { place: place.clone(), source: error.into() })?;
    document.replace(&read, &bytes, read.generation).map_err(StoreError::at(&place))
}

/// Takes an old generation for the latest.
pub(super) fn accept_rollback(
    place: &str,
    bytes: &[u8],
    master: &MasterKey,
    memory: &GenerationMemory,
) -> Result<(u64, Option<u64>), StoreError> {
    let head = read::open_of_any_age(place, bytes, master)?.head;
    let found = head.generation;
    if let Age::BelowMinimum { least } = memory.age_of(&head.store, found)? {
        return Err(StoreError::BelowMinimum { place: place.to_owned(), found, least });
    }
    let seen = memory.seen(&head.store)?;
    memory.accept(&head.store, found)?;
    Ok((found, seen))
}

/// Whether a pending record is the one, or one of those, that a command names.
fn is_meant(record: &PendingRecord, name: &KeyName, fingerprint: Option<PendingFingerprint>) -> bool {
    record.name == *name && fingerprint.is_none_or(|fingerprint| record.fingerprint() == fingerprint)
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Editor({}, generation {})", self.place, self.contents.head.generation)
    }
}
