//! Revocations, ready to be asked on every request.
//!
//! In: [`RevocationDocument`]s, from the beginning and then change by change. Out: an [`Index`] that says for a verified
//! token whether it was revoked. A small filter answers for nearly every good device; behind it stands the exact list, so
//! the filter decides nothing alone. Asking allocates nothing.
//!
//! Memory: 20 bytes for each revoked device and 2 for its place in the filter, 22 MB for 1,000,000; besides that, what
//! changed since the list was last put in order (at most a sixteenth of it, or 4096 devices).

mod devices;
mod filter;

use std::collections::HashMap;

use crate::device_key::DeviceId;
use crate::feed::{RevocationDocument, RevocationEntry, RevocationKind};
use crate::time::UnixTime;
use crate::token::claims::Claims;
use crate::token::verify::{Facts, Revoked};

use devices::Devices;

/// Devices that an index holds at most.
pub const MAX_REVOKED_DEVICES: usize = 2_000_000;

/// Apps, builds, keys and moments that an index holds at most, of each.
pub const MAX_REVOKED_OTHERS: usize = 65_536;

/// Why a document can't be applied. The index is as it was before.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum IndexError {
    /// It continues from a number that this index has not reached: ask again from [`Index::number`].
    #[error("the document continues after number {from}, and number {have} is reached")]
    Gap {
        /// Where it continues.
        from: u64,
        /// What the index has.
        have: u64,
    },
    /// It ends before what is known already.
    #[error("the document ends at number {got}, and number {have} is reached")]
    Older {
        /// Where it ends.
        got: u64,
        /// What the index has.
        have: u64,
    },
    /// More than an index holds.
    #[error("more revocations than {MAX_REVOKED_DEVICES} devices and {MAX_REVOKED_OTHERS} of each other kind")]
    TooMany,
}

/// Unix seconds from which a revocation no longer holds; `u32::MAX` for one that always does. 32 bits last until 2106.
type Until = u32;

const FOR_EVER: Until = u32::MAX;

/// What was revoked. Cloning shares the long list of devices, so that a change costs what changed.
#[derive(Clone, Debug, Default)]
pub struct Index {
    number: u64,
    latest: u64,
    issued: UnixTime,
    devices: Devices,
    apps: HashMap<Box<str>, Until>,
    builds: HashMap<u32, Until>,
    kids: HashMap<Box<str>, Until>,
    issued_before: HashMap<i64, Until>,
}

impl Index {
    /// The index of entries that hold, in the order of their numbers; for whoever keeps the log itself.
    ///
    /// # Errors
    /// [`IndexError::TooMany`].
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a RevocationEntry>) -> Result<Self, IndexError> {
        let mut index = Self::default();
        for entry in entries {
            index.put(entry);
            index.number = entry.number;
        }
        index.latest = index.number;
        index.check_bounds()?;
        index.devices.settle();
        Ok(index)
    }

    /// Applies a document. One that begins at the beginning (`from` 0) replaces everything known before.
    ///
    /// # Errors
    /// [`IndexError`]; the index is then unchanged.
    pub fn apply(&mut self, document: &RevocationDocument) -> Result<(), IndexError> {
        let have = self.number;
        if document.number < have {
            return Err(IndexError::Older { got: document.number, have });
        }
        if document.from > have {
            return Err(IndexError::Gap { from: document.from, have });
        }
        let mut next = if document.from == 0 { Self::default() } else { self.clone() };
        for entry in &document.entries {
            next.put(entry);
        }
        next.check_bounds()?;
        next.devices.settle();
        (next.number, next.latest, next.issued) = (document.number, document.latest, document.issued());
        *self = next;
        Ok(())
    }

    /// The number reached.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it holds all that the service had said when the last document was made. Until then a gateway knows only a
    /// part of what was revoked.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.number == self.latest
    }

    /// When the last document applied was made.
    #[must_use]
    pub const fn issued(&self) -> UnixTime {
        self.issued
    }

    /// Devices in it.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Bytes of memory that its lists take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let others = self.apps.capacity() + self.builds.capacity() + self.kids.capacity();
        self.devices.bytes() + others * 48 + self.issued_before.capacity() * 16
    }

    fn put(&mut self, entry: &RevocationEntry) {
        let until = match (entry.lifted, entry.until) {
            (true, _) => None,
            (false, None) => Some(FOR_EVER),
            // A moment before 1970 is over; one after 2106 does not end.
            (false, Some(secs)) => Some(Until::try_from(secs.max(0)).unwrap_or(FOR_EVER)),
        };
        match entry.kind {
            RevocationKind::Device => {
                if let Ok(device) = entry.value.parse::<DeviceId>() {
                    self.devices.put(*device.as_bytes(), until);
                }
            }
            RevocationKind::App => set(&mut self.apps, entry.value.as_str().into(), until),
            RevocationKind::Kid => set(&mut self.kids, entry.value.as_str().into(), until),
            RevocationKind::Build => {
                if let Ok(number) = entry.value.parse() {
                    set(&mut self.builds, number, until);
                }
            }
            RevocationKind::IssuedBefore => {
                if let Ok(secs) = entry.value.parse() {
                    set(&mut self.issued_before, secs, until);
                }
            }
        }
    }

    fn check_bounds(&self) -> Result<(), IndexError> {
        let others = [self.apps.len(), self.builds.len(), self.kids.len(), self.issued_before.len()];
        if self.devices.len() > MAX_REVOKED_DEVICES || others.into_iter().any(|length| length > MAX_REVOKED_OTHERS) {
            return Err(IndexError::TooMany);
        }
        Ok(())
    }

    fn issued_too_early(&self, claims: &Claims, now: Until) -> bool {
        // A token that does not say when it was issued may have been issued at any time.
        let iat = claims.iat().map_or(i64::MIN, UnixTime::secs);
        self.issued_before.iter().any(|(before, until)| iat < *before && now < *until)
    }

    fn device_revoked(&self, claims: &Claims, now: Until) -> bool {
        let device = claims.did().and_then(|did| did.parse::<DeviceId>().ok());
        device.is_some_and(|device| self.devices.until(device.as_bytes()).is_some_and(|until| now < until))
    }
}

impl Revoked for Index {
    fn revokes(&self, claims: &Claims, facts: &Facts, kid: Option<&str>, now: UnixTime) -> Option<RevocationKind> {
        // A clock outside these bounds ends no revocation.
        let now = Until::try_from(now.secs()).unwrap_or_default();
        let holds = |until: Option<&Until>| until.is_some_and(|until| now < *until);
        if kid.is_some_and(|kid| holds(self.kids.get(kid))) {
            return Some(RevocationKind::Kid);
        }
        if self.issued_too_early(claims, now) {
            return Some(RevocationKind::IssuedBefore);
        }
        if claims.app().is_some_and(|app| holds(self.apps.get(app))) {
            return Some(RevocationKind::App);
        }
        if holds(self.builds.get(&facts.build)) {
            return Some(RevocationKind::Build);
        }
        self.device_revoked(claims, now).then_some(RevocationKind::Device)
    }
}

fn set<K: Eq + std::hash::Hash>(map: &mut HashMap<K, Until>, key: K, until: Option<Until>) {
    match until {
        Some(until) => drop(map.insert(key, until)),
        None => drop(map.remove(&key)),
    }
}

#[cfg(test)]
mod tests;
