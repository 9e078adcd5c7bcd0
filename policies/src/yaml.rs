//! YAML text -> a tree in which every value and every key knows its place.
//!
//! In: the text of a file that an operator wrote, or that somebody hostile did. Out: a [`Node`], or the
//! [`Problem`]s that kept it from being read. Proven: at most 1 MiB, at most 32 levels deep, one document, no anchors, aliases, merge
//! keys or custom tags (nothing grows while it is read), no key twice in one map.
//!
//! The tree is read with [`Fields`], which collects *all* the problems of a document instead of stopping at the first.

mod fields;
mod hints;
mod node;
pub mod scalar;

pub use fields::{Fields, listed, nearest, number, one_of, one_or_many, text, truth};
pub(crate) use fields::{is_sexagesimal, yaml_1_1};
pub use node::{Entry, Node, Place, Value};

use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use crate::problem::Problem;

/// The most that a file may hold, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// How deep lists and maps may stand inside each other.
pub const MAX_DEPTH: usize = 32;

/// Reads `text`, the content of the file `name`.
///
/// # Errors
/// Too long, not YAML, outside the budgets, or a key twice in one map. After a syntax error nothing else is
/// told, since what follows it can't be trusted; but values that only lack their quotes are told together.
pub fn parse(name: &str, text: &str) -> Result<Node, Vec<Problem>> {
    let whole = |code, message: String| vec![Problem::error(Place::default(), code, message).in_file(name)];
    if text.len() > MAX_BYTES {
        return Err(whole(
            "file_too_large",
            format!("the file has {} bytes, more than the {MAX_BYTES} that are read", text.len()),
        )
        .into_iter()
        .map(|problem| problem.with_hint("split it: policies may stand in files of their own"))
        .collect());
    }
    let mut root = match serde_saphyr::from_str_with_options::<Node>(text, options()) {
        Ok(root) => root,
        Err(error) => {
            let again = |text: &str| serde_saphyr::from_str_with_options::<Node>(text, options()).err();
            let told = hints::explain_all(error, text, again);
            return Err(told.into_iter().map(|problem| problem.in_file(name)).collect());
        }
    };
    root.spell_from(text);
    let mut problems = Vec::new();
    refuse_duplicates(&root, &mut problems);
    if problems.is_empty() {
        Ok(root)
    } else {
        Err(problems.into_iter().map(|problem| problem.in_file(name)).collect())
    }
}

/// The budgets. Whoever reads a [`Node`] inside a type of its own must use these too.
#[must_use]
pub fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(MAX_BYTES),
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_inclusion_depth: 0,
            max_events: 400_000,
            max_nodes: 200_000,
            max_total_scalar_bytes: MAX_BYTES,
        },
        // Seen by `refuse_duplicates`, which tells all of them and both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        // YAML 1.2: `off`, `no`, `yes` are words; what older tools made of them is told by the hints.
        strict_booleans: true,
        emit_comments: false,
        reject_unsupported_tags: true,
    }
}

fn refuse_duplicates(node: &Node, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Map(entries) => {
            let mut seen = std::collections::HashMap::new();
            for entry in entries {
                match seen.get(entry.key.as_str()) {
                    Some(&line) => problems.push(
                        Problem::error(
                            entry.place,
                            "duplicate_field",
                            format!("`{}` stands twice in the same map", entry.key),
                        )
                        .with_hint(format!("the first one is on line {line}; keep one of them")),
                    ),
                    None => {
                        seen.insert(entry.key.as_str(), entry.place.line);
                    }
                }
                refuse_duplicates(&entry.value, problems);
            }
        }
        Value::List(items) => items.iter().for_each(|item| refuse_duplicates(item, problems)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Problem {
        let mut problems = parse("t.yaml", text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    #[test]
    fn refuses_more_than_the_budgets() {
        assert_eq!(refused(&"#".repeat(MAX_BYTES + 1)).code, "file_too_large");
        assert_eq!(refused(&"[".repeat(5_000)).code, "yaml_budget");
        let mut deep = String::new();
        for level in 0..200 {
            deep.push_str(&" ".repeat(level));
            deep.push_str("a:\n");
        }
        assert_eq!(refused(&deep).code, "yaml_budget");
        assert_eq!(refused("a: 1\n---\nb: 2\n").code, "yaml_budget");
    }

    #[test]
    fn refuses_whatever_grows_while_it_is_read() {
        assert_eq!(refused("a: &x [1]\nb: [*x, *x]\n").code, "yaml_budget");
        assert_eq!(refused("a: &x {b: 1}\nc:\n  <<: *x\n").code, "yaml_budget");
        let laughs = "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n";
        assert_eq!(refused(laughs).code, "yaml_budget");
    }

    #[test]
    fn tells_every_key_that_stands_twice_and_where_the_first_is() {
        let problems = parse("t.yaml", "a: 1\nb: {c: 1, c: 2}\na: 2\n").unwrap_err();
        let places: Vec<_> = problems.iter().map(|p| (p.line, p.column, p.code)).collect();
        assert_eq!(places, [(2, 11, "duplicate_field"), (3, 1, "duplicate_field")]);
        assert!(problems[1].hint.as_ref().unwrap().contains("line 1"));
    }

    #[test]
    fn every_value_and_key_knows_its_place_and_spelling() {
        let root = parse("t.yaml", "a:\n  b: [3.10, \"x y\", off, ~]\n").unwrap();
        let Value::Map(a) = &root.value else { panic!() };
        let Value::Map(b) = &a[0].value.value else { panic!() };
        assert_eq!((b[0].place.line, b[0].place.column, b[0].place.width), (2, 3, 1));
        let Value::List(items) = &b[0].value.value else { panic!() };
        assert_eq!(items[0].spelled(), "3.10");
        assert_eq!((items[0].place.line, items[0].place.column, items[0].place.width), (2, 7, 4));
        assert_eq!(items[1].value, Value::Text("x y".into()));
        assert_eq!(items[1].place.width, 5);
        assert_eq!(items[2].value, Value::Text("off".into()));
        assert_eq!(items[3].value, Value::Null);
    }

    #[test]
    fn what_is_not_closed_or_not_aligned_is_told() {
        let told = |text: &str| refused(text).hint.unwrap_or_default();
        assert!(told("a: { b: 1\nc: 2\n").contains("`}`"));
        assert!(told("a: [ b, c\nd: 2\n").contains("`]`"));
        assert!(told("rules:\n  - name: a\n   when: b\n").contains("same column"));
        assert!(told("a: 'x\n").contains("not closed"));
        assert!(told("name: a: b\n").contains("needs quotes"));
        assert!(told("policy: a\ndefault:block\nrules: []\n").contains("write `default: block`"));
    }

    #[test]
    fn the_two_most_natural_mistakes_are_told_by_name() {
        let version = refused("when:\n  app_version: >=3.1\n");
        assert_eq!((version.line, version.code), (2, "yaml_syntax"));
        assert!(version.hint.as_ref().unwrap().contains("min: \"3.1\""), "{version:?}");
        let host = refused("when:\n  host: *.example.com\n");
        assert_eq!((host.line, host.column, host.code), (2, 9, "yaml_syntax"));
        assert!(host.hint.as_ref().unwrap().contains("\"*.example.com\""), "{host:?}");
        let flow = refused("when: { host: *.example.com }\n");
        assert!(flow.hint.as_ref().unwrap().contains("\"*.example.com\""), "{flow:?}");
        let tab = refused("a:\n\tb: 1\n");
        assert!(tab.hint.as_ref().unwrap().contains("tab"), "{tab:?}");
        let all = parse("t.yaml", "a: >=3.1\nb: { host: *.x.org, c: 1 }\nd: @e\nf: [1\n").unwrap_err();
        let places: Vec<_> = all.iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!(places[..3], [(1, 4), (2, 12), (3, 4)], "{all:?}");
        assert_eq!(all.len(), 4, "{all:?}");
        let percent = refused("a: %5\n");
        assert!(percent.hint.is_some(), "{percent:?}");
    }
}
