//! The one configuration file, found and loaded the same way by every command.
//!
//! In: `-c`, `$ASSAY_CONFIG`, or the usual places. Out: checked settings; or every problem at once, with its place, on
//! stderr, and the exit code that goes with it.

use crate::args::ConfigArg;
use crate::output::{Stop, note};
use crate::words::moment;
use attest_core::time::{Clock, SystemClock};
use settings::{Loaded, Overrides, Report, Settings};
use std::path::PathBuf;

/// Where the file is looked for, in this order, when nobody names it.
const PLACES: [&str; 2] = ["assay.yaml", "/etc/assay/assay.yaml"];

/// The file's path.
pub(crate) fn path(arg: &ConfigArg) -> Result<PathBuf, Stop> {
    if let Some(named) = &arg.config {
        return match std::fs::File::open(named) {
            Ok(_) => Ok(named.clone()),
            Err(e) => Err(Stop::usage(format!("{}: {e}", named.display())).hint("make one with: assay init DIR")),
        };
    }
    let found = PLACES.iter().map(PathBuf::from).find(|p| p.is_file());
    let found = found.ok_or_else(|| {
        Stop::usage("no configuration file").hint("name one with -c FILE, or make one: assay init DIR")
    })?;
    note(&format!("using {}", found.display()));
    Ok(found)
}

/// Loads it, for a command that is about something in it: its warnings are `assay check`'s to tell.
pub(crate) fn load(arg: &ConfigArg) -> Result<Settings, Stop> {
    // The key store may be what the command is about to make.
    let overrides = Overrides { fills_keystore: true, ..Overrides::default() };
    Ok(load_with(&path(arg)?, &overrides).map_err(|report| refused(&report))?.settings)
}

/// Loads what a gateway or service runs that was started from it: the file; or, where that is broken, what was taken before. Then is
/// when somebody has to ask how it is, and to give orders.
pub(crate) fn load_running(arg: &ConfigArg) -> Result<Settings, Stop> {
    let path = path(arg)?;
    let overrides = Overrides { fills_keystore: true, ..Overrides::default() };
    let report = match load_with(&path, &overrides) {
        Ok(loaded) => return Ok(loaded.settings),
        Err(report) => report,
    };
    let refused = refused(&report);
    let report = proxy::LoadError { report: report.to_string(), sources: report.sources };
    let (settings, from) = proxy::instead(&path, &overrides, report).ok_or(refused)?;
    note(&format!(
        "warning: {} is broken (`assay check` says where); this goes by the configuration that was taken {}",
        path.display(),
        moment(from.taken.secs(), SystemClock.now())
    ));
    Ok(settings)
}

/// Loads it with overrides, problems as they are.
pub(crate) fn load_with(path: &std::path::Path, overrides: &Overrides) -> Result<Loaded, Report> {
    settings::load(path, overrides)
}

/// Problems for a person; the file was read, and is bad.
pub(crate) fn refused(report: &Report) -> Stop {
    Stop::problems(report.to_string())
}
