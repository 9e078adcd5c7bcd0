//! `assay token issue` and `assay admin token`.

use super::Folder;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_test_token_is_for_routes_that_take_them_alone() {
    let folder = Folder::begun();
    let issue = |more: &[&str], code| {
        folder.here(&[&["token", "issue", "--app", "shop", "--route", "api"], more].concat(), code)
    };
    let (_, said) = issue(&[], 1);
    assert!(said.contains("allow_dev: true"), "{said}");
    folder.change("gw/assay.yaml", "token: { from: [Assay-Token] }", "token: { from: [Assay-Token], allow_dev: true }");
    folder.here(&["token", "issue", "--app", "shop", "--route", "nowhere"], 2);
    folder.here(&["token", "issue", "--app", "nobody", "--route", "api"], 1);
    assert!(issue(&["--as", "nonsense"], 2).1.contains("no verdict"));
    assert!(issue(&["--as", "revoked"], 2).1.contains("revoke"));
    assert!(issue(&["--for", "1d"], 2).1.contains("seconds"));
    for (verdict, code) in [("attested", 0), ("failed", 1), ("expired", 1), ("wrong_audience", 1), ("bad_signature", 1)]
    {
        let token = issue(&["--as", verdict], 0).0;
        let (checked, _) = folder.here(&["token", "check", token.trim(), "--route", "api"], code);
        assert!(checked.starts_with(verdict), "{verdict}: {checked}");
    }
    let entries = folder.json(&["audit", "list"], 0);
    assert_eq!(entries["items"][0]["action"], "token.issue");
}

#[test]
fn an_admin_token_is_shown_once_and_revoked() {
    let folder = Folder::begun();
    folder.here(&["admin", "token", "create", "anna"], 2);
    folder.here(&["admin", "token", "create", "anna", "--role", "root"], 2);
    folder.here(&["admin", "token", "create", "anna", "--role", "admin", "--for", "400d"], 2);
    let (token, said) = folder.here(&["admin", "token", "create", "anna", "--role", "admin", "--for", "90d"], 0);
    assert!(token.starts_with("assay_admin_") && token.trim().len() == 55 && !said.contains(token.trim()), "{said}");
    assert!(folder.here(&["admin", "token", "create", "anna", "--role", "viewer"], 1).1.contains("already"));
    let create = ["admin", "token", "create", "ci", "--role", "operator", "--app", "shop", "--out", "ci.token"];
    let (said, _) = folder.here(&create, 0);
    let file = folder.at("ci.token");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("assay_admin_") && !said.contains(&written), "{said}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(folder.here(&create, 2).1.contains("exists already"));
    let (listed, _) = folder.here(&["admin", "token", "list"], 0);
    assert!(listed.contains("anna") && listed.contains("operator") && !listed.contains("assay_admin_"), "{listed}");
    folder.here(&["admin", "token", "revoke", "anna"], 0);
    folder.here(&["admin", "token", "revoke", "anna"], 1);
    assert!(folder.here(&["admin", "token", "list"], 0).0.contains("revoked"));
}
