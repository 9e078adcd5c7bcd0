//! Records of decisions: the last ones in memory, a sample of them in a file.
//!
//! In come decisions; out go records, which hold no token, no query and no header value. Few requests cost anything here: those of sampled
//! devices, all of them, so that a device's story is whole; and for the operators' listener all decisions while there are few, at most
//! [`REFUSED`] refusals and [`PERMITTED`] others in a second while there are many. A record waits for nobody: one that finds the
//! writer's buffer full is dropped and counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policies::recording::Record;
use settings::RecordSettings;

use crate::telemetry::access_log::{AccessLog, Writer};

mod file;

/// How many are kept in memory.
const KEPT: usize = 4096;
/// Refusals in a second that are kept in memory.
const REFUSED: u32 = 96;
/// Other decisions in a second that are.
const PERMITTED: u32 = 32;
/// Bytes of path of a record in memory; longer ones are cut there.
const LONGEST_PATH: usize = 2048;

/// One for the life of the process.
pub(crate) struct Recorder {
    last: Box<[Mutex<Option<Arc<Record>>>]>,
    next: AtomicUsize,
    refused: Budget,
    permitted: Budget,
    file: AccessLog,
    lost: Arc<AtomicU64>,
    /// Of a hash, below which its device is sampled.
    below: u64,
}

/// What a record is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    in_memory: bool,
    in_file: bool,
}

/// So many in a second: the number of the second and how many there were, in one word.
#[derive(Default)]
struct Budget(AtomicU64);

impl Budget {
    fn take(&self, steady: Duration, most: u32) -> bool {
        let second = steady.as_secs() & u64::from(u32::MAX);
        let taken = self.0.load(Relaxed);
        let (of, count) = (taken >> 32, taken & u64::from(u32::MAX));
        // Under load this is a read, and nothing else.
        if of == second && count >= u64::from(most) {
            return false;
        }
        let next = if of == second { taken + 1 } else { second << 32 | 1 };
        // Lost against another thread: that one had it.
        self.0.compare_exchange(taken, next, Relaxed, Relaxed).is_ok()
    }
}

impl Recorder {
    /// With a file, where the settings name one.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(crate) fn start(settings: Option<&RecordSettings>) -> std::io::Result<(Self, Writer)> {
        let lost = Arc::new(AtomicU64::new(0));
        let (file, writer) = match settings {
            None => AccessLog::disabled(),
            Some(settings) => {
                AccessLog::to(file::Rotating::open(settings.file.clone(), settings.max_size, lost.clone())?)?
            }
        };
        let share = settings.map_or(0, |settings| u64::from(settings.share));
        let recorder = Self {
            last: (0..KEPT).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
            refused: Budget::default(),
            permitted: Budget::default(),
            file,
            lost,
            below: share_of_hashes(share),
        };
        Ok((recorder, writer))
    }

    /// Whether a decision about this sender is written down. Costs two reads where it is not.
    pub(crate) fn wants(&self, sender: u64, is_refusal: bool, steady: Duration) -> Option<Wanted> {
        // Sticky: the same for all requests of a sender, in this process and the next.
        let in_file = sender < self.below;
        let in_memory =
            if is_refusal { self.refused.take(steady, REFUSED) } else { self.permitted.take(steady, PERMITTED) };
        (in_file || in_memory).then_some(Wanted { in_memory, in_file })
    }

    /// Keeps a record where it is wanted.
    pub(crate) fn keep(&self, mut record: Record, wanted: Wanted) {
        if wanted.in_file {
            let line = record.line();
            self.file.line(|out| out.extend_from_slice(line.as_bytes()));
        }
        if wanted.in_memory {
            let end = record.path.floor_char_boundary(LONGEST_PATH);
            record.path.truncate(end);
            record.path.shrink_to_fit();
            let at = self.next.fetch_add(1, Relaxed) % KEPT;
            if let Some(place) = self.last.get(at) {
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(record));
            }
        }
    }

    /// The record with this id, while it is kept.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Record>> {
        self.last.iter().find_map(|place| {
            let kept = place.lock().unwrap_or_else(PoisonError::into_inner);
            kept.as_ref().filter(|record| record.id == id).cloned()
        })
    }

    /// Whether there is a file.
    pub(crate) fn writes(&self) -> bool {
        self.file.enabled()
    }

    /// Records that did not reach the file: its writer was too slow, or its disk took nothing.
    pub(crate) fn dropped(&self) -> u64 {
        self.file.dropped().saturating_add(self.lost.load(Relaxed))
    }
}

/// Of all 64-bit numbers, so many millionths.
fn share_of_hashes(millionths: u64) -> u64 {
    match millionths {
        0 => 0,
        1_000_000.. => u64::MAX,
        some => u64::MAX / 1_000_000 * some,
    }
}

#[cfg(test)]
mod tests;
