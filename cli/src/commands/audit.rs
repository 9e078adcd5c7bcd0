//! `assay audit`: who changed what, and whether the log of it is whole.
//!
//! In: checkpoints that were kept elsewhere. Out: 0 only where no entry was changed, dropped or cut.

use crate::args::{AdminArg, Audit, AuditList, AuditVerify};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, moment, more};
use attest_admin::types::{self, AuditEntry, AuditReport, Checkpoint, PageQuery};
use attest_core::time::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line with a checkpoint; one takes some 350.
const LONGEST_LINE: u64 = 64 << 10;
/// Checkpoints that differ, of all files together: a service that is changed every minute makes as many in a week.
const MOST_CHECKPOINTS: usize = 10_000;

/// Runs one of the `audit` commands.
pub(crate) async fn run(command: &Audit, output: Output) -> Result<End, Stop> {
    match command {
        Audit::List(args) => list(args, output).await,
        Audit::Verify(args) => verify(args, output).await,
        Audit::Checkpoint(args) => checkpoint(args, output).await,
    }
}

async fn list(args: &AuditList, output: Output) -> Result<End, Stop> {
    let query = PageQuery { limit: Some(args.page.limit), after: args.page.after.clone() };
    let page = Verifier::open(&args.admin)?.audit(&query).await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&page, || {
        let row = |entry: &AuditEntry| {
            [
                moment(entry.at, now),
                format!("{} ({})", entry.actor, entry.origin),
                entry.action.clone(),
                entry.target.clone(),
                entry.detail.to_string(),
            ]
        };
        let rows: Vec<_> = page.items.iter().map(row).collect();
        format!("{}{}", columns(["WHEN", "WHO", "WHAT", "TO", "HOW"], &rows), more(page.next.as_deref()))
    });
    Ok(End::Yes)
}

async fn verify(args: &AuditVerify, output: Output) -> Result<End, Stop> {
    let mut checkpoints = Kept::default();
    for path in &args.checkpoints {
        checkpoints.read(path)?;
    }
    let report = held_against(&Verifier::open(&args.admin)?, checkpoints.found).await?;
    if args.checkpoints.is_empty() {
        note("note: no checkpoint was given, so a log that was turned back as a whole would look intact");
    }
    output.answer(&report, || {
        let mut lines: Vec<_> = report
            .writers
            .iter()
            .map(|w| {
                let entries = if w.entries == 1 { "entry" } else { "entries" };
                let s = if w.checkpoints == 1 { "" } else { "s" };
                format!("{}: {} {entries}, held against {} checkpoint{s}", w.writer, w.entries, w.checkpoints)
            })
            .collect();
        lines.extend(report.problems.iter().map(|p| format!("✗ {} entry {}: {}", p.writer, p.number, p.what)));
        lines.push(if report.intact {
            "intact".to_owned()
        } else {
            "NOT intact: treat what it says with care".to_owned()
        });
        lines.join("\n")
    });
    Ok(report.intact.into())
}

async fn checkpoint(args: &AdminArg, output: Output) -> Result<End, Stop> {
    let checkpoint = Verifier::open(args)?.checkpoint().await.map_err(stop)?;
    // It is for a program either way: one line of JSON.
    output.line(&checkpoint);
    Ok(End::Yes)
}

/// Verifies the log, as often as it takes to hold it against all checkpoints; each time says the same of the log itself.
async fn held_against(verifier: &Verifier, checkpoints: Vec<Checkpoint>) -> Result<AuditReport, Stop> {
    let mut left = checkpoints.into_iter();
    let mut next = || types::AuditVerify { checkpoints: left.by_ref().take(types::MAX_CHECKPOINTS).collect() };
    let mut whole = verifier.verify_audit(&next()).await.map_err(stop)?;
    loop {
        let verify = next();
        if verify.checkpoints.is_empty() {
            return Ok(whole);
        }
        let part = verifier.verify_audit(&verify).await.map_err(stop)?;
        whole.intact &= part.intact;
        for problem in part.problems {
            if !whole.problems.contains(&problem) {
                whole.problems.push(problem);
            }
        }
        for writer in part.writers {
            match whole.writers.iter_mut().find(|known| known.writer == writer.writer) {
                Some(known) => known.checkpoints += writer.checkpoints,
                None => whole.writers.push(writer),
            }
        }
    }
}

/// Checkpoints that were kept: those that say the same of the same chain count once, whenever they were made.
#[derive(Default)]
struct Kept {
    found: Vec<Checkpoint>,
    seen: BTreeSet<(String, u64, String)>,
}

impl Kept {
    /// Takes those of a file: lines as `audit checkpoint` prints them, or the service's log. What has nothing to do with
    /// checkpoints in a log is passed over; a line that names one and holds none is not.
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
            any = true;
            self.take(checkpoint.map_err(wrong)?)?;
        }
        if any { Ok(()) } else { Err(Stop::usage(format!("{} holds no checkpoint", path.display()))) }
    }

    fn take(&mut self, checkpoint: Checkpoint) -> Result<(), Stop> {
        let end = &checkpoint.checkpoint;
        if self.seen.insert((end.writer.clone(), end.count, end.head.clone())) {
            self.found.push(checkpoint);
        }
        if self.found.len() <= MOST_CHECKPOINTS {
            return Ok(());
        }
        Err(Stop::usage(format!("more than {MOST_CHECKPOINTS} checkpoints")).hint("verify a part of the log at a time"))
    }
}

/// The checkpoint in a line, if it has to do with one.
fn checkpoint_of(line: &[u8]) -> Option<serde_json::Result<Checkpoint>> {
    const NAME: &[u8] = b"\"checkpoint\"";
    if !line.windows(NAME.len()).any(|part| part == NAME) {
        return None;
    }
    let line: serde_json::Value = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return Some(Err(error)),
    };
    Some(match line.get("checkpoint")? {
        // A line of the service's log carries it as a text.
        serde_json::Value::String(text) => serde_json::from_str(text),
        _ => serde_json::from_value(line),
    })
}
