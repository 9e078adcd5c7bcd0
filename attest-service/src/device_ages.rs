//! In: the device of an attest request whose challenge is good. Out: the hours since it was first seen, for its token; zero
//! where that is not known. What is proven: an answer never waits for it beyond a part of its quantum, and the same is
//! done for every device, before anything is appraised: no client learns from it how its appraisal ended.
//!
//! One thread asks the database, many devices at once; what it finds is kept, bounded. What comes too late for one token
//! is there for the next.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use attest_core::{
    device_key::DeviceId,
    time::{Clock, UnixTime},
};
use attest_store::{AgeReader, MAX_AGES, Store};
use quick_cache::sync::Cache;
use tokio::{sync::oneshot, time::timeout};
use tracing::dispatcher::{self, Dispatch};

/// Devices that are kept; 64 bytes each.
const KEPT: usize = 65_536;
/// Devices that wait for the database; more are not asked for.
const QUEUE: usize = 1_024;
/// What is known of a device is asked for anew after this long: an operator may have had it forgotten.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Who was not known is under an hour old for this long at least.
const UNKNOWN_FOR: Duration = Duration::from_secs(50 * 60);
const HOUR: u64 = 3600;

/// Knows since when devices are known. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DeviceAges {
    known: Arc<Cache<DeviceId, Known>>,
    queue: SyncSender<Asked>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

/// A device, and how long it has been known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgedDevice {
    /// Its id.
    pub(crate) id: DeviceId,
    /// Whole hours since it was first seen; 0: under an hour ago, or not known in time.
    pub(crate) hours: u16,
}

/// What the database said of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    first_seen: Option<UnixTime>,
    asked: UnixTime,
}

struct Asked {
    device: DeviceId,
    answered: oneshot::Sender<Known>,
}

impl DeviceAges {
    /// Starts the thread, which ends when every clone is dropped. An answer waits `patience` at most: a part of `quantum`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(store: &Store, clock: Arc<dyn Clock>, quantum: Duration) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::sync_channel(QUEUE);
        let known = Arc::new(Cache::new(KEPT));
        let ages = Self { known: Arc::clone(&known), queue, clock: Arc::clone(&clock), patience: quantum / 2 };
        let (mut reader, log) = (AgeReader::new(store), dispatcher::get_default(Dispatch::clone));
        thread::Builder::new().name("assay-ages".to_owned()).spawn(move || {
            dispatcher::with_default(&log, || answer_all(&mut reader, &inbox, &known, &*clock));
        })?;
        Ok(ages)
    }

    /// How old `device` is; as old as `previous`, from which it says that it takes over, where that is older.
    pub(crate) async fn of(&self, id: DeviceId, previous: Option<DeviceId>) -> AgedDevice {
        let hours = match previous {
            None => self.hours(id).await,
            Some(previous) => {
                let (own, old) = tokio::join!(self.hours(id), self.hours(previous));
                own.max(old)
            }
        };
        AgedDevice { id, hours }
    }

    async fn hours(&self, device: DeviceId) -> u16 {
        let now = self.clock.now();
        let known = match self.known.get(&device).filter(|known| known.is_good_at(now)) {
            Some(known) => Some(known),
            None => self.ask(device).await,
        };
        known.and_then(|known| known.first_seen).map_or(0, |first| hours_between(first, now))
    }

    async fn ask(&self, device: DeviceId) -> Option<Known> {
        let (answered, answer) = oneshot::channel();
        self.queue.try_send(Asked { device, answered }).ok()?;
        timeout(self.patience, answer).await.ok()?.ok()
    }
}

impl Known {
    fn is_good_at(&self, now: UnixTime) -> bool {
        let good_for = if self.first_seen.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        // Asked in our future: the clock was set back.
        now.since(self.asked).is_some_and(|passed| passed < good_for)
    }
}

fn hours_between(first: UnixTime, now: UnixTime) -> u16 {
    let hours = now.since(first).unwrap_or_default().as_secs() / HOUR;
    u16::try_from(hours).unwrap_or(u16::MAX)
}

/// Answers until nobody can ask any more.
fn answer_all(reader: &mut AgeReader, inbox: &Receiver<Asked>, known: &Cache<DeviceId, Known>, clock: &dyn Clock) {
    // Connects, so that the first device need not wait for it.
    let mut was_away = reader.first_seen(&[]).is_err();
    while let Ok(first) = inbox.recv() {
        let asked: Vec<Asked> = std::iter::once(first).chain(inbox.try_iter().take(MAX_AGES - 1)).collect();
        let devices: Vec<DeviceId> = asked.iter().map(|asked| asked.device).collect();
        let now = clock.now();
        let found = reader.first_seen(&devices);
        if let (Err(error), false) = (&found, was_away) {
            tracing::warn!(target: "assay::store", %error, "devices' ages can't be read: tokens tell none meanwhile");
        }
        was_away = found.is_err();
        // Without an answer whoever waits learns that there is none, at once.
        let Ok(found) = found else { continue };
        for Asked { device, answered } in asked {
            let answer = Known { first_seen: found.get(&device).copied(), asked: now };
            known.insert(device, answer);
            let _ = answered.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn hours_are_whole_never_negative_and_end_at_their_bound() {
        assert_eq!(hours_between(NOW, NOW), 0);
        assert_eq!(hours_between(NOW.minus(Duration::from_secs(3599)), NOW), 0);
        assert_eq!(hours_between(NOW.minus(Duration::from_secs(3600)), NOW), 1);
        assert_eq!(hours_between(NOW.plus(Duration::from_secs(9999)), NOW), 0, "a clock that was set back");
        assert_eq!(hours_between(UnixTime::from_secs(0), NOW), u16::MAX);
    }

    #[test]
    fn who_was_not_known_is_asked_for_again_before_it_is_an_hour_old() {
        let unknown = Known { first_seen: None, asked: NOW };
        assert!(unknown.is_good_at(NOW) && !unknown.is_good_at(NOW.plus(UNKNOWN_FOR)));
        let known = Known { first_seen: Some(NOW), asked: NOW };
        assert!(known.is_good_at(NOW.plus(UNKNOWN_FOR)) && !known.is_good_at(NOW.plus(KNOWN_FOR)));
        assert!(!known.is_good_at(NOW.minus(Duration::from_secs(1))), "the clock was set back");
    }
}
