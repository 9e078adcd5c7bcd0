//! What the YAML reader refused, in the operator's words.
//!
//! In: an error of `serde-saphyr` and the text. Out: one [`Problem`] with a remedy. The reader's own messages are right,
//! but "alias references unknown anchor" helps nobody who wrote `host: *.example.com`.

use serde_saphyr::{Error, Location};

use super::{MAX_DEPTH, Place};
use crate::problem::Problem;

/// Explains why `text` could not be read.
pub(super) fn explain(error: &Error, text: &str) -> Problem {
    let error = innermost(error);
    let place = place_of(error, text);
    let line = line_of(text, place.line);
    let mut problem = match error {
        Error::Budget { breach, .. } => {
            use serde_saphyr::budget::BudgetBreach;
            match breach {
                BudgetBreach::Aliases { .. }
                | BudgetBreach::Anchors { .. }
                | BudgetBreach::MergeKeys { .. }
                | BudgetBreach::AliasAnchorRatio { .. }
                | BudgetBreach::RecordedAnchorEvents { .. }
                | BudgetBreach::RecordedAnchorBytes { .. } => refused_alias(place),
                BudgetBreach::Depth { .. } => too_deep(place),
                BudgetBreach::Documents { .. } => two_documents(place),
                _ => Problem::error(place, "yaml_budget", "the file holds more values than are read")
                    .with_hint("split it: policies may stand in files of their own"),
            }
        }
        Error::MultipleDocuments { .. } => two_documents(place),
        Error::MergeKeyNotAllowed { .. } => refused_alias(place),
        Error::UnknownAnchor { .. } => {
            Problem::error(place, "yaml_syntax", "`*` begins a reference here, which is not allowed")
        }
        Error::Eof { .. } => Problem::error(Place::default(), "yaml_syntax", "the file is empty"),
        Error::NonFiniteFloat { value, .. } => {
            Problem::error(place, "yaml_syntax", format!("`{value}` is not a number that can be used here"))
        }
        Error::Message { msg, .. } => Problem::error(place, "yaml_syntax", msg.clone()),
        other => {
            let told = without_place(&other.to_string());
            if told.contains("nesting") || told.contains("recursion limit") || told.contains("flow nesting") {
                too_deep(place)
            } else {
                Problem::error(place, "yaml_syntax", format!("this is not YAML: {told}"))
            }
        }
    };
    if problem.code == "yaml_syntax"
        && let Some((column, width, hint)) = by_name(&line, &problem.message)
    {
        if let Some(column) = column {
            problem.column = column;
            problem.width = width;
        }
        problem.hint = Some(hint);
    }
    problem
}

/// The mistakes that the operator's hand makes by itself: column and width where they stand, and the remedy.
fn by_name(line: &str, message: &str) -> Option<(Option<usize>, usize, String)> {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if indent.contains('\t') {
        return Some((None, 1, "indent with spaces: YAML allows no tab there".to_owned()));
    }
    for (start, value) in plain_values(line) {
        let at = line.get(..start).map_or(1, |before| before.chars().count() + 1);
        let width = value.chars().count();
        if let Some(rest) = value.strip_prefix('*') {
            return Some((Some(at), width, format!("quote it: \"*{rest}\" (a bare `*` begins a YAML alias)")));
        }
        if let Some(version) = value.strip_prefix(">=") {
            return Some((
                Some(at),
                width,
                format!(
                    "write {{ min: \"{}\" }} (a bare `>` begins a YAML text block; versions go under min and below)",
                    version.trim()
                ),
            ));
        }
        if let Some(version) = value.strip_prefix('>') {
            return Some((
                Some(at),
                width,
                format!(
                    "versions go under min (from this one on) and below (before this one): {{ min: \"{}\" }}",
                    version.trim()
                ),
            ));
        }
        if value.starts_with('%') || value.starts_with('@') || value.starts_with('`') {
            return Some((
                Some(at),
                width,
                format!("quote it: \"{value}\" (YAML keeps that first character for itself)"),
            ));
        }
        if value.starts_with('&') || value.starts_with('!') {
            return Some((Some(at), width, format!("quote it: \"{value}\" (anchors and tags are not used here)")));
        }
    }
    if message.contains("mapping values are not allowed") || message.contains("mapping value") {
        return Some((None, 1, "a text that holds `: ` needs quotes; or the line is indented too far".to_owned()));
    }
    None
}

/// The unquoted values of one line, after `: `, `- `, `[`, `{` or `, `, with the byte where each starts.
fn plain_values(line: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let bytes = line.as_bytes();
    let mut quoted: Option<u8> = None;
    let mut expects_value = true;
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if let Some(quote) = quoted {
            if byte == quote {
                quoted = None;
            }
            continue;
        }
        match byte {
            b' ' => {}
            b':' | b'-' if bytes.get(at + 1).is_none_or(|next| *next == b' ') => expects_value = true,
            b'[' | b'{' | b',' => expects_value = true,
            b'#' if start < at && bytes.get(at.wrapping_sub(1)) == Some(&b' ') => break,
            b'"' | b'\'' if expects_value => {
                quoted = Some(byte);
                expects_value = false;
            }
            _ if expects_value => {
                start = at;
                expects_value = false;
                let end =
                    line.get(at..).and_then(|rest| rest.find([',', '}', ']', '#'])).map_or(line.len(), |len| at + len);
                if let Some(value) = line.get(at..end) {
                    found.push((at, value.trim_end().to_owned()));
                }
            }
            _ => {}
        }
    }
    found
}

fn refused_alias(place: Place) -> Problem {
    Problem::error(place, "yaml_budget", "anchors, aliases and merge keys (`&`, `*`, `<<`) are not read")
        .with_hint("write the value out where it is used; a text that begins with `*` or `&` needs quotes")
}

fn too_deep(place: Place) -> Problem {
    Problem::error(place, "yaml_budget", format!("lists and maps stand more than {MAX_DEPTH} deep inside each other"))
        .with_hint("look for an opening bracket that is never closed")
}

fn two_documents(place: Place) -> Problem {
    Problem::error(place, "yaml_budget", "a second document begins here")
        .with_hint("remove the line `---`: one file, one document")
}

fn innermost(mut error: &Error) -> &Error {
    while let Error::WithSnippet { error: inner, .. } | Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    error
}

fn place_of(error: &Error, text: &str) -> Place {
    match error.location() {
        Some(location) if location != Location::UNKNOWN => {
            let mut place = Place::of(location);
            // Some errors point behind the last line.
            place.line = place.line.min(text.lines().count().max(1));
            place
        }
        _ => Place::default(),
    }
}

fn line_of(text: &str, line: usize) -> String {
    line.checked_sub(1).and_then(|index| text.lines().nth(index)).unwrap_or_default().to_owned()
}

/// The reader's message without its own "line 2 column 9: " and without its snippet.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest,
        None => first,
    };
    match first.rfind(" at line ") {
        Some(cut) => first.get(..cut).unwrap_or(first).to_owned(),
        None => first.to_owned(),
    }
}
