//! `assay policy`: check policy files, try them, explain why a request fares as it does, and advise on enforcing.
//!
//! In: files, or a route of the configuration; requests that are made up or were recorded. Out: problems with places, differences, the
//! rule with the trace of every rule tried, advice. The loader and the decision are the gateway's.

mod advise;
mod check;
mod explain;
mod replay;
mod source;
mod test;

use crate::args::Policy;
use crate::output::{End, Output, Stop};

/// Runs one of the `policy` commands.
pub(crate) async fn run(command: &Policy, output: Output) -> Result<End, Stop> {
    match command {
        Policy::Check(args) => check::run(args, output),
        Policy::Test(args) => test::run(args, output),
        Policy::Explain(args) => explain::run(args, output).await,
        Policy::Advise(args) => advise::run(args, output).await,
    }
}
