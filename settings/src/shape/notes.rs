//! The problems that were noted on the way, and the parts of the file that other readers take.

use std::{cell::RefCell, collections::BTreeSet};

use policies::{
    Problem, Severity,
    yaml::{Node, Place},
};

use super::Fault;

/// What was noted so far.
#[derive(Debug)]
pub(crate) struct Notes<'n> {
    pub(crate) file: String,
    pub(crate) problems: RefCell<Vec<Problem>>,
    pub(crate) subtrees: RefCell<Vec<&'n Node>>,
    /// Lines of the file that may hold a secret: no report shows them, whatever else is wrong there.
    pub(crate) hidden: RefCell<BTreeSet<usize>>,
}

impl Notes<'_> {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            problems: RefCell::default(),
            subtrees: RefCell::default(),
            hidden: RefCell::default(),
        }
    }

    /// Keeps a line of the file out of every report.
    pub(crate) fn hide(&self, line: usize) {
        self.hidden.borrow_mut().insert(line);
    }

    pub(crate) fn note(&self, place: Place, code: &'static str, fault: Fault) {
        let mut problem = Problem::error(place, code, fault.message).in_file(&self.file);
        problem.hint = fault.hint;
        self.push(problem);
    }

    /// Keeps a problem. Of errors and of the rest [`MAX_PROBLEMS`] each: a hostile file must not make a report of megabytes, and
    /// warnings never crowd out an error or become one.
    pub(crate) fn push(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        let is_error = problem.severity == Severity::Error;
        match problems.iter().filter(|other| (other.severity == Severity::Error) == is_error).count() {
            0..MAX_PROBLEMS => problems.push(problem),
            MAX_PROBLEMS => {
                let what = if is_error { "errors" } else { "warnings" };
                let mut last = Problem::error(
                    Place::default(),
                    "too_many_problems",
                    format!("more than {MAX_PROBLEMS} {what}; the rest is not shown"),
                )
                .in_file(&self.file);
                last.severity = problem.severity;
                problems.push(last);
            }
            _ => {}
        }
    }
}

/// Errors that one report holds at most; and as many warnings.
pub const MAX_PROBLEMS: usize = 100;
