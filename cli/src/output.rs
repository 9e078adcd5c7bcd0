//! How every command answers: one document on stdout, messages on stderr, one of four exit codes.
//!
//! In: what a command found. Out: text for a person or, with `--json`, one JSON document; and the process's exit code.

use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The four ends of a command (design, section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Yes.
    Yes,
    /// No: the question was understood and the answer is no.
    No,
    /// Wrong usage, or an input that can't be read.
    Usage,
    /// Could not find out: a server that doesn't answer, a store that is locked.
    Unknown,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        ExitCode::from(match end {
            End::Yes => 0,
            End::No => 1,
            End::Usage => 2,
            End::Unknown => 3,
        })
    }
}

impl From<bool> for End {
    fn from(yes: bool) -> Self {
        if yes { End::Yes } else { End::No }
    }
}

/// Why a command stopped before it had an answer, and with which code it ends.
#[derive(Debug)]
pub(crate) struct Stop {
    end: End,
    message: String,
    hint: Option<String>,
    /// The message names what is an error in it by itself, place by place.
    has_places: bool,
}

impl Stop {
    /// Wrong usage, or an input that can't be read.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(End::Usage, message.into())
    }

    /// The input was read, and is bad.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self::new(End::No, message.into())
    }

    /// A file was read, and is bad; `rendered` are its problems, each with its place.
    pub(crate) fn problems(rendered: impl Into<String>) -> Self {
        Self { has_places: true, ..Self::no(rendered) }
    }

    /// Could not find out.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(End::Unknown, message.into())
    }

    const fn new(end: End, message: String) -> Self {
        Self { end, message, hint: None, has_places: false }
    }

    /// What the reader can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message alone, for a caller that prints it in its own words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// `json`: one JSON document on stdout instead of text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether `--json` was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints an answer: `value` with `--json`, else `text`.
    pub(crate) fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            self.line(value);
        } else {
            let text = text();
            if !text.is_empty() {
                print_out(text.trim_end_matches('\n'));
            }
        }
    }

    /// One JSON line on stdout, whatever the mode.
    pub(crate) fn line(self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => print_out(&text),
            Err(error) => note(&format!("error: this answer can't be written as JSON: {error}")),
        }
    }

    /// Prints why there is no answer, and gives the exit code.
    pub(crate) fn stop(self, stop: &Stop) -> ExitCode {
        if stop.has_places {
            note(stop.message.trim_end());
        } else {
            note(&format!("{} {}", paint_err("error:", "1;31"), stop.message));
        }
        if let Some(hint) = &stop.hint {
            note(&format!("{}  {hint}", paint_err("help:", "1;36")));
        }
        if self.json {
            self.line(&serde_json::json!({ "error": stop.message, "hint": stop.hint }));
        }
        stop.end.into()
    }
}

/// A message for the person, on stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// One text on stdout. A closed pipe (`assay … | head`) ends the output, not the program with a panic.
pub(crate) fn print_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// `text` in an ANSI colour, when stderr is a terminal that wants colour.
fn paint_err(text: &str, colour: &str) -> String {
    paint_if(std::io::stderr().is_terminal(), text, colour)
}

/// `text` in an ANSI colour, when stdout is a terminal that wants colour (<https://no-color.org>).
pub(crate) fn paint(text: &str, colour: &str) -> String {
    paint_if(std::io::stdout().is_terminal(), text, colour)
}

/// How many columns the terminal on stdout has; `None` when it is none.
pub(crate) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn paint_if(terminal: bool, text: &str, colour: &str) -> String {
    let wanted = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}
