use std::cell::Cell;
use std::collections::HashMap;

use super::*;
use crate::compile::{Includes, check_text};
use crate::{Severity, compile, parse_file};

/// Files in memory, which counts how often it is asked.
#[derive(Default)]
struct Memory {
    files: HashMap<&'static str, String>,
    asked: Cell<usize>,
}

impl Memory {
    fn with(mut self, path: &'static str, text: impl Into<String>) -> Self {
        self.files.insert(path, text.into());
        self
    }
}

impl Includes for Memory {
    fn read(&self, path: &str) -> Result<(String, String), String> {
        self.asked.set(self.asked.get() + 1);
        let text = self.files.get(path).ok_or_else(|| format!("`{path}` is not there"))?;
        Ok((format!("/etc/{path}"), text.clone()))
    }
}

fn rule(name: &str) -> String {
    format!("rules:\n  - {{ name: {name}, when: {{ verdict: attested, app: {name} }}, then: allow }}\n")
}

fn including(paths: &[&str]) -> String {
    let lines: String = paths.iter().map(|path| format!("  - include: {path}\n")).collect();
    format!(
        "default: block\nrules:\n  - {{ name: first, when: {{ verdict: attested, app: first }}, then: allow }}\n{lines}  - {{ name: last, when: {{ verdict: attested }}, then: allow }}\n"
    )
}

fn check(files: &Memory, text: &str) -> Vec<Problem> {
    check_text("p.yaml", text, &RouteContext { files, ..RouteContext::new("r") })
}

#[track_caller]
fn refused(files: &Memory, text: &str) -> Problem {
    let mut told = check(files, text);
    told.retain(|problem| problem.severity == Severity::Error);
    assert_eq!(told.len(), 1, "{told:#?}");
    told.remove(0)
}

#[test]
fn the_rules_stand_where_they_are_included() {
    let files =
        Memory::default().with("a.yaml", format!("{}  - include: b.yaml\n", rule("a"))).with("b.yaml", rule("b"));
    let about = RouteContext { files: &files, ..RouteContext::new("r") };
    let (policy, told) = compile(parse_file("p.yaml", &including(&["a.yaml"])).unwrap(), "p.yaml", &about).unwrap();
    assert_eq!(policy.rule_names().collect::<Vec<_>>(), ["first", "a", "b", "last"]);
    assert_eq!(told, []);
}

#[test]
fn a_problem_names_the_file_in_which_it_stands() {
    let files = Memory::default()
        .with("bad.yaml", "# ours\nrules:\n  - { name: x, when: { verdict: atested }, then: allow }\n")
        .with("syntax.yaml", "rules: [\n")
        .with("twice.yaml", rule("first"))
        .with("late.yaml", "rules:\n\n\n  - { name: late, when: { verdict: attested, app: first }, then: block }\n");
    let bad = refused(&files, &including(&["bad.yaml"]));
    assert_eq!((bad.file.as_str(), bad.line, bad.code), ("/etc/bad.yaml", 3, "unknown_word"));
    assert_eq!(refused(&files, &including(&["syntax.yaml"])).file, "/etc/syntax.yaml");
    let twice = refused(&files, &including(&["twice.yaml"]));
    assert_eq!((twice.file.as_str(), twice.code), ("/etc/twice.yaml", "duplicate_name"));
    assert!(twice.hint.unwrap().contains("line 3 of p.yaml"));
    // Lints too.
    let told = check(&files, &including(&["late.yaml"]));
    assert_eq!((told[0].code, told[0].file.as_str(), told[0].line), ("unreachable_rule", "/etc/late.yaml", 4));
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn an_included_file_has_rules_alone() {
    let files = Memory::default()
        .with("whole.yaml", format!("default: allow\n{}", rule("a")))
        .with("none.yaml", "{}")
        .with("map.yaml", "rules: { name: x }\n")
        .with("a.yaml", rule("a"));
    assert!(refused(&files, &including(&["whole.yaml"])).hint.unwrap().contains("rules alone"));
    assert_eq!(refused(&files, &including(&["none.yaml"])).code, "missing_field");
    assert_eq!(refused(&files, &including(&["map.yaml"])).code, "wrong_type");
    assert_eq!(refused(&files, &including(&["gone.yaml"])).code, "unreadable_file");
    assert_eq!(refused(&files, &including(&["[a.yaml]"])).code, "wrong_type");
    let both = including(&["a.yaml"]).replace("include: a.yaml", "{ include: a.yaml, name: x }");
    assert_eq!(refused(&files, &both).code, "unknown_field");
    let top = "default: block\ninclude: a.yaml\nrules: [{ name: r, when: { verdict: attested }, then: allow }]\n";
    assert!(refused(&files, top).hint.unwrap().contains("entry of `rules`"));
}

#[test]
fn files_that_lead_back_to_themselves_end() {
    let files = Memory::default()
        .with("self.yaml", "rules:\n  - include: self.yaml\n")
        .with("a.yaml", "rules:\n  - include: b.yaml\n")
        .with("b.yaml", "rules:\n  - include: a.yaml\n");
    for path in ["self.yaml", "a.yaml"] {
        assert_eq!(refused(&files, &including(&[path])).code, "include_cycle", "{path}");
    }
}

#[test]
fn depth_number_and_size_are_bounded() {
    let deep = ["1", "2", "3", "4", "5", "6"]
        .windows(2)
        .fold(Memory::default(), |files, pair| files.with(pair[0], format!("rules:\n  - include: \"{}\"\n", pair[1])));
    assert_eq!(refused(&deep, &including(&["\"1\""])).code, "include_too_deep");
    assert_eq!(deep.asked.get(), MAX_DEPTH);

    let empty = Memory::default().with("e.yaml", "rules: []\n");
    let told = check(&empty, &including(&vec!["e.yaml"; MAX_FILES + 3]));
    assert_eq!(told.iter().filter(|problem| problem.code == "too_many_includes").count(), 1);
    assert_eq!(empty.asked.get(), MAX_FILES);
    let gone = Memory::default();
    assert_eq!(check(&gone, &including(&vec!["gone.yaml"; 1_000])).len(), MAX_FILES + 1);
    assert_eq!(gone.asked.get(), MAX_FILES);

    // Two that double at each step would be 2^30 files without a bound on all of them together.
    let doubling = ["a", "b", "c", "d", "e"].windows(2).fold(Memory::default(), |files, pair| {
        files.with(pair[0], format!("rules:\n{}", format!("  - include: {}\n", pair[1]).repeat(40)))
    });
    assert!(check(&doubling, &including(&["a"])).iter().any(|problem| problem.severity == Severity::Error));
    assert!(doubling.asked.get() <= MAX_FILES);

    let large = Memory::default().with("l.yaml", format!("rules: []\n{}", "# x\n".repeat(250_000)));
    let told = check(&large, &including(&["l.yaml"; 6]));
    assert_eq!(told.iter().filter(|problem| problem.code == "include_too_large").count(), 2, "{:?}", told.len());
}

#[test]
fn hostile_yaml_is_refused_in_an_included_file_too() {
    let laughs = "rules:\n  - &a [x,x,x]\n  - &b [*a,*a,*a]\n  - [*b,*b,*b]\n";
    let files = Memory::default()
        .with("laughs", laughs)
        .with("deep", format!("rules: {}", "[".repeat(5_000)))
        .with("two", "rules: []\n---\nrules: []\n")
        .with("huge", "#".repeat(crate::yaml::MAX_BYTES + 1));
    for (path, code) in
        [("laughs", "yaml_budget"), ("deep", "yaml_budget"), ("two", "yaml_budget"), ("huge", "file_too_large")]
    {
        assert_eq!(refused(&files, &including(&[path])).code, code, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_included_text_makes_the_loader_panic(text in "(rules:\n)?(\\PC|\n){0,120}") {
        let files = Memory::default().with("x", text);
        check(&files, &including(&["x"])).iter().for_each(|problem| drop(problem.render("a\nb\n")));
    }
}
