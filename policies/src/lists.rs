//! Named lists: networks, devices, paths, too long to stand in a policy.
//!
//! In: the text of a list, one entry a line, `#` before a comment; or entries with their places, from another document.
//! Out: a [`List`] that answers in the logarithm of its length and allocates nothing; or all that is wrong with it, line by line.
//! Proven: at most [`MAX_ENTRIES`] entries, at most [`MAX_BYTES`] of text, none that could be read in two ways, and none at all only
//! where the list says so.

mod devices;
mod networks;
mod paths;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use devices::Devices;
pub use networks::Networks;
pub(crate) use networks::{number_of, parse_network};
pub use paths::Paths;

use crate::problem::{self, Problem};
use crate::yaml::Place;

/// Entries of one list.
pub const MAX_ENTRIES: usize = 200_000;

/// Bytes of the text of one list.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of one entry.
const MAX_ENTRY: usize = 1_024;

/// Problems that are told of one list; more are counted.
const MAX_PROBLEMS: usize = 100;

/// The entry of a list that is empty on purpose.
const EMPTY_ON_PURPOSE: &str = "none";

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Networks and addresses, for `network: { list: … }`.
    Networks,
    /// Devices, as their tokens name them, for `device: { list: … }`.
    Devices,
    /// Patterns of paths, for `path: { list: … }`.
    Paths,
}

impl Kind {
    /// The word, as it stands in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Devices => "devices",
            Self::Paths => "paths",
        }
    }

    /// What one entry looks like.
    const fn example(self) -> &'static str {
        match self {
            Self::Networks => "203.0.113.0/24",
            Self::Devices => "q83vEjRWeJq83vEjRWeJqw==",
            Self::Paths => "/v1/catalogue/**",
        }
    }
}

/// A list. Cheap to clone.
#[derive(Clone, Debug)]
pub enum List {
    /// Networks.
    Networks(Arc<Networks>),
    /// Devices.
    Devices(Arc<Devices>),
    /// Paths.
    Paths(Arc<Paths>),
}

impl List {
    /// Reads a list, one entry a line. What follows `#` at the beginning of a line or after a space is a comment.
    ///
    /// # Errors
    /// All that is wrong, with line and column; of more than a hundred problems the first hundred and how many more.
    pub fn parse(kind: Kind, file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > MAX_BYTES {
            let message = format!("the list has {} bytes, more than the {MAX_BYTES} that are read", text.len());
            return Err(vec![
                Problem::error(Place::default(), "list_too_large", message)
                    .with_hint("split it: a condition may name several lists")
                    .in_file(file),
            ]);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::from_entries(kind, file, Place::default(), (1..).zip(problem::lines(text)).filter_map(entry_of_line))
    }

    /// Makes a list of `entries`, each with its place in `file`; `whole` is the place of the list itself.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_entries<'t>(
        kind: Kind,
        file: &str,
        whole: Place,
        entries: impl IntoIterator<Item = (Place, &'t str)>,
    ) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(kind);
        let mut problems = Vec::new();
        let (mut seen, mut untold, mut empty_on_purpose) = (0_usize, 0_usize, None);
        for (place, entry) in entries {
            if entry == EMPTY_ON_PURPOSE {
                empty_on_purpose = Some(place);
                continue;
            }
            seen += 1;
            if seen > MAX_ENTRIES {
                problems.push(
                    Problem::error(place, "list_too_large", format!("the list goes on after {MAX_ENTRIES} entries"))
                        .with_hint("split it: a condition may name several lists"),
                );
                break;
            }
            if let Err((message, hint)) = draft.add(entry) {
                if problems.len() < MAX_PROBLEMS {
                    problems.push(Problem::error(place, "bad_entry", message).with_hint(hint));
                } else {
                    untold += 1;
                }
            }
        }
        match (seen, empty_on_purpose) {
            (0, None) => problems.push(
                Problem::error(whole, "empty_list", format!("a list of {} without an entry", kind.as_str())).with_hint(
                    "a file that was cut short looks the same; for a list that is empty on purpose write `none`",
                ),
            ),
            (1.., Some(place)) => problems.push(
                Problem::error(place, "bad_entry", "`none` stands in a list with entries")
                    .with_hint("remove it: it says that a list is empty on purpose"),
            ),
            _ => {}
        }
        if untold > 0 {
            problems.push(Problem::error(whole, "bad_entry", format!("{untold} more entries can't be read")));
        }
        if problems.is_empty() {
            Ok(draft.finish())
        } else {
            Err(problems.into_iter().map(|problem| problem.in_file(file)).collect())
        }
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Networks(_) => Kind::Networks,
            Self::Devices(_) => Kind::Devices,
            Self::Paths(_) => Kind::Paths,
        }
    }

    /// How many entries it has, those left out that another one covers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Networks(networks) => networks.len(),
            Self::Devices(devices) => devices.len(),
            Self::Paths(paths) => paths.len(),
        }
    }

    /// Whether it is empty, on purpose.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The lists of a configuration, by name.
#[derive(Clone, Debug, Default)]
pub struct Lists(BTreeMap<String, List>);

impl Lists {
    /// No list.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a list; gives back the one that had this name.
    pub fn insert(&mut self, name: impl Into<String>, list: List) -> Option<List> {
        self.0.insert(name.into(), list)
    }

    /// The list of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&List> {
        self.0.get(name)
    }

    /// All of them with their names, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &List)> {
        self.0.iter().map(|(name, list)| (name.as_str(), list))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, List)> for Lists {
    fn from_iter<I: IntoIterator<Item = (String, List)>>(lists: I) -> Self {
        Self(lists.into_iter().collect())
    }
}

impl<const N: usize> From<[(String, List); N]> for Lists {
    fn from(lists: [(String, List); N]) -> Self {
        lists.into_iter().collect()
    }
}

/// The entry of one line and its place, if there is one.
fn entry_of_line((line, text): (usize, &str)) -> Option<(Place, &str)> {
    let comment = text
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t'])));
    let entry = text.get(..comment.unwrap_or(text.len())).unwrap_or_default();
    let shown = entry.trim();
    if shown.is_empty() {
        return None;
    }
    let before = entry.chars().take_while(|c| c.is_whitespace()).count();
    Some((Place { line, column: before + 1, width: shown.chars().count().min(80), ..Place::default() }, shown))
}

/// A list while it is read.
enum Draft {
    Networks(networks::Draft),
    Devices(Vec<Box<str>>),
    Paths(paths::Draft),
}

impl Draft {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Networks => Self::Networks(networks::Draft::default()),
            Kind::Devices => Self::Devices(Vec::new()),
            Kind::Paths => Self::Paths(paths::Draft::default()),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Networks(_) => Kind::Networks,
            Self::Devices(_) => Kind::Devices,
            Self::Paths(_) => Kind::Paths,
        }
    }

    /// What is wrong with the entry, and the remedy.
    fn add(&mut self, entry: &str) -> Result<(), (String, String)> {
        if entry.len() > MAX_ENTRY {
            return Err((
                format!("an entry has {} bytes, more than the {MAX_ENTRY} that one may have", entry.len()),
                format!("one entry a line, such as {}", self.kind().example()),
            ));
        }
        if let Some(bare) = entry.strip_prefix("- ") {
            return Err((
                format!("`{entry}` is written as in YAML"),
                format!("this file is not YAML: one entry a line, without the dash: {bare}"),
            ));
        }
        if entry.starts_with(['"', '\'']) || entry.ends_with([',', ';']) {
            return Err((
                format!("`{entry}` has a quote or a comma"),
                format!("one entry a line, as it is: {}", self.kind().example()),
            ));
        }
        match self {
            Self::Networks(draft) => draft.add(entry),
            Self::Devices(draft) => {
                draft.push(devices::parse_device(entry)?);
                Ok(())
            }
            Self::Paths(draft) => draft.add(entry),
        }
    }

    fn finish(self) -> List {
        match self {
            Self::Networks(draft) => List::Networks(Arc::new(draft.finish())),
            Self::Devices(draft) => List::Devices(Arc::new(Devices::new(draft))),
            Self::Paths(draft) => List::Paths(Arc::new(draft.finish())),
        }
    }
}

#[cfg(test)]
mod tests;
