//! `- include: FILE` among the rules: the rules of that file stand in its place.
//!
//! In: the node of a policy, and where files come from. Out: the same node without includes, every place of which knows its file.
//! Proven: at most [`MAX_DEPTH`] files inside each other, [`MAX_FILES`] of them and [`MAX_BYTES`] in all; none includes itself; each was read
//! within the budgets of any YAML.

use super::RouteContext;
use crate::problem::Problem;
use crate::yaml::{self, Entry, Fields, Node, Place, Value};

/// Files inside each other.
pub(super) const MAX_DEPTH: usize = 4;

/// Files that a policy may include, each counted as often as it is named.
pub(super) const MAX_FILES: usize = 64;

/// Bytes of all of them.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The files that a policy consists of: the one that was read, and those that it includes.
pub(super) struct Sources(Vec<String>);

impl Sources {
    pub(super) fn new(file: &str) -> Self {
        Self(vec![file.to_owned()])
    }

    /// The file of a place.
    pub(super) fn name(&self, place: Place) -> &str {
        self.of(place.source)
    }

    /// The file with this number.
    pub(super) fn of(&self, source: u16) -> &str {
        self.0.get(usize::from(source)).map_or("", String::as_str)
    }
}

/// `policy` with the rules of all included files; what is wrong is told and left out.
pub(super) fn expand(
    policy: Node,
    about: &RouteContext<'_>,
    sources: &mut Sources,
    problems: &mut Vec<Problem>,
) -> Node {
    let Value::Map(entries) = &policy.value else { return policy };
    let includes = |entry: &Entry| entry.key == "rules" && has_includes(&entry.value);
    if !entries.iter().any(includes) {
        return policy;
    }
    let mut reader = Reader { about, sources, problems, open: Vec::new(), asked: 0, bytes: 0 };
    let place = policy.place;
    let Value::Map(mut entries) = policy.value else { return Node::new(Value::Null, place) };
    for entry in entries.iter_mut().filter(|entry| entry.key == "rules") {
        if let Value::List(items) = &mut entry.value.value {
            let written = std::mem::take(items);
            reader.splice(written, items);
        }
    }
    Node::new(Value::Map(entries), place)
}

fn has_includes(rules: &Node) -> bool {
    matches!(&rules.value, Value::List(items) if items.iter().any(|item| include_of(item).is_some()))
}

fn include_of(item: &Node) -> Option<&Entry> {
    match &item.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == "include"),
        _ => None,
    }
}

struct Reader<'r, 'a> {
    about: &'r RouteContext<'a>,
    sources: &'r mut Sources,
    problems: &'r mut Vec<Problem>,
    /// The files that are being read, each included by the one before.
    open: Vec<String>,
    /// How many files were asked for, those with them that could not be read.
    asked: usize,
    bytes: usize,
}

impl Reader<'_, '_> {
    fn splice(&mut self, written: Vec<Node>, out: &mut Vec<Node>) {
        for item in written {
            match include_of(&item) {
                None => out.push(item),
                Some(_) => self.include(&item, out),
            }
        }
    }

    fn include(&mut self, item: &Node, out: &mut Vec<Node>) {
        let elsewhere = [
            ("name", "an include stands alone; rules have names"),
            ("when", "an include stands alone, the conditions are those of its rules"),
        ];
        let Some(fields) = Fields::open(item, "an include", &["include"], &elsewhere, self.problems) else { return };
        let Some(node) = fields.get("include") else { return };
        let Some(path) = yaml::text(node, "include", self.problems) else { return };
        let place = node.place;
        let refuse = |code, message: String, hint: &str| Problem::error(place, code, message).with_hint(hint);
        if self.open.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} files stand inside each other");
            return self.problems.push(refuse(
                "include_too_deep",
                message,
                "include the file where the policy itself stands",
            ));
        }
        self.asked += 1;
        if self.asked > MAX_FILES {
            // Told once.
            if self.asked == MAX_FILES + 1 {
                let message = format!("a policy includes more than {MAX_FILES} files");
                self.problems.push(refuse("too_many_includes", message, "put their rules into fewer files"));
            }
            return;
        }
        let (file, text) = match self.about.files.read(path) {
            Ok(read) => read,
            Err(why) => {
                return self.problems.push(refuse(
                    "unreadable_file",
                    why,
                    "paths are relative to the policy's file, in included files too",
                ));
            }
        };
        if self.open.contains(&file) || self.sources.0.first() == Some(&file) {
            let message = format!("`{file}` includes itself");
            return self.problems.push(refuse(
                "include_cycle",
                message,
                "remove this line, or the one that leads back to it",
            ));
        }
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_BYTES {
            let message = format!("the included files have more than {MAX_BYTES} bytes");
            return self.problems.push(refuse(
                "include_too_large",
                message,
                "put networks, devices and paths into named lists",
            ));
        }
        let mut root = match yaml::parse(&file, &text) {
            Ok(root) => root,
            Err(found) => return self.problems.extend(found),
        };
        root.set_source(u16::try_from(self.sources.0.len()).unwrap_or(u16::MAX));
        self.sources.0.push(file.clone());
        let elsewhere = [
            ("default", "an included file has rules alone: the default stands in the policy"),
            ("policy", "an included file has rules alone: the name stands in the policy"),
            ("enforcement", "an included file has rules alone: this stands in the policy"),
            ("refusals", "an included file has rules alone: this stands in the policy"),
        ];
        let Some(fields) = Fields::open(&root, "an included file", &["rules"], &elsewhere, self.problems) else {
            return;
        };
        let Some(rules) = fields.require("rules", "write rules: [ … ]", self.problems) else { return };
        let Value::List(items) = &rules.value else {
            let problem =
                Problem::error(rules.place, "wrong_type", format!("`rules` must be a list, not {}", rules.described()));
            return self
                .problems
                .push(problem.with_hint("begin each entry with `- ` on a line of its own, or write [ … ]"));
        };
        self.open.push(file);
        self.splice(items.clone(), out);
        self.open.pop();
    }
}

#[cfg(test)]
mod tests;
