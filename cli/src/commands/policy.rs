//! `assay policy`: check policy files, and explain why a request fares as it does.
//!
//! In: files, or a route of the configuration, and a request that is made up. Out: problems with places; or the rule,
//! the action and the trace of every rule tried. The loader is the gateway's.

use crate::args::{Policy, PolicyExplain};
use crate::commands::config;
use crate::output::{End, Output, Stop, note};
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderName, HeaderValue};
use policies::{Explanation, FailSafe, Problem, Mode, RequestFacts, ResultPolicy, RouteContext, Severity, Subject};
use serde_json::json;
use settings::CannotVerify;
use std::path::{Path, PathBuf};

/// Runs one of the `policy` commands.
pub(crate) fn run(command: &Policy, output: Output) -> Result<End, Stop> {
    match command {
        Policy::Check { files, injects } => check(files, *injects, output),
        Policy::Explain(args) => explain(args, output),
    }
}

fn check(files: &[PathBuf], injects: bool, output: Output) -> Result<End, Stop> {
    let mut problems: Vec<Problem> = Vec::new();
    for file in files {
        let (name, text) = read(file)?;
        let found = policies::check_text(&name, &text, &context(&name, injects));
        for problem in &found {
            note(&problem.render(&text));
        }
        problems.extend(found);
    }
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    output.answer(&json!({ "ok": errors == 0, "problems": problems }), || match (errors, problems.len()) {
        (0, 0) => "no problems".to_owned(),
        (0, n) => format!("loads; {n} to look at"),
        (n, _) => format!("{n} {}", if n == 1 { "error" } else { "errors" }),
    });
    Ok((errors == 0).into())
}

fn explain(args: &PolicyExplain, output: Output) -> Result<End, Stop> {
    let (policy, injects, fail_safe) = policy_of(args)?;
    let method = args.method.parse().map_err(|_| Stop::usage(format!("--method {}: not a method", args.method)))?;
    let path = args.path.parse().map_err(|_| Stop::usage(format!("--path {}: not a path", args.path)))?;
    let target = Target::parse(&method, Scheme::Https, &args.host, &path, TargetOptions::default())
        .map_err(|e| Stop::no(format!("the gateway answers this target with 400 before any policy: {e}")))?;
    let headers = headers(&args.headers)?;
    let verdict: Verdict = args.verdict.parse().map_err(|_| {
        let all = Verdict::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ");
        Stop::usage(format!("--verdict {}: not a verdict", args.verdict)).hint(format!("one of {all}"))
    })?;
    let mut who = Subject::supposed(verdict);
    who.app = args.app.as_deref();
    who.version = args.app_version.as_deref();
    if let Some(tier) = &args.tier {
        who.tier = tier
            .parse()
            .map_err(|_| Stop::usage(format!("--tier {tier}: none, contraindicated, warning or affirming")))?;
    }
    let mut kinds = EvidenceKinds::EMPTY;
    for kind in &args.evidence {
        kinds.insert(
            kind.parse::<EvidenceKind>()
                .map_err(|_| Stop::usage(format!("--evidence {kind}: not a kind of Evidence")))?,
        );
    }
    who.kinds = kinds;
    let facts = RequestFacts {
        target: &target,
        route: args.route.as_deref().unwrap_or(""),
        address: args.address,
        headers: &headers,
        injects,
        fail_safe,
        now: args.at.map_or_else(|| SystemClock.now(), UnixTime::from_secs),
        caller: None,
        user: None,
        mode: Mode::Normal,
    };
    let why = policies::explain(&policy, &who, &facts);
    output.answer(&why, || show(&why));
    Ok(End::Yes)
}

/// The policy of a file, or of a route; whether the route adds a key, and what it does when the fault is ours.
fn policy_of(args: &PolicyExplain) -> Result<(ResultPolicy, bool, FailSafe), Stop> {
    if let Some(file) = &args.policy {
        let (name, text) = read(file)?;
        let compiled =
            policies::parse_file(&name, &text).and_then(|raw| policies::compile(raw, &name, &context(&name, false)));
        let (policy, _) = compiled.map_err(|problems| {
            let errors = problems.iter().filter(|p| p.severity == Severity::Error);
            Stop::problems(errors.map(|p| p.render(&text)).collect::<Vec<_>>().join("\n"))
        })?;
        return Ok((policy, false, FailSafe::Refuse));
    }
    let settings = config::load(&args.config)?;
    let name = args.route.as_deref().unwrap_or_default();
    let route = settings.route(name).ok_or_else(|| {
        let names = settings.routes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
        Stop::usage(format!("no route {name:?} in {}", settings.path.display())).hint(format!("routes: {names}"))
    })?;
    let fail_safe = match route.our_faults.cannot_verify {
        CannotVerify::Refuse => FailSafe::Refuse,
        CannotVerify::Deprioritize => FailSafe::Deprioritize,
    };
    Ok(((*route.policy).clone(), route.key.is_some(), fail_safe))
}

fn show(why: &Explanation) -> String {
    let mut lines = vec![format!("{} {} by rule {} of policy {}", why.verdict, why.action, why.rule, why.policy)];
    if let Some(class) = why.class {
        lines.push(format!("  class {class}"));
    }
    if let Some(would) = why.would {
        lines.push(format!("  enforcing everything would {would}"));
    }
    if let Some(note) = why.note {
        lines.push(format!("  {note}"));
    }
    for step in &why.trace {
        lines.push(format!("  {} {}: {}", if step.matched { "✓" } else { "·" }, step.rule, step.why));
    }
    lines.join("\n")
}

fn headers(given: &[String]) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::new();
    for text in given {
        let wrong = || Stop::usage(format!("--header {text:?}: write 'Name: value'"));
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}

fn read(file: &Path) -> Result<(String, String), Stop> {
    let text = std::fs::read_to_string(file).map_err(|e| Stop::usage(format!("{}: {e}", file.display())))?;
    Ok((file.display().to_string(), text))
}

fn context(name: &str, injects: bool) -> RouteContext<'_> {
    RouteContext { injects, trusts_proxies: true, now: Some(SystemClock.now()), ..RouteContext::new(name) }
}
