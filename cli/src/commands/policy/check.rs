//! `assay policy check`: all errors and warnings of policy files.

use super::source::{self, Beside, Route};
use crate::args::PolicyCheck;
use crate::commands::problems::{self, Found};
use crate::output::{End, Output, Stop};
use policies::Problem;
use policies::yaml::Place;
use serde_json::json;

/// Checks each file; one that can't be read does not keep the others from it.
pub(super) fn run(args: &PolicyCheck, output: Output) -> Result<End, Stop> {
    problems::check(args.format, output)?;
    let route = args.route.as_ref().map(|route| Route::load(&args.config, route)).transpose()?;
    let mut found = Found::default();
    let mut unreadable = false;
    for file in &args.files {
        let (name, text) = match source::read(file) {
            Ok(read) => read,
            Err(why) => {
                unreadable = true;
                let name = file.display().to_string();
                let problem = Problem::error(Place::default(), "unreadable_file", why).in_file(&name);
                found.add(vec![problem], &name, "");
                continue;
            }
        };
        let files = Beside::of(file);
        let about = match &route {
            Some(route) => route.context(&files)?,
            None => source::alone(&name, args.injects, &files),
        };
        let mut problems = policies::check_text(&name, &text, &about);
        for problem in problems.iter_mut().filter(|problem| problem.code == "unknown_name" && route.is_none()) {
            problem.hint =
                Some("lists and callers are a route's: check it as one of its policies, --route R -c FILE".to_owned());
        }
        found.add(problems, &name, &text);
    }
    let errors = found.errors();
    let answer = json!({ "ok": errors == 0, "problems": found.problems });
    found.tell(args.format, output, &answer, || match (errors, found.problems.len()) {
        (0, 0) => "no problems".to_owned(),
        (0, n) => format!("loads; {n} to look at"),
        (n, _) => format!("{n} {}", if n == 1 { "error" } else { "errors" }),
    })?;
    Ok(if unreadable { End::Usage } else { (errors == 0).into() })
}
