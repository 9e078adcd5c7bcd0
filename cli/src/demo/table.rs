//! The table a person reads: what was tried, what came back, why.
//!
//! In: rows as the scenes end. Out: text in the terminal's width, colour on a terminal only, or JSON.

use crate::output::paint;
use serde::Serialize;

/// One thing that was tried.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// The scene's number, 1 to 12.
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

/// Widths of the three text columns.
const COLUMNS: [usize; 3] = [40, 34, 46];

/// The head of the table.
pub(super) fn head() -> String {
    let rule: String = COLUMNS.iter().map(|w| "─".repeat(w + 2)).collect::<Vec<_>>().join("┬");
    let titles = ["what was tried", "what came back", "why"];
    let line =
        titles.iter().zip(COLUMNS).map(|(t, w)| format!(" {} ", paint(&pad(t, w), "1"))).collect::<Vec<_>>().join("│");
    format!("───────┬{rule}\n       │{line}\n{}", divider())
}

/// The line between two scenes.
pub(super) fn divider() -> String {
    let rule: String = COLUMNS.iter().map(|w| "─".repeat(w + 2)).collect::<Vec<_>>().join("┼");
    format!("───────┼{rule}")
}

/// One row, wrapped inside its columns.
pub(super) fn row(row: &Row) -> String {
    let cells = [wrap(&row.tried, COLUMNS[0]), wrap(&row.came_back, COLUMNS[1]), wrap(&row.why, COLUMNS[2])];
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let mark = if row.right { paint("✓", "32") } else { paint("✗", "1;31") };
    let mut out = Vec::with_capacity(height);
    for at in 0..height {
        let lead = if at == 0 { format!(" {mark} {:>2}  ", row.scene) } else { " ".repeat(7) };
        let line =
            cells.iter().zip(COLUMNS).map(|(cell, w)| format!(" {} ", pad(cell.get(at).map_or("", String::as_str), w)));
        out.push(format!("{lead}│{}", line.collect::<Vec<_>>().join("│")).trim_end().to_owned());
    }
    out.join("\n")
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
mod tests {
    use super::*;

    #[test]
    fn wraps_at_blanks_and_inside_long_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
