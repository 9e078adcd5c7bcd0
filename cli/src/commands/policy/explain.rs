//! `assay policy explain`: why a request fares as it does.
//!
//! In: a request that is made up from options; a line of the access log; or the id of a decision that a gateway remembers. Out: the rule,
//! the action, and of each rule why it did or didn't match.

mod request;

use super::source::{self, Beside, Route, Source};
use crate::args::PolicyExplain;
use crate::commands::gateway;
use crate::output::{End, Output, Stop};
use policies::Explanation;
use policies::recording::{MAX_LINE, Record, Sample};
use std::io::Read;

/// Explains.
pub(super) async fn run(args: &PolicyExplain, output: Output) -> Result<End, Stop> {
    let why = match sample(args).await? {
        Some(sample) => {
            let source = source_of(args, Some(&sample.record().route))?;
            policies::explain_sample(&source.policy, &sample)
        }
        None => request::explain(args, &source_of(args, None)?)?,
    };
    output.answer(&why, || show(&why));
    Ok(End::Yes)
}

/// The request that was, if one is asked about.
async fn sample(args: &PolicyExplain) -> Result<Option<Sample>, Stop> {
    if let Some(line) = &args.log_line {
        let line = if line == "-" { first_line()? } else { line.clone() };
        return Sample::from_log_line(line.trim()).map(Some).map_err(|why| Stop::usage(format!("--log-line: {why}")));
    }
    let Some(id) = &args.decision else { return Ok(None) };
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Stop::usage(format!("--decision {id:?}: not an id; answers and log lines have one")));
    }
    let found = gateway::ask(&args.gateway, &args.config, &format!("/decisions/{id}"), MAX_LINE).await?;
    let Some(line) = found else {
        return Err(Stop::unknown(format!("the gateway remembers no decision {id}"))
            .hint("it keeps the last few thousand; the access log has the line: --log-line"));
    };
    let bad = |why: String| Stop::unknown(format!("decision {id}: {why}"));
    let record = Record::parse(&line).map_err(|e| bad(e.to_string()))?;
    Sample::new(record).map(Some).map_err(bad)
}

/// The first line of stdin that is not empty.
fn first_line() -> Result<String, Stop> {
    let mut text = String::new();
    let most = MAX_LINE as u64 * 2;
    std::io::stdin().take(most).read_to_string(&mut text).map_err(|e| Stop::usage(format!("stdin: {e}")))?;
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.map(str::to_owned).ok_or_else(|| Stop::usage("--log-line -: stdin is empty"))
}

/// The policy of a file, or of a route: the one that is named, else that of the request.
fn source_of(args: &PolicyExplain, recorded: Option<&str>) -> Result<Source, Stop> {
    if let Some(file) = &args.policy {
        let name = file.display().to_string();
        let policy = source::compile(file, &source::alone(&name, false, &Beside::of(file)))?;
        return Ok(Source { policy, injects: false, fail_safe: policies::FailSafe::Refuse });
    }
    Route::load(&args.config, args.route.as_deref().or(recorded).unwrap_or_default())?.source()
}

fn show(why: &Explanation) -> String {
    let mut lines = vec![format!("{} {} by rule {} of policy {}", why.verdict, why.action, why.rule, why.policy)];
    if let Some(class) = why.class {
        lines.push(format!("  class {class}"));
    }
    if !why.limits.is_empty() {
        lines.push(format!("  counts against {}", why.limits.join(", ")));
    }
    if let Some(would) = why.would {
        lines.push(format!("  enforcing everything would {would}"));
    }
    if let Some(note) = why.note {
        lines.push(format!("  {note}"));
    }
    if let Some(recorded) = &why.recorded {
        if let Some(mode) = &recorded.mode {
            lines.push(format!("  the route was in mode {mode} then: an order or the guard overruled its policy"));
        }
        if !recorded.agrees {
            lines.push(format!(
                "  the gateway decided {} by rule {} of policy {}: the policy was another one then, or more was known",
                recorded.action, recorded.rule, recorded.policy
            ));
        }
    }
    for step in &why.trace {
        let mark = match (step.matched, step.untold) {
            (true, _) => '✓',
            (false, true) => '?',
            (false, false) => '·',
        };
        lines.push(format!("  {mark} {}: {}", step.rule, step.why));
    }
    lines.join("\n")
}
