//! Budgets over a restart: they protect money, so a restart must not give a second one.
//!
//! In: a ledger, or the bytes of a file. Out: the bytes of a file, or a ledger as it was. The file has a length that
//! follows from its own count, at most [`MOST_BYTES`], and a digest at its end; it is written beside its place and moved
//! there. What can't be read is never read as empty: [`load`] says so, and the caller closes the windows of that moment.
//!
//! ```text
//! 8 bytes  "ASSAYBG1"
//! 8 bytes  number of cells
//! n times  16 bytes subject, 8 window in ms, 8 number of the window, 8 spent
//! 32 bytes SHA-256 of all before
//! ```
//! Numbers are big-endian. Subjects are digests; they name no device and no address, but an address can be guessed
//! from one: the file is for its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use attest_core::time::UnixTime;
use aws_lc_rs::digest::{SHA256, digest};

use crate::ledger::{Cell, Ledger, MOST};

/// The longest file: that of a full ledger.
pub const MOST_BYTES: usize = HEAD + MOST * CELL + DIGEST;

/// Why a file of budgets can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there and can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(io::ErrorKind),
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
}

/// Takes over what `path` holds into a ledger that nobody uses yet; gives back how many cells. No file is 0: a first start.
///
/// # Errors
/// Where there is a file and it can't be trusted. The ledger is unchanged.
pub fn load(ledger: &Ledger, path: &Path, now: UnixTime) -> Result<usize, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(why) => return Err(FileError::Unreadable(why.kind())),
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|why| FileError::Unreadable(why.kind()))?;
    let cells = parse(&bytes).ok_or(FileError::Damaged)?;
    let mut kept = 0;
    for (subject, mut cell) in cells {
        cell.clamp_to(now);
        kept += usize::from(ledger.put_back(subject, cell));
    }
    Ok(kept)
}

/// Writes what is live at `now` to `path`, readable by its owner alone. A kill at any moment leaves the old file or the
/// new one.
///
/// # Errors
/// Where it can't be written; the old file stays.
pub fn save(ledger: &Ledger, path: &Path, now: UnixTime) -> io::Result<()> {
    let bytes = print(ledger, now);
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    match path.parent() {
        // The move itself lasts only when the folder is written.
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn print(ledger: &Ledger, now: UnixTime) -> Vec<u8> {
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("budgets");
        save(&spent(), &path, NOON).unwrap();
        let ledger = Ledger::new();
        assert_eq!(load(&ledger, &path, NOON).unwrap(), 2);
        assert_eq!(ledger.reserve([1; 16], hourly(10), 1, NOON).unwrap().remaining, 2);
        assert!(ledger.reserve([2; 16], hourly(10), 1, NOON).is_err());
        let later = NOON.plus(Duration::from_secs(3600));
        assert!(ledger.reserve([2; 16], hourly(10), 10, later).is_ok());
    }

    #[test]
    fn no_file_is_a_first_start_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("budgets");
        assert_eq!(load(&Ledger::new(), &path, NOON).unwrap(), 0);
        save(&spent(), &path, NOON).unwrap();
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[20] ^= 1;
        for bad in [&good[..good.len() - 1], &[], &flipped, &[good.as_slice(), b"x"].concat()] {
            fs::write(&path, bad).unwrap();
            let ledger = Ledger::new();
            assert!(matches!(load(&ledger, &path, NOON), Err(FileError::Damaged)));
            assert_eq!(ledger.live(), 0);
        }
        assert!(matches!(load(&Ledger::new(), folder.path(), NOON), Err(FileError::Unreadable(_))));
    }

    #[test]
    fn what_is_over_is_not_kept_and_what_lies_ahead_counts_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("budgets");
        save(&spent(), &path, NOON.plus(Duration::from_secs(7200))).unwrap();
        assert_eq!(load(&Ledger::new(), &path, NOON).unwrap(), 0);
        save(&spent(), &path, NOON).unwrap();
        let ledger = Ledger::new();
        let before = NOON.minus(Duration::from_secs(48 * 3600));
        load(&ledger, &path, before).unwrap();
        assert!(ledger.reserve([2; 16], hourly(10), 1, before).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_alone_and_nothing_is_left_beside_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("budgets");
        save(&spent(), &path, NOON).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
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
