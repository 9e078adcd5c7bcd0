//! `assay check`: all that a start would refuse, at once, with places.
//!
//! In: a configuration file. Out: every problem of it and of the files it names, the key store included: it is opened,
//! and each key's own bounds are held against the routes that use it.

use crate::args::Check;
use crate::commands::config;
use crate::commands::key::place;
use crate::commands::problems::{self, Found};
use crate::output::{End, Output, Stop};
use attest_core::time::{Clock, SystemClock};
use key_sources::{KeySource, SourceError};
use policies::Problem;
use rustix::fs::{Access, access};
use serde_json::json;
use settings::{Overrides, Settings};
use std::path::Path;

/// Checks the file.
pub(crate) async fn run(args: &Check, output: Output) -> Result<End, Stop> {
    problems::check(args.format, output)?;
    let path = config::path(&args.config)?;
    let mut found = Found::default();
    match config::load_with(&path, &Overrides { now: Some(SystemClock.now()), ..Overrides::default() }) {
        Ok(loaded) => {
            for problem in &loaded.warnings {
                found.push(problem.clone(), loaded.render(problem));
            }
            // The loader keeps only the texts that it found problems in.
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for problem in state_folder(&loaded.settings).into_iter().chain(keys(&loaded.settings).await) {
                let rendered = problem.render(&text);
                found.push(problem, rendered);
            }
        }
        Err(report) => {
            for problem in &report.problems {
                found.push(problem.clone(), report.render(problem));
            }
        }
    }
    let errors = found.errors();
    let answer = json!({ "ok": errors == 0, "file": path, "problems": found.problems });
    found.tell(args.format, output, &answer, || match (errors, found.problems.len()) {
        (0, 0) => format!("{}: good", path.display()),
        (0, n) => format!("{}: good; {n} to look at", path.display()),
        (n, _) => format!("{}: {n} {}", path.display(), if n == 1 { "problem" } else { "problems" }),
    })?;
    Ok((errors == 0).into())
}

/// Whether the folder that is written to can be had. It is not made: a check changes nothing. Whether it can be written
/// is a warning, for the check may run as another user than the gateway.
fn state_folder(settings: &Settings) -> Option<Problem> {
    let state = &settings.state.dir;
    let there = state.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let nowhere = policies::yaml::Place::default();
    let problem = if !there.is_dir() {
        let why = format!("state.dir: {} can't be a folder: {} is a file", state.display(), there.display());
        Problem::error(nowhere, "state_folder", why)
    } else if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let why = format!("state.dir: this user can't write to {}", there.display());
        Problem::warning(nowhere, "state_folder", why).with_hint("the user that the gateway runs as must be able to")
    } else {
        return None;
    };
    Some(problem.in_file(&settings.path.display().to_string()))
}

/// What only the key store can tell: whether it opens, and whether each key may go where the routes send it.
async fn keys(settings: &Settings) -> Vec<Problem> {
    let Some(keys) = &settings.keys else { return Vec::new() };
    let source = KeySource::new(keys);
    match source.inspect(&source.memory()).await {
        Ok(opened) => settings.check_keys(&opened.store),
        Err(why) => {
            let place = source.document().map_or_else(|_| "keys.store".to_owned(), |document| document.place());
            let problem = Problem::error(policies::yaml::Place::default(), "keystore", why.to_string()).in_file(&place);
            let hint = match &why {
                SourceError::Store(why) => place::remedy(why),
                _ => None,
            };
            vec![hint.map_or(problem.clone(), |hint| problem.with_hint(hint))]
        }
    }
}
