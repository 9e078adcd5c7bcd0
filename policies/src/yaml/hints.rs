//! What the YAML reader refused, in the operator's words.
//!
//! In: an error of `serde-saphyr` and the text. Out: [`Problem`]s with a remedy: each value that lacks its quotes, and what else keeps
//! the text from being read, of which only the first can be known. The reader's own messages are right, but "alias references unknown
//! anchor" helps nobody who wrote `host: *.example.com`.

use serde_saphyr::{Error, Location};

use super::{MAX_DEPTH, Place};
use crate::problem::{Problem, lines};

/// How many values without quotes are told at once; the text is read anew after each.
const MAX_TOLD: usize = 16;

/// Explains why `text` could not be read; `read` tries another text.
pub(super) fn explain_all(error: Error, text: &str, read: impl Fn(&str) -> Option<Error>) -> Vec<Problem> {
    let mut told = Vec::new();
    let (mut next, mut text) = (Some(error), text.to_owned());
    while let Some(error) = next.take() {
        let problem = explain(&error, &text);
        // A value that is told is taken for a word, so that those behind it are told as well.
        let without = if told.len() + 1 < MAX_TOLD { as_a_word(&text, &problem) } else { None };
        told.push(problem);
        if let Some(without) = without {
            next = read(&without);
            text = without;
        }
    }
    told
}

/// The text with the first character of the unquoted value that `problem` tells of made a letter.
fn as_a_word(text: &str, problem: &Problem) -> Option<String> {
    if !problem.message.ends_with(WITHOUT_QUOTES) {
        return None;
    }
    let line: usize = text.split_inclusive('\n').take(problem.line.checked_sub(1)?).map(str::len).sum();
    let (at, first) = text.get(line..)?.char_indices().nth(problem.column.checked_sub(1)?)?;
    let (before, rest) = text.split_at_checked(line.checked_add(at)?)?;
    (first != 'x').then(|| [before, "x", rest.get(first.len_utf8()..).unwrap_or_default()].concat())
}

const WITHOUT_QUOTES: &str = "can't stand here without quotes";

fn explain(error: &Error, text: &str) -> Problem {
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
    if problem.code == "yaml_syntax" {
        if let Some((column, value, hint)) = by_value(&line) {
            problem.column = column;
            problem.width = value.chars().count();
            problem.message = format!("`{value}` {WITHOUT_QUOTES}");
            problem.hint = Some(hint);
        } else {
            problem.hint = by_structure(&line, &problem.message);
        }
    }
    problem
}

/// The values that the operator's hand writes by itself: where one stands, its text, and the remedy.
fn by_value(line: &str) -> Option<(usize, String, String)> {
    plain_values(line).into_iter().find_map(|(start, value)| {
        let version = value.trim_start_matches(['>', '=', ' ']);
        let is_version = version.starts_with(|first: char| first.is_ascii_digit());
        let hint = match value.chars().next()? {
            '*' => format!("quote it: \"{value}\" (a bare `*` begins a YAML alias)"),
            '>' if is_version => format!(
                "write {{ min: \"{version}\" }} (a bare `>` begins a YAML text block; versions go under min, from this one on, and below, before this one)"
            ),
            '%' | '@' | '`' => format!("quote it: \"{value}\" (YAML keeps that first character for itself)"),
            '&' | '!' => format!("quote it: \"{value}\" (anchors and tags are not used here)"),
            _ => return None,
        };
        let column = line.get(..start).map_or(1, |before| before.chars().count() + 1);
        Some((column, value, hint))
    })
}

/// What is usually behind a complaint of the reader about lines, brackets and quotes.
fn by_structure(line: &str, message: &str) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["simple key"])
        && let Some((key, value)) = glued(line)
    {
        return Some(format!("a space is missing after the colon: write `{key}: {value}`"));
    }
    let hint = if line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
        "indent with spaces: YAML allows no tab there"
    } else if says(&["mapping value"]) {
        "a text that holds `: ` needs quotes; or the line is indented too far"
    } else if says(&["flow mapping"]) {
        "a `{` is not closed by `}`, on this line or above"
    } else if says(&["flow sequence"]) {
        "a `[` is not closed by `]`, on this line or above"
    } else if says(&["placement of ':'"]) {
        "a `[` above is not closed by `]`; or a text that holds `:` needs quotes"
    } else if says(&["quoted scalar"]) {
        "a quote that opens here is not closed"
    } else if says(&["block collection", "block mapping", "block sequence", "indentation"]) {
        "the fields of one map begin in the same column: indent this line like its neighbours"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// Key and value of a line that has no space after its colon: `default:block`.
fn glued(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim().trim_start_matches("- ").split_once(':')?;
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_key && !value.is_empty() && !value.starts_with([' ', '/'])).then_some((key, value))
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
            place.line = place.line.min(lines(text).count().max(1));
            place
        }
        _ => Place::default(),
    }
}

fn line_of(text: &str, line: usize) -> String {
    line.checked_sub(1).and_then(|index| lines(text).nth(index)).unwrap_or_default().to_owned()
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
