//! `assay keyset` and `assay revocation`.

use super::Folder;
use serde_json::{Value, json};

fn kid(sets: &Value, state: &str) -> String {
    let keys = sets["items"][0]["keys"].as_array().unwrap();
    keys.iter().find(|key| key["state"] == state).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_be_undone_is_asked_for_off_a_terminal() {
    let folder = Folder::begun();
    assert!(folder.here(&["keyset", "rotate", "--now"], 2).1.contains("--yes"));
    assert!(folder.here(&["keyset", "retire", "nobody"], 2).1.contains("--yes"));
    folder.here(&["keyset", "retire", "nobody", "--yes"], 1);
    let sets = folder.json(&["keyset", "list"], 0);
    assert_eq!(sets["items"][0]["keys"].as_array().unwrap().len(), 2, "nothing has changed: {sets}");
}

#[test]
fn a_rotation_says_what_happens_when() {
    let folder = Folder::begun();
    let before = folder.json(&["keyset", "list"], 0);
    let (active, next) = (kid(&before, "active"), kid(&before, "next"));
    let (said, _) = folder.here(&["keyset", "rotate"], 0);
    assert!(said.contains(&next) && said.contains("in ") && said.contains("Nobody is locked out"), "{said}");
    assert_eq!(kid(&folder.json(&["keyset", "list"], 0), "active"), active);
    let (said, warned) = folder.here(&["keyset", "rotate", "--now", "--yes"], 0);
    assert!(said.contains("signs now") && warned.contains("warning: "), "{said}{warned}");
    let after = folder.json(&["keyset", "list"], 0);
    assert_eq!((kid(&after, "active"), kid(&after, "retiring")), (next, active.clone()));
    assert!(folder.here(&["keyset", "list"], 0).0.contains("retiring"));
    folder.here(&["keyset", "retire", &active, "--yes"], 0);
    let (feed, _) = folder.here(&["revocation", "list"], 0);
    assert!(feed.contains("kid") && feed.contains(&active), "{feed}");
}

#[test]
fn another_concealment_is_taken_over_aloud_and_leaves_no_token_good() {
    let folder = Folder::begun();
    folder.here(&["keyset", "list"], 0);
    folder.change(
        "gw/assay.yaml",
        "    lifetime: 5m",
        "    lifetime: 5m\n    algorithm: ES256\n    concealment: sealed",
    );
    assert!(folder.here(&["keyset", "list"], 0).0.contains("rotate --now"));
    folder.here(&["keyset", "rotate"], 1);
    let (said, warned) = folder.here(&["keyset", "rotate", "--now", "--yes"], 0);
    assert!(said.contains("refused from now on") && !said.contains("until they expire"), "{said}");
    assert!(warned.contains("every token in hand"), "{warned}");
    assert!(folder.here(&["keyset", "list"], 0).0.contains("(sealed)"));
}

#[test]
fn a_revocation_is_made_listed_and_lifted() {
    let folder = Folder::begun();
    let revocation = |more: &[&str], code| folder.here(&[&["revocation"], more].concat(), code);
    revocation(&["add", "app", "shop"], 2);
    revocation(&["add", "everything", "x", "--reason", "r"], 2);
    assert!(revocation(&["add", "build", "x", "--reason", "r"], 2).1.contains("number"));
    revocation(&["lift", "app", "shop", "--reason", "r"], 1);
    assert_eq!(revocation(&["list"], 0).0, "nothing is revoked\n");
    revocation(&["add", "app", "shop", "--reason", "leak"], 0);
    assert!(revocation(&["list"], 0).0.contains("leak"));
    revocation(&["lift", "app", "shop", "--reason", "mended"], 0);
    assert_eq!(folder.json(&["revocation", "list"], 0)["items"][0]["lifted"], json!(true));
}
