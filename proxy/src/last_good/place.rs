//! Where the state folder of a configuration is, when that configuration can't be read.
//!
//! In comes the path of a file that may be broken, or gone; out come the folders to look in. Only `state: { dir: … }` is looked
//! for, line by line, so that a fault elsewhere in the file is no reason not to find it.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a file that are looked at.
const LOOKED_AT: u64 = 1 << 20;
/// What `assay init` writes.
const USUAL: &str = "state";

/// The folders that may be the state folder of this configuration, the likeliest first: what the file says, broken as it may be; then
/// `state` beside it.
pub(super) fn state_dirs(configuration: &Path) -> Vec<PathBuf> {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(configuration) {
        // What was read until a fault is good enough.
        let _ = file.take(LOOKED_AT).read_to_end(&mut text);
    }
    let beside = configuration.parent().unwrap_or(Path::new(""));
    let said = said_in(&String::from_utf8_lossy(&text)).map(|dir| beside.join(dir));
    let mut dirs: Vec<PathBuf> = said.into_iter().collect();
    let usual = beside.join(USUAL);
    if !dirs.contains(&usual) {
        dirs.push(usual);
    }
    dirs
}

/// The value of `dir` under `state` at the top.
fn said_in(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("state:"));
    let first = lines.next()?.strip_prefix("state:")?;
    let below = lines.take_while(|line| line.starts_with([' ', '\t']) || line.trim().is_empty());
    std::iter::once(first).chain(below).find_map(dir_of)
}

fn dir_of(line: &str) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let (before, value) = line.split_once("dir:")?;
    // Not the end of another word.
    if !before.is_empty() && !before.ends_with([' ', '{', ',', '\t']) {
        return None;
    }
    let value = value.trim();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split([',', '}']).next()?.trim(),
    };
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_found_in_either_notation_and_beside_any_fault() {
        for (text, dir) in [
            ("assay: 1\nstate: { dir: state, shared: { url_file: x } }\nroutes: [", "state"),
            ("state:\n  # a note\n  dir: \"/var/lib/assay\"  # here\nroutes:\n\t- :", "/var/lib/assay"),
            ("state:\n\n  database: { url_file: d }\n  dir: /srv/a b\nlog: {}", "/srv/a b"),
            ("state: {dir: 'it'}", "it"),
        ] {
            assert_eq!(said_in(text).as_deref(), Some(dir), "{text}");
        }
        for text in ["", "stat: { dir: x }", "state:\nother:\n  dir: x", "state: { subdir: x }", "state: { dir: }"] {
            assert_eq!(said_in(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_gone_has_its_state_beside_it() {
        assert_eq!(state_dirs(Path::new("/nowhere/assay.yaml")), [PathBuf::from("/nowhere/state")]);
    }
}
