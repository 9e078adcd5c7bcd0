//! `assay audit verify --keys`: whether the audit log of keys is whole: who changed one, and which request had one.
//!
//! In: the folder of the log, and the key store, which holds the key that authenticates it. Out: 0 only where no entry was
//! changed, dropped, moved or cut off.

use std::path::{Path, PathBuf};

use ::audit::{Checkpoint, WriterReport};
use keystore::GenerationMemory;

use super::{UNANCHORED, conclusion, kept};
use crate::args::ConfigArg;
use crate::commands::config;
use crate::output::{End, Output, Stop, note};

/// `dir`: a copy of the log; none for that of the configuration.
pub(super) async fn verify(
    dir: Option<&Path>,
    config: &ConfigArg,
    checkpoints: &[PathBuf],
    output: Output,
) -> Result<End, Stop> {
    let kept: Vec<Checkpoint> = kept::read(checkpoints)?;
    let settings = config::load_running(config)?;
    let Some(keys) = &settings.keys else {
        return Err(Stop::no("the configuration has no keys").hint("without --keys the service's log is verified"));
    };
    // To look is all that is wanted: what this machine has seen of the store stays as it is.
    let opened = key_sources::open(keys, &GenerationMemory::in_process()).await;
    let opened = opened.map_err(|why| Stop::unknown(why.to_string()))?;
    let dir = dir.unwrap_or(&keys.audit);
    let report = ::audit::verify(dir, &opened.audit, &kept).map_err(|why| Stop::unknown(why.to_string()))?;
    if report.writers.is_empty() && report.problems.is_empty() {
        return Err(Stop::no(format!("{} holds no audit log", dir.display()))
            .hint("if there was one, somebody took it away: hold it against a checkpoint with --checkpoint"));
    }
    if kept.is_empty() {
        note(UNANCHORED);
    }
    output.answer(&report, || {
        let chains = report.writers.iter().map(of_writer);
        let problems = report.problems.iter().map(|p| format!("✗ {} entry {} {}", p.writer, p.number, p.fault));
        chains.chain(problems).chain([conclusion(report.intact)]).collect::<Vec<_>>().join("\n")
    });
    Ok(report.intact.into())
}

fn of_writer(of: &WriterReport) -> String {
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let entries = if of.entries == 1 { "entry" } else { "entries" };
    let mut said = format!(
        "{}: {} {entries}, {} to {}, held against {} checkpoint{}",
        of.writer,
        of.entries,
        of.first,
        of.last,
        of.checkpoints,
        s(of.checkpoints)
    );
    if of.too_old > 0 {
        said.push_str(&format!("; {} more of entries that are no longer kept", of.too_old));
    }
    if of.dropped > 0 {
        said.push_str(&format!("; {} request{} had no room", of.dropped, s(of.dropped)));
    }
    if of.torn > 0 {
        said.push_str("; the last line is being written, or its writer died");
    }
    said
}
