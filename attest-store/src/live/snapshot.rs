//! In: rows of one generation. Out: what appraisal, signing and the feeds read, without a lock and without the database.

use std::{collections::HashMap, sync::Arc};

use attest_core::{
    appraisal::{DeviceFacts, DeviceState},
    device_key::DeviceId,
    feed::{Order, RevocationEntry},
    reference::Build,
    time::UnixTime,
};

use crate::{
    devices::{Mark, family::stricter},
    issuer::Issuer,
    keys::KeyRing,
};

/// Builds by app.
pub(super) type Builds = HashMap<String, Vec<Build>>;
/// Marked and enrolled devices.
pub(super) type Marks = HashMap<DeviceId, Mark>;

/// All that a running service reads of the database, of one generation.
#[derive(Debug)]
pub struct Snapshot {
    /// Rises with every change.
    pub generation: i64,
    /// The number of the key-set document that goes with it.
    pub key_set_number: u64,
    /// The last number of the revocation log.
    pub revocation_number: u64,
    /// The keys.
    pub keys: Arc<KeyRing>,
    /// What signs with them.
    pub issuer: Arc<Issuer>,
    /// What gateways must refuse.
    pub revocations: Arc<RevocationLog>,
    /// Operators' orders, by rising number, also those that ended since they were read.
    pub orders: Arc<[Order]>,
    pub(super) builds: Arc<Builds>,
    pub(super) marks: Arc<Marks>,
}

impl Snapshot {
    /// The builds registered for `app`, the newest first; none for an app that nobody registered.
    #[must_use]
    pub fn builds(&self, app: &str) -> &[Build] {
        self.builds.get(app).map_or(&[], Vec::as_slice)
    }

    /// The facts about `device` at `now`.
    #[must_use]
    pub fn device(&self, device: &DeviceId, now: UnixTime) -> DeviceFacts {
        let Some(mark) = self.marks.get(device) else { return DeviceFacts::default() };
        let over = |until: Option<UnixTime>| until.is_some_and(|until| until <= now);
        DeviceFacts {
            state: if over(mark.until) { DeviceState::Normal } else { mark.state },
            enrolled: mark.enrolled_until.is_some() && !over(mark.enrolled_until),
            ..DeviceFacts::default()
        }
    }

    /// The facts about `device` at `now`, whose request shows that it takes over from `previous`: the marks of both, so
    /// that a ban holds in the very first request of a new key.
    #[must_use]
    pub fn renewed_device(&self, device: &DeviceId, previous: &DeviceId, now: UnixTime) -> DeviceFacts {
        let (own, old) = (self.device(device, now), self.device(previous, now));
        DeviceFacts {
            state: stricter(own.state, old.state),
            enrolled: own.enrolled || old.enrolled,
            // It is as old as the key that it takes over from.
            age_hours: own.age_hours.max(old.age_hours),
            renewed_from: Some(*previous),
        }
    }
}

/// The revocations, as gateways are told them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationLog {
    number: u64,
    /// By number; of one thing, the last entry alone.
    entries: Vec<RevocationEntry>,
}

impl RevocationLog {
    /// The last number that was given; 0: none. It stays when its entry is over and forgotten: gateways take only higher
    /// ones.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The entries after `number`, by rising number.
    #[must_use]
    pub fn after(&self, number: u64) -> &[RevocationEntry] {
        let from = self.entries.partition_point(|entry| entry.number <= number);
        self.entries.get(from..).unwrap_or_default()
    }

    /// This log with `news` after it, up to `number`: each takes the place of an earlier entry about the same thing.
    pub(super) fn and(&self, news: Vec<RevocationEntry>, number: u64) -> Self {
        let replaced: std::collections::HashSet<_> =
            news.iter().map(|entry| (entry.kind, entry.value.as_str())).collect();
        let kept = self.entries.iter().filter(|entry| !replaced.contains(&(entry.kind, entry.value.as_str())));
        let mut entries: Vec<_> = kept.cloned().collect();
        entries.extend(news);
        Self { number, entries }
    }
}

#[cfg(test)]
mod tests {
    use attest_core::feed::RevocationKind;

    use super::*;

    fn entry(number: u64, value: &str, lifted: bool) -> RevocationEntry {
        RevocationEntry { number, kind: RevocationKind::App, value: value.to_owned(), since: 0, until: None, lifted }
    }

    #[test]
    fn a_later_entry_about_the_same_thing_takes_the_earlier_ones_place() {
        let log = RevocationLog::default().and(vec![entry(1, "a", false), entry(2, "b", false)], 2);
        let log = log.and(vec![entry(3, "a", true)], 3);
        assert_eq!(log.after(0), [entry(2, "b", false), entry(3, "a", true)]);
        assert_eq!(log.after(2), [entry(3, "a", true)]);
        assert!(log.after(3).is_empty() && log.after(u64::MAX).is_empty());
        assert_eq!(log.number(), 3);
    }
}
