//! The table a person reads: what was tried, what came back, why.
//!
//! In: rows as the scenes end. Out: text in the terminal's width, colour on a terminal only, or JSON.

use crate::output::paint;
use serde::Serialize;

/// One thing that was tried.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// The scene's number, 1 to 14.
    pub(super) scene: u8,
    /// What was tried.
    pub(super) tried: String,
    /// What came back.
    pub(super) came_back: String,
    /// Why, as the operator sees it.
    pub(super) why: String,
    /// Whether it came out as the story says.
    pub(super) right: bool,
}

impl Row {
    /// A row of `scene`.
    pub(super) fn new(
        scene: u8,
        tried: impl Into<String>,
        came_back: impl Into<String>,
        why: impl Into<String>,
        right: bool,
    ) -> Self {
        Self { scene, tried: tried.into(), came_back: came_back.into(), why: why.into(), right }
    }
}

/// Widths of the three text columns, where there is room.
const COLUMNS: [usize; 3] = [40, 34, 46];

/// What stands around them: marks and numbers, bars and blanks.
const AROUND: usize = 16;

/// The longest title; a terminal that is narrower still breaks the lines itself.
const NARROWEST: usize = 14;

/// A table of one width.
pub(super) struct Table {
    columns: [usize; 3],
}

impl Table {
    /// For a terminal of `width` columns; `None` is a file or a pipe, which has room.
    pub(super) fn fitting(width: Option<usize>) -> Self {
        let whole: usize = COLUMNS.iter().sum();
        let room = width.map_or(whole, |width| width.saturating_sub(AROUND)).min(whole);
        Self { columns: COLUMNS.map(|column| (column * room / whole).max(NARROWEST)) }
    }

    /// The head of the table.
    pub(super) fn head(&self) -> String {
        let titles = ["what was tried", "what came back", "why"];
        let titles =
            titles.iter().zip(self.columns).map(|(title, width)| format!(" {} ", paint(&pad(title, width), "1")));
        let titles = titles.collect::<Vec<_>>().join("│");
        format!("{}\n       │{titles}\n{}", self.rule('┬'), self.divider())
    }

    /// The line between two scenes.
    pub(super) fn divider(&self) -> String {
        self.rule('┼')
    }

    fn rule(&self, crossing: char) -> String {
        let bars = self.columns.iter().map(|width| format!("{crossing}{}", "─".repeat(width + 2)));
        format!("───────{}", bars.collect::<String>())
    }

    /// One row, wrapped inside its columns.
    pub(super) fn row(&self, row: &Row) -> String {
        let [tried, came_back, why] = self.columns;
        let cells = [wrap(&row.tried, tried), wrap(&row.came_back, came_back), wrap(&row.why, why)];
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        let mark = if row.right { paint("✓", "32") } else { paint("✗", "1;31") };
        let mut out = Vec::with_capacity(height);
        for at in 0..height {
            let lead = if at == 0 { format!(" {mark} {:>2}  ", row.scene) } else { " ".repeat(7) };
            let text = |cell: &Vec<String>| cell.get(at).cloned().unwrap_or_default();
            let line = cells.iter().zip(self.columns).map(|(cell, width)| format!(" {} ", pad(&text(cell), width)));
            out.push(format!("{lead}│{}", line.collect::<Vec<_>>().join("│")).trim_end().to_owned());
        }
        out.join("\n")
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
}

/// Breaks at blanks, and inside words that are longer than a line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let used = lines.last().map_or(0, |l| l.chars().count());
            let room = if used == 0 { width } else { width.saturating_sub(used + 1) };
            if word.len() <= room {
                if let Some(line) = lines.last_mut() {
                    if used > 0 {
                        line.push(' ');
                    }
                    line.extend(&word);
                }
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let rest = word.split_off(width);
            if let Some(line) = lines.last_mut() {
                line.extend(&word);
            }
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn fits_its_terminal_and_fills_no_more_than_it_needs() {
        let row = Row::new(2, "a script without a token: the paid route ".repeat(4), "401", "verdict missing", true);
        for (terminal, widest) in [(Some(80), 80), (Some(100), 100), (Some(500), 136), (None, 136), (Some(1), 58)] {
            let table = Table::fitting(terminal);
            let text = format!("{}\n{}", table.head(), table.row(&row));
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= widest && longest + 4 > widest.min(136), "{longest} in {terminal:?}:\n{text}");
        }
    }

    #[test]
    fn wraps_at_blanks_and_inside_long_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
