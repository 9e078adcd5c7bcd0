//! Every command line that the documents show is one that the program takes: each word of it exists.
//!
//! In: blocks and code spans of every page. Out: `assay WORDS --help` for each, which parses all words before the help.
//! That the commands of `docs/admin.md` do what they say is tested where they live.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use e2e::command::run;
use e2e::programs;

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(programs::root().join("docs")).unwrap().flatten().map(|entry| entry.path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.extend(["README.md", "SECURITY.md"].map(|name| programs::root().join(name)));
    pages.sort();
    pages
}

/// Command lines of a page: lines of blocks, and code spans.
fn command_lines(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let indented = line.strip_prefix("    ").unwrap_or_default();
        let whole = if fenced { line.trim_start() } else { indented };
        if whole.starts_with("assay ") || whole.starts_with("ASSAY_") {
            found.insert(whole.to_owned());
        } else if !fenced {
            found.extend(
                line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("assay ")).map(str::to_owned),
            );
        }
    }
    found
}

/// Its words as a shell has them: no comment, no redirection, no pipe, quotes taken off, what only stands for more left out;
/// of two commands in a line the first.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), None, false);
    for letter in line.chars().chain([' ']) {
        match (quoted, letter) {
            (Some(quote), _) if quote == letter => quoted = None,
            (None, '\'' | '"') => (quoted, any) = (Some(letter), true),
            (None, '#' | '>' | '<' | '|' | '&') if word.is_empty() => break,
            (None, ' ') => {
                // What only stands for more is no word, but a value that is left out is one.
                if any || !word.is_empty() && !["…", "..."].contains(&word.as_str()) {
                    words.push(std::mem::take(&mut word));
                }
                word.clear();
                any = false;
            }
            _ => word.push(letter),
        }
    }
    words.retain(|word| !word.starts_with("ASSAY_"));
    for word in &mut words {
        // One of several: the first stands for them.
        word.truncate(word.find('|').unwrap_or(word.len()));
    }
    words
}

#[test]
fn every_command_line_in_the_documents_parses() {
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        let lines = command_lines(&std::fs::read_to_string(&page).unwrap());
        if ["admin.md", "keys.md", "registration.md", "operations.md", "README.md"].contains(&name.as_str()) {
            assert!(lines.len() >= 3, "{name}: {lines:?}");
        }
        // One that stands for all of them is none.
        for line in lines.into_iter().filter(|line| !line.contains("COMMAND")) {
            let words = words(&line);
            let help =
                |more: &[&str]| run(Command::new(programs::assay()).args(&words[1..]).args(more).arg("--help"), b"");
            let ran = match help(&[]) {
                // Prose may name an option without its value.
                ran if ran.err.contains("a value is required") && words.last().unwrap().starts_with("--") => {
                    help(&["1"])
                }
                ran => ran,
            };
            counted += 1;
            if ran.code != 0 || !ran.out.contains("Usage") {
                wrong.push(format!("{name}: {line}\n{}{}", ran.out, ran.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counted >= 50, "{counted}");
}

#[test]
fn a_word_that_does_not_exist_is_found() {
    assert_eq!(
        words("A=1 assay device ban D --reason 'a b'  # c"),
        ["A=1", "assay", "device", "ban", "D", "--reason", "a b"]
    );
    assert_eq!(words("assay x --reason '…' … && assay y"), ["assay", "x", "--reason", "…"]);
    for line in ["assay keyset rotate --soon", "assay keyset turn", "assay nothing", "assay app list shop more"] {
        let ran = run(Command::new(programs::assay()).args(&words(line)[1..]).arg("--help"), b"");
        assert_ne!(ran.code, 0, "{line}: {}", ran.out);
    }
}
