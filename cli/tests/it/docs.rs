//! The command lines of `docs/admin.md`: each runs as it stands there.

use super::Folder;
use crate::devices::DEVICE;

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
