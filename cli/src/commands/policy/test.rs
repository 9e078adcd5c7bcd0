//! `assay policy test`: cases, and recorded traffic, against a policy.
//!
//! In: files of cases, records, and the policy to try them on. Out: what differs, with places; which rules no case reaches; what the records
//! can't tell.

use super::replay;
use super::source::{self, Beside, Route, Source};
use crate::args::PolicyTest;
use crate::commands::problems::{self, Found};
use crate::output::{End, Output, Stop};
use attest_core::time::{Clock, SystemClock};
use policies::cases::{CaseFile, Coverage, Setting};
use policies::recording::Report;
use policies::yaml::Place;
use policies::{FailSafe, Problem};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What came of the cases.
#[derive(Default)]
struct Tally {
    cases: usize,
    failed: usize,
    found: Found,
    /// A file of cases, or its policy, could not be read or is bad.
    unusable: bool,
    /// By what the policy is called on the command line.
    coverage: BTreeMap<String, Coverage>,
}

/// Tries them.
pub(super) fn run(args: &PolicyTest, output: Output) -> Result<End, Stop> {
    problems::check(args.format, output)?;
    let route = args.route.as_ref().map(|route| Route::load(&args.config, route)).transpose()?;
    let of_route = route.as_ref().map(|route| on_route(route, args.candidate.as_deref())).transpose()?;
    let mut tally = Tally::default();
    for file in &args.cases {
        tally.file(file, args, of_route.as_ref());
    }
    let report = args.replay.as_ref().map(|file| replayed(file, args, of_route.as_ref())).transpose()?;
    let low: Vec<&Coverage> = match args.min_coverage {
        Some(least) => tally.coverage.values().filter(|coverage| coverage.percent() < least).collect(),
        None => Vec::new(),
    };
    let differs = tally.failed > 0 || !low.is_empty() || report.as_ref().is_some_and(|report| report.different > 0);
    let end = if tally.unusable {
        End::Usage
    } else if differs {
        End::No
    } else if report.as_ref().is_some_and(|report| report.untold > 0 || report.tried == 0) {
        End::Unknown
    } else {
        End::Yes
    };
    let answer = json!({
        "ok": end == End::Yes,
        "cases": tally.cases,
        "failed": tally.failed,
        "problems": tally.found.problems,
        "coverage": tally.coverage.iter().map(coverage_json).collect::<Vec<_>>(),
        "replay": report,
    });
    tally.found.tell(args.format, output, &answer, || {
        let mut lines = Vec::new();
        if !args.cases.is_empty() {
            lines.push(tally.words());
        }
        lines.extend(tally.coverage.iter().map(|(name, coverage)| coverage_words(name, coverage, args.min_coverage)));
        lines.extend(report.as_ref().map(replay::show));
        lines.join("\n")
    })?;
    Ok(end)
}

/// The policy of the route, or the candidate in its place.
fn on_route(route: &Route, candidate: Option<&Path>) -> Result<Source, Stop> {
    match candidate {
        None => route.source(),
        Some(file) => {
            let policy = source::compile(file, &route.context(&Beside::of(file))?)?;
            route.of(policy)
        }
    }
}

fn replayed(file: &Path, args: &PolicyTest, of_route: Option<&Source>) -> Result<Report, Stop> {
    let alone;
    let source = match (of_route, &args.policy) {
        (Some(source), _) => source,
        (None, Some(policy)) => {
            let name = policy.display().to_string();
            let policy = source::compile(policy, &source::alone(&name, false, &Beside::of(policy)))?;
            alone = Source { policy, injects: false, fail_safe: FailSafe::Refuse };
            &alone
        }
        (None, None) => {
            return Err(Stop::usage("--replay needs a policy to try the records on")
                .hint("name a file with --policy, or a route with --route, and perhaps a --candidate for it"));
        }
    };
    replay::run(file, &source.policy, args.route.as_deref())
}

impl Tally {
    fn file(&mut self, file: &Path, args: &PolicyTest, of_route: Option<&Source>) {
        let (name, text) = match source::read(file) {
            Ok(read) => read,
            Err(why) => {
                let name = file.display().to_string();
                return self.unusable(
                    vec![Problem::error(Place::default(), "unreadable_file", why).in_file(&name)],
                    &name,
                    "",
                );
            }
        };
        let beside = Beside::of(file);
        let cases = match CaseFile::parse(&name, &text, &beside) {
            Ok(cases) => cases,
            Err(problems) => return self.unusable(problems, &name, &text),
        };
        let now = SystemClock.now();
        if let Some(source) = of_route {
            if let Some(field) = cases.overruled() {
                let why = format!("`{field}` is the configuration's to say, for cases of a route");
                let hint = "remove it, or name the policy's file instead of the route";
                let problem = Problem::error(Place::default(), "no_effect", why).with_hint(hint).in_file(&name);
                return self.unusable(vec![problem], &name, &text);
            }
            let route = args.route.as_deref();
            let setting = Setting { route, injects: source.injects, fail_safe: source.fail_safe, now };
            let shown = match &args.candidate {
                Some(file) => file.display().to_string(),
                None => format!("route {}", route.unwrap_or_default()),
            };
            return self.tried(&cases, source, &setting, shown, &text);
        }
        let path = match (&args.policy, cases.policy()) {
            (Some(policy), _) => policy.clone(),
            (None, Some((policy, _))) => beside.path(policy),
            (None, None) => {
                let why = "the file names no policy to try";
                let hint = "write policy: ../policies/shop.yaml, or name one: --policy FILE or --route R";
                let problem = Problem::error(Place::default(), "missing_field", why).with_hint(hint).in_file(&name);
                return self.unusable(vec![problem], &name, &text);
            }
        };
        let place = cases.policy().map(|(_, place)| place).filter(|_| args.policy.is_none());
        let source = match self.compiled(&path, &cases) {
            Ok(source) => source,
            Err(None) => return,
            Err(Some(why)) => {
                let problem = Problem::error(place.unwrap_or_default(), "unreadable_file", why).in_file(&name);
                return self.unusable(vec![problem], &name, &text);
            }
        };
        let setting = Setting { route: None, injects: source.injects, fail_safe: source.fail_safe, now };
        self.tried(&cases, &source, &setting, plain(&path), &text);
    }

    /// The policy that stands alone, with what the cases say of its route. `None` as error: it is bad, and that has been told.
    fn compiled(&mut self, path: &Path, cases: &CaseFile) -> Result<Source, Option<String>> {
        let (name, text) = source::read(path).map_err(Some)?;
        let files = Beside::of(path);
        let about = cases.context(&name, &files);
        let compiled = policies::parse_file(&name, &text).and_then(|raw| policies::compile(raw, &name, &about));
        match compiled {
            Ok((policy, _)) => Ok(Source { policy, injects: cases.injects(), fail_safe: FailSafe::Refuse }),
            Err(problems) => {
                self.unusable(problems, &name, &text);
                Err(None)
            }
        }
    }

    fn tried(&mut self, cases: &CaseFile, source: &Source, setting: &Setting<'_>, shown: String, text: &str) {
        let coverage = self.coverage.entry(shown).or_insert_with(|| Coverage::new(&source.policy));
        let tried = cases.run(&source.policy, setting, coverage);
        self.cases += tried.cases;
        self.failed += tried.failed;
        let name = tried.differences.first().map(|problem| problem.file.clone()).unwrap_or_default();
        self.found.add(tried.differences, &name, text);
    }

    fn unusable(&mut self, problems: Vec<Problem>, name: &str, text: &str) {
        self.unusable = true;
        self.found.add(problems, name, text);
    }

    fn words(&self) -> String {
        let cases = if self.cases == 1 { "1 case".to_owned() } else { format!("{} cases", self.cases) };
        match (self.failed, self.unusable) {
            (0, false) => format!("{cases}, all as expected"),
            (0, true) => format!("{cases} tried; there are files that can't be"),
            (n, _) => format!("{cases}, {n} not as expected"),
        }
    }
}

fn coverage_json((name, coverage): (&String, &Coverage)) -> serde_json::Value {
    json!({
        "of": name,
        "policy": coverage.policy,
        "percent": coverage.percent(),
        "rules": coverage.rules.iter().map(|(rule, cases)| json!({ "rule": rule, "cases": cases })).collect::<Vec<_>>(),
        "missed": coverage.missed().collect::<Vec<_>>(),
    })
}

fn coverage_words(name: &str, coverage: &Coverage, least: Option<u8>) -> String {
    let missed: Vec<&str> = coverage.missed().collect();
    let (all, percent) = (coverage.rules.len(), coverage.percent());
    let mut words = format!("{name}: {} of {all} rules reached ({percent} %)", all - missed.len());
    if !missed.is_empty() {
        words.push_str(&format!("; no case reaches {}", missed.join(", ")));
    }
    if let Some(least) = least.filter(|least| percent < *least) {
        words.push_str(&format!("; --min-coverage asks for {least} %"));
    }
    words
}

/// A path without the `.` and `..` that lead back on themselves, so that two files of cases name one policy alike.
fn plain(path: &Path) -> String {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir
                if out.components().next_back().is_some_and(|last| matches!(last, std::path::Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out.display().to_string()
}
