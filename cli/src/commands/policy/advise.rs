//! `assay policy advise`: what enforcing a route's policy now would do.
//!
//! In: the counters of a gateway, asked for or from a file. Out: advice with its reasons; the exit code is its short form.

use crate::args::PolicyAdvise;
use crate::commands::gateway;
use crate::output::{End, Output, Stop};
use attest_core::time::{Clock, SystemClock};
use policies::advise::{Advice, Confidence, Recommendation};
use policies::observations::{Category, Observations};
use std::fmt::Write as _;
use std::io::Read;

/// A thousand routes with 100 KiB each.
const MOST: usize = 128 << 20;

/// Advises.
pub(super) async fn run(args: &PolicyAdvise, output: Output) -> Result<End, Stop> {
    let text = match &args.file {
        Some(file) => from_file(file).map_err(|e| Stop::usage(format!("{}: {e}", file.display())))?,
        None => gateway::ask(&args.gateway, &args.config, "/observations", MOST).await?.ok_or_else(|| {
            Stop::unknown("this gateway has no observations").hint("it is older, or runs the attestation service alone")
        })?,
    };
    let seen = Observations::from_json(&text).map_err(|e| Stop::usage(e.to_string()))?;
    let Some(advice) = policies::advise::advise(&seen, &args.route, SystemClock.now(), args.days) else {
        let routes = seen.routes().collect::<Vec<_>>().join(", ");
        let stop = Stop::unknown(format!("nothing was seen of a route {:?} in that time", args.route));
        return Err(if routes.is_empty() { stop } else { stop.hint(format!("routes with traffic: {routes}")) });
    };
    output.answer(&advice, || show(&advice));
    Ok(match (advice.recommendation, advice.confidence) {
        (Recommendation::Enforce | Recommendation::NothingToDo, _) => End::Yes,
        (Recommendation::Wait, Confidence::Low) => End::Unknown,
        _ => End::No,
    })
}

fn from_file(file: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(MOST as u64).read_to_end(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(MOST as u64).read_to_end(&mut text)?;
    }
    Ok(text)
}

fn show(advice: &Advice) -> String {
    let mut out = format!("route {}: {}\n\n", advice.route, advice.summary);
    for share in &advice.categories {
        let recent = share.percent_last_day.map_or_else(String::new, |recent| format!("  (last day {recent:.1} %)"));
        let _ = writeln!(
            out,
            "  {:<16} {:>6.2} %  {:>12} requests, {} of them refused when enforced{recent}",
            share.category.as_str(),
            share.percent,
            share.requests,
            share.refused
        );
    }
    if advice.unverifiable > 0 {
        let name = Category::Unverifiable.as_str();
        let _ = writeln!(out, "  {name}: {} requests more, for a fault that is not the clients'", advice.unverifiable);
    }
    let refused = &advice.refused;
    let _ = writeln!(
        out,
        "\nEnforcing refuses {} of {} requests ({:.2} %; {} are refused already): about {} of {} devices, and {} network{} \
         without a genuine app. Distinct counts have a standard error of {:.1} %.",
        refused.requests,
        advice.requests,
        refused.percent,
        refused.already,
        refused.devices,
        refused.of_devices,
        refused.networks,
        if refused.networks == 1 { "" } else { "s" },
        refused.error_percent
    );
    let refusing: Vec<String> = advice
        .rules
        .iter()
        .filter(|rule| rule.refused > 0)
        .take(5)
        .map(|rule| format!("{} ({})", rule.rule, rule.refused))
        .collect();
    if !refusing.is_empty() {
        let _ = writeln!(out, "By rule: {}.", refusing.join(", "));
    }
    let _ = writeln!(out, "\n{} Confidence: {}.", advice.advice, advice.confidence);
    for reason in &advice.reasons {
        let _ = writeln!(out, "  - {reason}");
    }
    for doubt in &advice.doubts {
        let _ = writeln!(out, "  ? {doubt}");
    }
    out
}
