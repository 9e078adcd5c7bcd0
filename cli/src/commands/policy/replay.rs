//! Recorded traffic: read line by line, however much there is.

use crate::output::Stop;
use crate::words::columns;
use policies::ResultPolicy;
use policies::recording::{Replay, Report, for_each_line};
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Tries `policy` on the records of `file` (`-`: stdin); without a route on those of its own name.
pub(super) fn run(file: &Path, policy: &ResultPolicy, route: Option<&str>) -> Result<Report, Stop> {
    let mut replay = Replay::new(policy, route);
    let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", file.display()));
    if file.as_os_str() == "-" {
        for_each_line(std::io::stdin().lock(), |number, line| replay.line(number, line)).map_err(unreadable)?;
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        for_each_line(BufReader::with_capacity(256 << 10, opened), |number, line| replay.line(number, line))
            .map_err(unreadable)?;
    }
    Ok(replay.finish())
}

/// For a person.
pub(super) fn show(report: &Report) -> String {
    let mut out = format!(
        "{} records tried: {} fare as before, {} differently, of {} it can't be told",
        report.tried, report.same, report.different, report.untold
    );
    if !report.differences.is_empty() {
        let rows: Vec<[String; 6]> = report
            .differences
            .iter()
            .map(|one| {
                [
                    one.requests.to_string(),
                    one.devices.to_string(),
                    one.networks.to_string(),
                    format!("{} ({})", one.from_rule, one.from),
                    format!("{} ({})", one.to_rule, one.to),
                    one.examples.first().cloned().unwrap_or_default(),
                ]
            })
            .collect();
        let head = ["REQUESTS", "DEVICES", "NETWORKS", "WAS", "WOULD BE", "FOR EXAMPLE"];
        let _ = write!(out, "\n{}", columns(head, &rows));
    }
    if report.further_differences > 0 {
        let _ = write!(out, "\n{} requests more differ in other ways", report.further_differences);
    }
    for gap in &report.gaps {
        let example = gap.examples.first().map(String::as_str).unwrap_or_default();
        let _ = write!(out, "\ncan't be told for {} requests: {} (for example {example})", gap.requests, gap.what);
    }
    let idle: Vec<&str> = report.rules.iter().filter(|one| one.requests == 0).map(|one| one.rule.as_str()).collect();
    if !idle.is_empty() && report.tried > 0 {
        let _ = write!(out, "\nno record reaches {}", idle.join(", "));
    }
    for (count, what) in [
        (report.others, "records are of other routes or policies"),
        (report.ordered, "records were made under a lockdown, which the policy did not decide"),
    ] {
        if count > 0 {
            let _ = write!(out, "\n{count} {what}");
        }
    }
    if report.broken > 0 {
        let _ = write!(out, "\n{} of {} lines are no records", report.broken, report.lines);
        for line in &report.broken_lines {
            let _ = write!(out, "\n  line {}: {}", line.line, line.why);
        }
    }
    out
}
