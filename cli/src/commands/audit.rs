//! `assay audit`: who changed what, and whether the log of it is whole: the service's, or that of the keys.
//!
//! In: checkpoints that were kept elsewhere. Out: 0 only where no entry was changed, dropped or cut.

use crate::args::{AdminArg, Audit, AuditList, AuditVerify};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, moment, more};
use attest_admin::types::{self, AuditEntry, AuditReport, Checkpoint, PageQuery};
use attest_core::time::{Clock, SystemClock};

mod kept;
mod keys;

/// What a verification can't know without an anchor.
const UNANCHORED: &str = "note: no checkpoint was given, so a log that was turned back as a whole would look intact";

/// Runs one of the `audit` commands.
pub(crate) async fn run(command: &Audit, output: Output) -> Result<End, Stop> {
    match command {
        Audit::List(args) => list(args, output).await,
        Audit::Verify(AuditVerify { keys: Some(dir), admin, checkpoints }) => {
            keys::verify(dir.as_deref(), &admin.config, checkpoints, output).await
        }
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
    let checkpoints = kept::read(&args.checkpoints)?;
    let report = held_against(&Verifier::open(&args.admin)?, checkpoints).await?;
    if args.checkpoints.is_empty() {
        note(UNANCHORED);
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
        lines.push(conclusion(report.intact));
        lines.join("\n")
    });
    Ok(report.intact.into())
}

fn conclusion(intact: bool) -> String {
    if intact { "intact".to_owned() } else { "NOT intact: treat what it says with care".to_owned() }
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
