//! `assay audit`: who changed what, and whether the log of it is whole.
//!
//! In: checkpoints that were kept elsewhere. Out: 0 only where no entry was changed, dropped or cut.

use crate::args::{AdminArg, Audit, AuditList, AuditVerify};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, moment, more};
use attest_admin::types::{self, AuditEntry, Checkpoint, PageQuery};
use attest_core::time::{Clock, SystemClock};
use std::io::Read;
use std::path::Path;

/// Bytes of a file of checkpoints; one takes some 250.
const MOST_BYTES: u64 = 1 << 20;

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
    let mut checkpoints = Vec::new();
    for path in &args.checkpoints {
        checkpoints.extend(kept(path)?);
    }
    if checkpoints.len() > types::MAX_CHECKPOINTS {
        return Err(Stop::usage(format!("at most {} checkpoints at once", types::MAX_CHECKPOINTS))
            .hint("the newest of each writer are enough: each vouches for all before it"));
    }
    let verifier = Verifier::open(&args.admin)?;
    let report = verifier.verify_audit(&types::AuditVerify { checkpoints }).await.map_err(stop)?;
    if args.checkpoints.is_empty() {
        note("note: no checkpoint was given, so a log that was turned back as a whole would look intact");
    }
    output.answer(&report, || {
        let mut lines: Vec<_> = report
            .writers
            .iter()
            .map(|w| format!("{}: {} entries, held against {} checkpoints", w.writer, w.entries, w.checkpoints))
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

/// The checkpoints in a file: one a line, as `audit checkpoint` prints them, or lines of the service's log with one.
fn kept(path: &Path) -> Result<Vec<Checkpoint>, Stop> {
    let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong =
            |e: serde_json::Error| Stop::usage(format!("{}:{}: no checkpoint: {e}", path.display(), number + 1));
        let line: serde_json::Value = serde_json::from_str(line).map_err(wrong)?;
        let checkpoint = match line.get("checkpoint").and_then(serde_json::Value::as_str) {
            // A line of the service's log carries it as a text.
            Some(text) => serde_json::from_str(text),
            None => serde_json::from_value(line),
        };
        found.push(checkpoint.map_err(wrong)?);
    }
    if found.is_empty() {
        return Err(Stop::usage(format!("{} holds no checkpoint", path.display())));
    }
    Ok(found)
}
