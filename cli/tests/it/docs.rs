//! The documents: the command lines of `docs/admin.md` run as they stand there, and links lead somewhere.

use super::Folder;
use crate::devices::DEVICE;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/admin.md");

#[test]
fn every_command_line_of_the_page_runs() {
    let folder = Folder::begun();
    folder.change("gw/assay.yaml", "token: { from: [Assay-Token] }", "token: { from: [Assay-Token], allow_dev: true }");
    // A new version goes into the registry, an old one out.
    std::fs::copy("/bin/true", folder.at("shop")).unwrap();
    folder.here(&["app", "register", "shop", "--name", "shop", "--version", "1.2"], 0);
    let mut lines = PAGE.lines().filter_map(|line| line.strip_prefix("    assay ")).peekable();
    assert!(lines.peek().is_some());
    let mut ran = 0;
    for line in lines {
        // What needs a running service or another machine is run in `remote`.
        if line.contains("--remote") {
            continue;
        }
        let line = line.split("  #").next().unwrap().replace("DEVICE", DEVICE).replace("KID", &active(&folder));
        // The configuration stands before a redirection.
        let (words, into) = line.split_once(" > ").unwrap_or((&line, "/dev/stdout"));
        let command = format!("{} {words} -c gw/assay.yaml > {into}", super::ASSAY);
        let mut shell = std::process::Command::new("sh");
        let shell = shell.args(["-c", &command]).current_dir(folder.0.path());
        let done = shell.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        ran += 1;
    }
    assert!(ran > 15, "{ran}");
}

fn active(folder: &Folder) -> String {
    let sets = folder.json(&["keyset", "list"], 0);
    let keys = sets["items"][0]["keys"].as_array().unwrap().clone();
    let key = keys.iter().find(|key| key["state"] == "active").unwrap();
    key["kid"].as_str().unwrap().to_owned()
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = ["", "docs", "examples", "benches", "fuzz"];
    let pages = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap().flatten());
    let pages: Vec<_> =
        pages.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    assert!(pages.len() > 15, "{pages:?}");
    let mut followed = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", page.display());
            assert!(part.is_empty() || parts(&file).contains(part), "{}: {target}", page.display());
            followed += 1;
        }
    }
    assert!(followed > 40, "{followed}");
}

/// What can stand behind the `#` of a link to a page: its headings, as they are shown on the web.
fn parts(page: &PathBuf) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let name = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(name).collect()
}
