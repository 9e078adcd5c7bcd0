//! Checkpoints that were kept elsewhere. In: files, each with lines as `audit checkpoint` prints them, or the log of a process.
//! Out: those of one kind; those that say the same of the same chain count once, whenever they were made.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use attest_admin::types;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::output::Stop;

/// Bytes of a line with a checkpoint; one takes some 350.
const LONGEST_LINE: u64 = 64 << 10;
/// Checkpoints that differ, of all files together: a service that is changed every minute makes as many in a week.
const MOST_CHECKPOINTS: usize = 10_000;

/// A kind of checkpoint. A process that is service and gateway writes both into one log.
pub(super) trait Anchor: DeserializeOwned {
    /// What proves this kind, and it alone.
    const PROOF: &'static str;

    /// Whose chain, how many entries, and which was the last.
    fn end(&self) -> (String, u64, String);
}

impl Anchor for types::Checkpoint {
    const PROOF: &'static str = "signature";

    fn end(&self) -> (String, u64, String) {
        let end = &self.checkpoint;
        (end.writer.clone(), end.count, end.head.clone())
    }
}

impl Anchor for ::audit::Checkpoint {
    const PROOF: &'static str = "mac";

    fn end(&self) -> (String, u64, String) {
        let end = &self.checkpoint;
        (end.writer.clone(), end.count, end.head.clone())
    }
}

/// Every kind there is.
const PROOFS: [&str; 2] = [<types::Checkpoint as Anchor>::PROOF, <::audit::Checkpoint as Anchor>::PROOF];

/// The checkpoints of this kind in all of these files.
pub(super) fn read<T: Anchor>(paths: &[PathBuf]) -> Result<Vec<T>, Stop> {
    let mut kept = Kept { found: Vec::new(), seen: BTreeSet::new() };
    paths.iter().try_for_each(|path| kept.read(path))?;
    Ok(kept.found)
}

struct Kept<T> {
    found: Vec<T>,
    seen: BTreeSet<(String, u64, String)>,
}

impl<T: Anchor> Kept<T> {
    /// What has nothing to do with checkpoints in a log is passed over; a line that names one and holds none is not.
    fn read(&mut self, path: &Path) -> Result<(), Stop> {
        let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", path.display()));
        let mut file = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
        let (mut line, mut number, mut any) = (Vec::new(), 0_u64, false);
        loop {
            line.clear();
            let read = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            number += 1;
            let Some(checkpoint) = checkpoint_of(&line) else { continue };
            let wrong = |e: serde_json::Error| Stop::usage(format!("{}:{number}: no checkpoint: {e}", path.display()));
            let checkpoint = checkpoint.map_err(wrong)?;
            let is_other = PROOFS.iter().any(|proof| *proof != T::PROOF && checkpoint.get(proof).is_some());
            if !is_other {
                any = true;
                self.take(serde_json::from_value(checkpoint).map_err(wrong)?)?;
            }
        }
        if any { Ok(()) } else { Err(Stop::usage(format!("{} holds no checkpoint", path.display()))) }
    }

    fn take(&mut self, checkpoint: T) -> Result<(), Stop> {
        if self.seen.insert(checkpoint.end()) {
            self.found.push(checkpoint);
        }
        if self.found.len() <= MOST_CHECKPOINTS {
            return Ok(());
        }
        Err(Stop::usage(format!("more than {MOST_CHECKPOINTS} checkpoints")).hint("verify a part of the log at a time"))
    }
}

/// The checkpoint in a line, if it has to do with one.
fn checkpoint_of(line: &[u8]) -> Option<serde_json::Result<Value>> {
    const NAME: &[u8] = b"\"checkpoint\"";
    if !line.windows(NAME.len()).any(|part| part == NAME) {
        return None;
    }
    let line: Value = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return Some(Err(error)),
    };
    Some(match line.get("checkpoint")? {
        // A line of a log carries it as a text.
        Value::String(text) => serde_json::from_str(text),
        _ => Ok(line),
    })
}
