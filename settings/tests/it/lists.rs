//! Named lists, and what policies include: read beside the configuration, watched, bounded.

use std::net::IpAddr;

use settings::ListKind;

use crate::folder::{Folder, with};

/// The good file with these lists, and a rule of `shop-api` that asks for one of them.
fn lists(lists: &str, when: &str) -> String {
    with("state: { dir: state }", &format!("state: {{ dir: state }}\nlists: {lists}")).replace(
        "        - { name: genuine, when: { verdict: attested }, then: allow }\n",
        &format!(
            "        - {{ name: listed, when: {{ verdict: missing, {when} }}, then: block }}\n        - {{ name: genuine, when: {{ verdict: attested }}, then: allow }}\n"
        ),
    )
}

const OFFICES: &str = "network: { list: offices }";

#[test]
fn a_list_says_what_it_holds() {
    let folder = Folder::new();
    folder.write("offices.txt", "203.0.113.0/24\n", 0o644);
    let told = |list: &str, code: &str, remedy: &str| {
        folder.refuses(lists(&format!("{{ offices: {list} }}"), "method: GET"), code, remedy);
    };
    told("{ }", "list_kind", "networks: lists/offices.txt");
    told("{ networks: offices.txt, paths: [/v1] }", "list_kind", "networks:");
    told("{ networks: offices.txt, file: offices.txt }", "unknown_field", "say what it holds");
    told("offices.txt", "invalid_value", "{ networks: lists/offices.txt }");
    folder.refuses(
        lists("{ Offices: { networks: offices.txt } }", "network: { list: Offices }"),
        "bad_name",
        "write offices",
    );
    folder.refuses(lists("{ offices: { networks: missing.txt } }", OFFICES), "unreadable_file", "mend the file");
    folder.write("offices.txt", b"\xff\xfe", 0o644);
    folder.refuses(lists("{ offices: { networks: offices.txt } }", OFFICES), "not_utf8", "one entry a line");
}

#[test]
fn entries_are_refused_where_they_stand() {
    let folder = Folder::new();
    folder.write("offices.txt", "# ours\n203.0.113.0/24\n  10.0.0.1/8\n", 0o644);
    let told = folder.refuses(lists("{ offices: { networks: offices.txt } }", OFFICES), "bad_entry", "10.0.0.0/8");
    assert!(told.contains("offices.txt:3:3"), "{told}");
    assert!(told.contains("  10.0.0.1/8"), "its line is shown: {told}");
    let here = lists("{ offices: { networks: [203.0.113.0/24, 203.0.113.1/24] } }", OFFICES);
    let told = folder.refuses(&here, "bad_entry", "203.0.113.0/24");
    assert!(told.contains("assay.yaml:11:"), "{told}");
    folder.refuses(lists("{ offices: { networks: [] } }", OFFICES), "empty_list", "none");
    folder.write("offices.txt", "# nothing\n", 0o644);
    folder.refuses(lists("{ offices: { networks: offices.txt } }", OFFICES), "empty_list", "none");
}

#[test]
fn names_of_lists_resolve_and_fit_the_condition() {
    let folder = Folder::new();
    let offices = "{ offices: { networks: [203.0.113.0/24] } }";
    let told = folder.load(lists(offices, "network: { list: ofices }")).err().unwrap().to_string();
    assert!(told.contains("did you mean `offices`?"), "{told}");
    assert!(folder.load(lists(offices, "path: { list: offices }")).is_err(), "networks are no paths");
}

#[test]
fn lists_are_compiled_read_from_their_files_and_watched() {
    let folder = Folder::new();
    folder.write("offices.txt", "203.0.113.0/24\n2001:db8::/32 # six\n", 0o644);
    let (settings, warnings) =
        folder.takes(lists("{ offices: { networks: offices.txt }, spare: { paths: [/v1/**] } }", OFFICES));
    assert_eq!(warnings, ["unused"], "nobody asks for `spare`");
    let settings::ListSettings { kind, file, .. } = &settings.list_sources["offices"];
    assert_eq!((*kind, file.as_ref()), (ListKind::Networks, Some(&folder.path("offices.txt"))));
    let Some(policies::List::Networks(networks)) = settings.lists.get("offices") else { panic!() };
    assert!(networks.contains("203.0.113.9".parse::<IpAddr>().unwrap()));
    assert!(settings.sources.contains(&folder.path("offices.txt")));
    assert_eq!(settings.list_sources["spare"].file, None);
    let digest = settings.digest;
    folder.write("offices.txt", "203.0.113.0/24\n", 0o644);
    assert_ne!(folder.takes(lists("{ offices: { networks: offices.txt } }", OFFICES)).0.digest, digest);
}

#[test]
fn what_a_policy_includes_stands_beside_it_and_is_watched() {
    let folder = Folder::new();
    let old = "default: block\nrules:\n  - include: common.yaml\n  - { name: genuine, when: { verdict: attested }, then: allow }\n";
    folder.write("policies/old.yaml", old, 0o644);
    let told = folder.load(crate::folder::GOOD).err().unwrap();
    assert!(told.to_string().contains("does not exist"), "{told}");
    assert!(told.sources.contains(&folder.path("policies/common.yaml")), "watched until it is there");
    folder.write(
        "policies/common.yaml",
        "rules:\n  - { name: failed, when: { verdict: faild }, then: block }\n",
        0o644,
    );
    let told = folder.load(crate::folder::GOOD).err().unwrap().to_string();
    assert!(told.contains("policies/common.yaml:2:") && told.contains("verdict: faild"), "{told}");
    folder.write(
        "policies/common.yaml",
        "rules:\n  - { name: failed, when: { verdict: failed }, then: block }\n",
        0o644,
    );
    let (settings, _) = folder.takes(crate::folder::GOOD);
    assert_eq!(settings.route("old-shop").unwrap().policy.rule_names().collect::<Vec<_>>(), ["failed", "genuine"]);
    assert!(settings.sources.contains(&folder.path("policies/common.yaml")));
}
