//! Problems of files, in the form that was asked for.
//!
//! In: problems, and how they read for a person. Out: text on stderr, and on stdout the answer: in words, as JSON, as annotations, as SARIF.

use crate::args::Format;
use crate::output::{Output, Stop, note, print_out};
use policies::{Problem, Severity, problem, report};
use serde::Serialize;

/// Problems and their texts.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) problems: Vec<Problem>,
    rendered: Vec<String>,
}

impl Found {
    /// Adds problems, each rendered with `text`, the text of its file, where that is the file `name`; others are read.
    pub(crate) fn add(&mut self, problems: Vec<Problem>, name: &str, text: &str) {
        let rendered: Vec<String> = problems
            .iter()
            .map(|one| {
                // Another one: a list or an included file.
                let read = (one.file != name).then(|| std::fs::read_to_string(&one.file).unwrap_or_default());
                one.render(&problem::without_secrets(&problems, &one.file, read.as_deref().unwrap_or(text)))
            })
            .collect();
        problems.into_iter().zip(rendered).for_each(|(problem, rendered)| self.push(problem, rendered));
    }

    /// Adds one that is rendered already.
    pub(crate) fn push(&mut self, problem: Problem, rendered: String) {
        self.problems.push(problem);
        self.rendered.push(rendered);
    }

    /// All of them for a person.
    pub(crate) fn rendered(&self) -> String {
        self.rendered.join("\n")
    }

    /// How many are errors.
    pub(crate) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Tells them; `answer` is the JSON document, `text` the last words for a person.
    ///
    /// # Errors
    /// `--json` beside a format that is not JSON.
    pub(crate) fn tell(
        &self,
        format: Format,
        output: Output,
        answer: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        check(format, output)?;
        for rendered in &self.rendered {
            note(rendered);
        }
        match format {
            Format::Human => output.answer(answer, text),
            Format::Json => Output::new(true).answer(answer, text),
            Format::Github => {
                let annotations = report::github(&self.problems);
                if !annotations.is_empty() {
                    print_out(annotations.trim_end_matches('\n'));
                }
                note(&text());
            }
            Format::Sarif => {
                print_out(&format!("{:#}", report::sarif(&self.problems, env!("CARGO_PKG_VERSION"))));
                note(&text());
            }
        }
        Ok(())
    }
}

/// Whether there is one answer to give.
pub(crate) fn check(format: Format, output: Output) -> Result<(), Stop> {
    if output.is_json() && matches!(format, Format::Github | Format::Sarif) {
        return Err(Stop::usage("--json and --format ask for different things").hint("leave --json out"));
    }
    Ok(())
}
