//! What is wrong with a file, in the words a person needs at 3 a.m.: what, where, and what to write instead.
//!
//! In: a [`Place`], a message, a hint. Out: a [`Problem`], which prints itself as one line
//! (`Display`), with the source line and a caret ([`Problem::render`]), or as JSON (`Serialize`).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::yaml::Place;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing has to change.
    Note,
    /// Loads, but probably not what was meant.
    Warning,
    /// Does not load.
    Error,
}

impl Severity {
    /// The word that stands before the message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Counted from 1; 0 when the problem is with the file as a whole.
    pub line: usize,
    /// In characters, counted from 1; 0 when the problem is with the file as a whole.
    pub column: usize,
    /// How many characters the caret underlines; at least 1.
    pub width: usize,
    /// Whether the file loads all the same.
    pub severity: Severity,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Stable name of this kind of problem, for scripts: `unknown_field`, `unreachable_rule`, …
    pub code: &'static str,
    /// Which of the files that are read together; [`Problem::file`] is its name, once that is known.
    #[serde(skip)]
    pub(crate) source: u16,
    /// Whether its line may hold a secret, which no report shows.
    #[serde(skip)]
    pub(crate) hides_line: bool,
}

impl Problem {
    /// An error at `place`. `file` may be filled in later, by [`Problem::in_file`].
    #[must_use]
    pub fn error(place: Place, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            file: String::new(),
            line: place.line,
            column: place.column,
            width: place.width.max(1),
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            code,
            source: place.source,
            hides_line: false,
        }
    }

    /// A warning at `place`.
    #[must_use]
    pub fn warning(place: Place, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, code, message) }
    }

    /// A note at `place`.
    #[must_use]
    pub fn note(place: Place, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(place, code, message) }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with stars in place of its line: it may hold a secret, and reports go to logs and tickets.
    #[must_use]
    pub(crate) fn hiding_line(mut self) -> Self {
        self.hides_line = true;
        self
    }

    /// The same with the name of its file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }

    /// The whole message with the source line and a caret under the place. `source` is the text of [`Problem::file`].
    ///
    /// Control characters of the source are replaced, so that a file can't drive the terminal; of a very long
    /// line only the part around the place is shown. A password in a URL is not shown, whatever else is wrong in its line.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let mut out = format!("{}: {}\n", self.severity.as_str(), visible(&self.message));
        let line = self.line.checked_sub(1).and_then(|index| lines(source).nth(index));
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        if self.line == 0 {
            out.push_str(&format!("{margin}--> {}\n", visible(&self.file)));
        } else {
            out.push_str(&format!("{margin}--> {}:{}:{}\n", visible(&self.file), self.line, self.column));
        }
        if let Some(line) = line {
            let line = if self.hides_line { "*".repeat(line.chars().count()) } else { without_passwords(line) };
            let (shown, before) = window(&line, self.column);
            let room = shown.chars().count().saturating_sub(before).max(1);
            out.push_str(&format!("{margin} |\n{number} | {shown}\n"));
            out.push_str(&format!("{margin} | {}{}\n", " ".repeat(before), "^".repeat(self.width.clamp(1, room))));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("{margin} = help: {}\n", visible(hint)));
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", visible(&self.file))?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}", self.severity.as_str(), visible(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, " (help: {})", visible(hint)),
            None => Ok(()),
        }
    }
}

/// Sorts by place, errors before warnings at the same place: the order in which a file is mended.
pub fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| {
        (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)).then(b.severity.cmp(&a.severity))
    });
}

/// `text`, the content of `file`, with stars in the lines that may hold a secret: for [`Problem::render`] of each of them, since
/// several may stand in one line.
#[must_use]
pub fn without_secrets<'t>(problems: &[Problem], file: &str, text: &'t str) -> Cow<'t, str> {
    let hidden: BTreeSet<usize> =
        problems.iter().filter(|problem| problem.hides_line && problem.file == file).map(|one| one.line).collect();
    if hidden.is_empty() {
        return text.into();
    }
    let shown = (1..).zip(lines(text)).map(|(number, line)| {
        if hidden.contains(&number) { "*".repeat(line.chars().count()) } else { line.to_owned() }
    });
    shown.collect::<Vec<_>>().join("\n").into()
}

/// Whether any of them keeps the file from loading.
#[must_use]
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The lines of a YAML text, as its reader counts them: a carriage return alone ends one too (YAML 1.2, section 5.4).
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('\r'))
}

/// The part of `line` to show, and how many of its characters stand before `column`.
fn window(line: &str, column: usize) -> (String, usize) {
    let before = column.saturating_sub(1);
    let skip = if before > MAX_SHOWN * 2 / 3 { before - MAX_SHOWN / 3 } else { 0 };
    let mut shown: String = if skip > 0 { "…".to_owned() } else { String::new() };
    shown.push_str(&visible(&line.chars().skip(skip).take(MAX_SHOWN).collect::<String>()));
    if line.chars().nth(skip + MAX_SHOWN).is_some() {
        shown.push('…');
    }
    (shown, before - skip + usize::from(skip > 0))
}

/// `line` with a star for each character of a password in a URL (`scheme://user:password@host`).
fn without_passwords(line: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(line.len()), line);
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(after.len());
        let (word, tail) = after.split_at(end);
        shown.push_str(before);
        shown.push_str("://");
        // Up to the last @: one inside a password should have been escaped, and was not.
        match word.rsplit_once('@').and_then(|(who, host)| Some((who.split_once(':')?, host))) {
            Some(((user, password), host)) => {
                shown.push_str(&format!("{user}:{}@{host}", "*".repeat(password.chars().count())));
            }
            None => shown.push_str(word),
        }
        rest = tail;
    }
    shown + rest
}

/// `text` with each control character replaced by one that only shows.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// Characters of a source line that are shown at most.
const MAX_SHOWN: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, column: usize, width: usize) -> Problem {
        Problem::error(Place { line, column, width, ..Place::default() }, "test", "`mode` can't be `false`")
            .with_hint("write `mode: disabled`")
            .in_file("shop.yaml")
    }

    #[test]
    fn shows_the_line_a_caret_and_the_remedy() {
        let text = "rules:\n  - mode: false\n";
        assert_eq!(
            problem(2, 11, 5).render(text),
            "error: `mode` can't be `false`\n --> shop.yaml:2:11\n  |\n2 |   - mode: false\n  |           ^^^^^\n  = help: write `mode: disabled`\n"
        );
        assert_eq!(
            problem(2, 11, 5).to_string(),
            "shop.yaml:2:11: error: `mode` can't be `false` (help: write `mode: disabled`)"
        );
    }

    #[test]
    fn lines_are_counted_as_yaml_counts_them() {
        let shown = problem(3, 1, 1).render("# one\r# two\rx: 1\r\n");
        assert!(shown.contains("3 | x: 1\n"), "{shown}");
        let error = crate::yaml::parse("p.yaml", "# one\r# two\rx: [\r\n").unwrap_err();
        assert!(error[0].line >= 3 && error[0].render("# one\r# two\rx: [\r\n").contains('^'), "{error:?}");
    }

    #[test]
    fn a_file_cannot_drive_the_terminal() {
        let text = "a: \u{1b}[31mred\u{7}\n";
        let shown = problem(1, 4, 99).render(text);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown}");
    }

    #[test]
    fn a_line_of_a_quarter_of_a_million_characters_is_cut_around_the_place() {
        let text = "x".repeat(250_000);
        let shown = problem(1, 200_000, 3).render(&text);
        assert!(shown.len() < 700, "{}", shown.len());
        assert!(shown.contains("^^^"));
    }

    #[test]
    fn a_place_beyond_the_text_does_not_panic() {
        assert!(problem(99, 99, 99).render("short\n").contains("shop.yaml:99:99"));
        assert!(problem(0, 0, 0).render("").contains("--> shop.yaml\n"));
        assert!(problem(1, 99, 2).render("short\n").contains('^'));
    }

    #[test]
    fn goes_out_as_json_with_stable_names() {
        let json = serde_json::to_value(problem(2, 11, 5)).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(json["code"], "test");
        assert_eq!(json["line"], 2);
    }

    #[test]
    fn a_password_in_a_url_of_the_line_is_not_shown_and_the_caret_stays_in_place() {
        for (line, shown) in [
            (r#"a: { url: "postgres://u:s3cr€t@h/d", b: 1 }"#, r#"a: { url: "postgres://u:******@h/d", b: 1 }"#),
            ("a: redis://:s3cret@h, b: redis://x:y@h", "a: redis://:******@h, b: redis://x:*@h"),
            ("url: 'p://u:a/b?c#d@e@h:5/x'", "url: 'p://u:*********@h:5/x'"),
            ("url: https://h:8443/x", "url: https://h:8443/x"),
            ("url: https://user@h/x  # ://", "url: https://user@h/x  # ://"),
        ] {
            assert_eq!(without_passwords(line), shown);
            assert_eq!(line.chars().count(), shown.chars().count());
        }
    }
}
