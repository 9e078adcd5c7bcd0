//! `lists:` checked and compiled.

use std::{collections::BTreeMap, path::Path};

use policies::{
    List, Lists,
    lists::{Kind as ListKind, MAX_BYTES},
    yaml::Place,
};

use super::{Check, Kind};
use crate::{
    file::{
        lists::{Entry, RawList},
        names::FilePath,
    },
    model::ListSettings,
    shape::{Either, Fault, Field},
};

impl Check<'_, '_> {
    /// What a list is, and the list; where it is wrong, one of its kind without entries, so that what names it can be
    /// checked on.
    pub(crate) fn list(&self, name: &str, raw: &RawList, owner: Place) -> Option<(ListSettings, List)> {
        let given =
            [(ListKind::Networks, &raw.networks), (ListKind::Devices, &raw.devices), (ListKind::Paths, &raw.paths)];
        let mut given = given.into_iter().filter(|(_, field)| !field.is_absent());
        let (Some((kind, field)), None) = (given.next(), given.next()) else {
            let fault = Fault::new(format!("list `{name}` needs exactly one of networks, devices and paths"));
            self.refuse(owner, "list_kind", fault.hint(format!("write {name}: {{ networks: lists/{name}.txt }}")));
            return None;
        };
        let (file, list) = match field.good() {
            Some((Either::Plain(path), at)) => self.list_file(kind, path, at),
            Some((Either::Structured(entries), at)) => (None, self.list_here(kind, entries, at)),
            None => (None, None),
        };
        let list = list.or_else(|| List::parse(kind, name, "none").ok())?;
        Some((ListSettings { name: name.to_owned(), kind, file }, list))
    }

    fn list_file(&self, kind: ListKind, path: &FilePath, at: Place) -> (Option<std::path::PathBuf>, Option<List>) {
        let field = Field { at: Some(at), value: Some(path.clone()) };
        let Some((path, content, _)) = self.file(&field, Kind::Text, MAX_BYTES) else { return (None, None) };
        let list = match std::str::from_utf8(&content.bytes) {
            Ok(text) => self.noted(List::parse(kind, &shown(&path), text)),
            Err(_) => {
                let fault = Fault::new(format!("`{}` is not UTF-8 text", path.display()));
                self.refuse(at, "not_utf8", fault.hint("one entry a line, as plain text"));
                None
            }
        };
        (Some(path), list)
    }

    fn list_here(&self, kind: ListKind, entries: &[Field<Entry>], at: Place) -> Option<List> {
        let good = entries.iter().filter_map(Field::good);
        let texts = good.map(|(Entry(text), at)| (at, text.as_str()));
        // With wrong entries it may look empty, and what is wrong has been told.
        if entries.iter().any(|entry| entry.value.is_none()) {
            return None;
        }
        self.noted(List::from_entries(kind, &self.notes.file, at, texts))
    }

    fn noted(&self, list: Result<List, Vec<policies::Problem>>) -> Option<List> {
        list.map_err(|problems| problems.into_iter().for_each(|problem| self.notes.push(problem))).ok()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Both halves of what [`Check::list`] gives, by name.
pub(crate) fn apart(built: BTreeMap<String, (ListSettings, List)>) -> (BTreeMap<String, ListSettings>, Lists) {
    let (mut about, mut lists) = (BTreeMap::new(), Lists::new());
    for (name, (settings, list)) in built {
        lists.insert(name.clone(), list);
        about.insert(name, settings);
    }
    (about, lists)
}
