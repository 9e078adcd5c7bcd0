//! Revoked devices: a long sorted list that is shared between editions, and what changed since it was made.

use std::collections::HashMap;
use std::sync::Arc;

use super::Until;
use super::filter::Filter;

/// Changes that are kept beside the list at least, before it is made anew.
const FEW: usize = 4_096;

/// The share of the list that changes may amount to before it is made anew.
const SHARE: usize = 16;

/// Device ids, each with the end of its revocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Devices {
    listed: Arc<Listed>,
    /// `None`: was lifted since the list was made.
    changed: HashMap<[u8; 16], Option<Until>>,
    count: usize,
}

#[derive(Debug, Default)]
struct Listed {
    filter: Filter,
    /// Sorted by id; 20 bytes an entry.
    entries: Box<[([u8; 16], Until)]>,
}

impl Listed {
    fn until(&self, id: &[u8; 16]) -> Option<Until> {
        if !self.filter.may_hold(id) {
            return None;
        }
        let at = self.entries.binary_search_by(|(other, _)| other.cmp(id)).ok()?;
        self.entries.get(at).map(|(_, until)| *until)
    }
}

impl Devices {
    /// Revokes the device, or takes it back.
    pub(super) fn put(&mut self, id: [u8; 16], until: Option<Until>) {
        let before = self.until(&id).is_some();
        self.count = self.count + usize::from(until.is_some()) - usize::from(before);
        self.changed.insert(id, until);
    }

    /// The end of its revocation; `None` where it is not revoked.
    pub(super) fn until(&self, id: &[u8; 16]) -> Option<Until> {
        if !self.changed.is_empty()
            && let Some(changed) = self.changed.get(id)
        {
            return *changed;
        }
        self.listed.until(id)
    }

    /// Devices revoked.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Makes the list anew when the changes have become many.
    pub(super) fn settle(&mut self) {
        if self.changed.len() > FEW.max(self.listed.entries.len() / SHARE) {
            self.settle_now();
        }
    }

    pub(super) fn settle_now(&mut self) {
        let kept = self.listed.entries.iter().filter(|(id, _)| !self.changed.contains_key(id)).copied();
        let added = self.changed.iter().filter_map(|(id, until)| until.map(|until| (*id, until)));
        let mut entries: Vec<([u8; 16], Until)> = Vec::with_capacity(self.count);
        entries.extend(kept.chain(added));
        entries.sort_unstable_by_key(|(id, _)| *id);
        let filter = Filter::of(entries.iter().map(|(id, _)| id));
        self.listed = Arc::new(Listed { filter, entries: entries.into() });
        self.changed = HashMap::new();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        // A slot of the map: id, option, and a byte of its own.
        self.listed.filter.bytes() + self.listed.entries.len() * 20 + self.changed.capacity() * 25
    }
}
