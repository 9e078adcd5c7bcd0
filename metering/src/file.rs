//! Budgets over a restart: they protect money, so a restart must not give a second one.
//!
//! In: a ledger, or the bytes of a file. Out: the bytes of a file, or a ledger as it was. The file has a length that
//! follows from its own count, at most [`MOST_BYTES`], and a digest at its end. What can't be read is never read as empty:
//! [`restore`] says so, and the caller closes the windows of that moment.
//!
//! ```text
//! 8 bytes  "ASSAYBG1"
//! 8 bytes  number of cells
//! n times  16 bytes subject, 8 window in ms, 8 number of the window, 8 spent
//! 32 bytes SHA-256 of all before
//! ```
//! Numbers are big-endian. Subjects are digests; they name no device and no address, but an address can be guessed
//! from one: the file is for its owner alone.

use attest_core::time::UnixTime;
use aws_lc_rs::digest::{SHA256, digest};

use crate::ledger::{Cell, Ledger, MOST};

/// The longest file: that of a full ledger.
pub const MOST_BYTES: usize = HEAD + MOST * CELL + DIGEST;

/// It is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is damaged")]
pub struct Damaged;

/// Takes over what a file holds into a ledger that nobody uses yet; gives back how many cells.
///
/// # Errors
/// Where it can't be trusted. The ledger is unchanged.
pub fn restore(ledger: &Ledger, bytes: &[u8], now: UnixTime) -> Result<usize, Damaged> {
    let mut kept = 0;
    for (subject, mut cell) in parse(bytes).ok_or(Damaged)? {
        cell.clamp_to(now);
        kept += usize::from(ledger.put_back(subject, cell));
    }
    Ok(kept)
}

/// What is live at `now`, as a file.
#[must_use]
pub fn print(ledger: &Ledger, now: UnixTime) -> Vec<u8> {
    let mut cells = Vec::new();
    let mut count = 0_u64;
    ledger.for_each_live(now, |subject, cell| {
        if count < MOST as u64 {
            count += 1;
            cells.extend_from_slice(subject);
            for number in [cell.window, cell.number, cell.spent] {
                cells.extend_from_slice(&number.to_be_bytes());
            }
        }
    });
    let mut bytes = Vec::with_capacity(HEAD + cells.len() + DIGEST);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.append(&mut cells);
    let sum = digest(&SHA256, &bytes);
    bytes.extend_from_slice(sum.as_ref());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Vec<([u8; 16], Cell)>> {
    if bytes.len() > MOST_BYTES {
        return None;
    }
    let (signed, sum) = bytes.split_last_chunk::<DIGEST>()?;
    if digest(&SHA256, signed).as_ref() != sum {
        return None;
    }
    let rest = signed.strip_prefix(MAGIC)?;
    let (count, mut rest) = rest.split_first_chunk::<8>()?;
    let count = usize::try_from(u64::from_be_bytes(*count)).ok()?;
    if rest.len() != count.checked_mul(CELL)? {
        return None;
    }
    let mut cells = Vec::with_capacity(count);
    while !rest.is_empty() {
        let (subject, after) = rest.split_first_chunk::<16>()?;
        let mut numbers = [0; 3];
        rest = after;
        for number in &mut numbers {
            let (bytes, after) = rest.split_first_chunk::<8>()?;
            (*number, rest) = (u64::from_be_bytes(*bytes), after);
        }
        let [window, number, spent] = numbers;
        if window == 0 {
            return None;
        }
        cells.push((*subject, Cell { window, number, spent }));
    }
    Some(cells)
}

impl Cell {
    /// A window that lies ahead (the clock was wrong when it was written) is that of now: what it spent counts.
    fn clamp_to(&mut self, now: UnixTime) {
        let number = crate::budget::millis(now).checked_div(self.window).unwrap_or(0);
        self.number = self.number.min(number);
    }
}

const MAGIC: &[u8; 8] = b"ASSAYBG1";
const HEAD: usize = 16;
const CELL: usize = 40;
const DIGEST: usize = 32;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::Budget;

    const NOON: UnixTime = UnixTime::from_secs(1_795_348_800);

    fn hourly(amount: u64) -> Budget {
        Budget::new(NonZeroU64::new(amount).unwrap(), Duration::from_secs(3600))
    }

    fn spent() -> Ledger {
        let ledger = Ledger::new();
        ledger.reserve([1; 16], hourly(10), 7, NOON).unwrap();
        ledger.reserve([2; 16], hourly(10), 10, NOON).unwrap();
        ledger
    }

    #[test]
    fn a_restart_gives_no_second_budget() {
        let ledger = Ledger::new();
        assert_eq!(restore(&ledger, &print(&spent(), NOON), NOON), Ok(2));
        assert_eq!(ledger.reserve([1; 16], hourly(10), 1, NOON).unwrap().remaining, 2);
        assert!(ledger.reserve([2; 16], hourly(10), 1, NOON).is_err());
        let later = NOON.plus(Duration::from_secs(3600));
        assert!(ledger.reserve([2; 16], hourly(10), 10, later).is_ok());
    }

    #[test]
    fn a_damaged_file_is_not_an_empty_one() {
        let good = print(&spent(), NOON);
        let mut flipped = good.clone();
        flipped[20] ^= 1;
        for bad in [&good[..good.len() - 1], &[], &flipped, &[good.as_slice(), b"x"].concat()] {
            let ledger = Ledger::new();
            assert_eq!(restore(&ledger, bad, NOON), Err(Damaged));
            assert_eq!(ledger.live(), 0);
        }
    }

    #[test]
    fn what_is_over_is_not_kept_and_what_lies_ahead_counts_now() {
        let later = NOON.plus(Duration::from_secs(7200));
        assert_eq!(restore(&Ledger::new(), &print(&spent(), later), NOON), Ok(0));
        let ledger = Ledger::new();
        let before = NOON.minus(Duration::from_secs(48 * 3600));
        restore(&ledger, &print(&spent(), NOON), before).unwrap();
        assert!(ledger.reserve([2; 16], hourly(10), 1, before).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).is_none(), "nobody guesses a digest");
            // With a digest, the shape alone decides.
            let signed = [bytes.as_slice(), digest(&SHA256, &bytes).as_ref()].concat();
            let shaped = bytes.starts_with(MAGIC) && bytes.len() >= HEAD;
            prop_assert!(shaped || parse(&signed).is_none());
        }
    }
}
