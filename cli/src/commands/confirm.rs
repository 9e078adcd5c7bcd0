//! A question before what can't be undone.

use crate::output::{Stop, note};
use std::io::IsTerminal;

/// Asks on a terminal, where `word` has to be typed; off a terminal, `yes` has to have been said on the command line.
pub(crate) fn asked(yes: bool, word: &str, question: impl FnOnce() -> String) -> Result<(), Stop> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Stop::usage("off a terminal this needs --yes"));
    }
    note(&question());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Stop::usage(e.to_string()))?;
    if line.trim() == word { Ok(()) } else { Err(Stop::no("nothing was changed")) }
}
