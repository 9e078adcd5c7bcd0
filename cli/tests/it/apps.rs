//! `assay app`: what is vouched for.

use super::Folder;
use serde_json::json;

/// A program that every Linux has.
const PROGRAM: &str = "/bin/true";

#[test]
fn refuses_what_is_no_app_or_somebody_elses_and_writes_nothing() {
    let folder = Folder::begun();
    std::fs::write(folder.at("script"), "#!/bin/sh\n").unwrap();
    let register = |more: &[&str], code| folder.here(&[&["app", "register"], more].concat(), code).1;
    assert!(register(&["script", "--name", "shop", "--version", "1"], 1).contains("not an app"));
    assert!(register(&[PROGRAM, "--name", "shop"], 2).contains("--version"));
    assert!(register(&[PROGRAM, "--name", "shop", "--version", "1 0"], 2).contains("version"));
    assert!(
        register(&[PROGRAM, "--name", "shop", "--version", "1", "--platform", "ios"], 2).contains("the file is for")
    );
    assert!(register(&[PROGRAM, "--name", "shop", "--version", "1", "--library", "libno.so"], 1).contains("libno.so"));
    let stranger = register(&[PROGRAM, "--name", "nobody", "--version", "1"], 1);
    assert!(stranger.contains("app: ") && stranger.contains("attestation.apps"), "{stranger}");
    assert_eq!(folder.json(&["app", "list"], 0)["builds"], json!([]));
    folder.here(&["app", "show", "nobody"], 1);
    folder.here(&["app", "retire", "--name", "shop", "--version", "1"], 1);
}

#[test]
fn a_build_is_registered_once_shown_and_retired() {
    let folder = Folder::begun();
    let register = ["app", "register", PROGRAM, "--name", "shop", "--version", "1.0"];
    let first = folder.json(&register, 0);
    assert_eq!((&first["outcome"], &first["number"]), (&json!("registered"), &json!(1)));
    assert_eq!(first["builds"][0]["measurement"], first["measurement"]);
    assert!(folder.here(&register, 0).0.contains("registered already"));
    let (list, _) = folder.here(&["app", "list"], 0);
    assert!(list.contains("live") && list.contains("shop") && list.contains("sha256:"), "{list}");
    let other = ["app", "register", "/bin/false", "--name", "shop", "--version", "1.0"];
    assert!(folder.here(&other, 1).1.contains("another measurement"));
    assert!(folder.here(&["app", "retire", "--name", "shop", "--version", "1.0"], 0).0.contains("1 build retired"));
    assert_eq!(folder.json(&["app", "list", "--live"], 0)["builds"], json!([]));
    assert_eq!(folder.json(&["app", "list"], 0)["builds"][0]["state"], "retired");
    assert!(folder.here(&["app", "show", "shop"], 0).0.contains("0 live, 1 retired"));
    assert!(folder.here(&register, 0).0.contains("live again"));
}
