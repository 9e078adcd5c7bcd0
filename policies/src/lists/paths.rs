//! A list of paths.
//!
//! In: patterns. Out: whether a path is matched by one of them: whole paths and beginnings (`/a/**`) by binary search, other
//! patterns by the beginning that they share with few others.

use std::collections::BTreeMap;

use attest_core::target::PathGlob;

/// Patterns of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Those without any `*`, sorted.
    whole: Box<[Box<str>]>,
    /// `/a` of `/a/**`, sorted.
    below: Box<[Box<str>]>,
    /// All others by the segments before their first `*`.
    others: BTreeMap<Box<str>, Vec<PathGlob>>,
    /// Slashes in the longest key of the two above: what lies deeper is not looked up, however long a client's path is.
    deepest: usize,
}

/// Patterns with a `*` within that may share one beginning: each is compared with every path that has it.
const MAX_SHARED: usize = 64;

impl Paths {
    /// Whether one of them matches `path`, which is canonical. Allocates nothing.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        found(&self.whole, path)
            || beginnings(path).take(self.deepest + 1).any(|beginning| {
                found(&self.below, beginning)
                    || self.others.get(beginning).is_some_and(|globs| globs.iter().any(|glob| glob.matches(path)))
            })
    }

    /// Whether every path that `inner` matches is matched by one of these. May say `false` where several together do.
    pub(crate) fn covers_glob(&self, inner: &PathGlob) -> bool {
        (inner.is_literal() && found(&self.whole, inner.as_str()))
            || beginnings(inner.literal_prefix()).take(self.deepest + 1).any(|beginning| {
                found(&self.below, beginning)
                    || self.others.get(beginning).is_some_and(|globs| globs.iter().any(|glob| inner.is_within(glob)))
            })
    }

    /// The same for each pattern of `inner`.
    pub(crate) fn covers(&self, inner: &Self) -> bool {
        let glob = |text: &str| PathGlob::parse(text).is_ok_and(|glob| self.covers_glob(&glob));
        inner.whole.iter().all(|path| self.contains(path))
            && inner.below.iter().all(|base| glob(&format!("{base}/**")))
            && inner.others.values().flatten().all(|pattern| self.covers_glob(pattern))
    }

    /// How many patterns.
    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.below.len() + self.others.values().map(Vec::len).sum::<usize>()
    }
}

fn found(sorted: &[Box<str>], text: &str) -> bool {
    sorted.binary_search_by(|entry| (**entry).cmp(text)).is_ok()
}

/// The path cut before each `/`, from nothing to the whole of it.
fn beginnings(path: &str) -> impl Iterator<Item = &str> {
    let cuts = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    cuts.chain([path.len()]).filter_map(|end| path.get(..end))
}

/// A list of paths while it is read.
#[derive(Default)]
pub(super) struct Draft {
    whole: Vec<Box<str>>,
    below: Vec<Box<str>>,
    others: BTreeMap<Box<str>, Vec<PathGlob>>,
}

impl Draft {
    pub(super) fn add(&mut self, entry: &str) -> Result<(), (String, String)> {
        let glob = PathGlob::parse(entry).map_err(|error| {
            let hint = if entry.starts_with('/') {
                "patterns look like /v1/items, /v1/*/photo, /img-* and /v1/**".to_owned()
            } else {
                format!("write /{entry}")
            };
            (format!("`{entry}` is not a pattern of paths: {error}"), hint)
        })?;
        if glob.is_literal() {
            self.whole.push(glob.as_str().into());
            return Ok(());
        }
        match glob.as_str().strip_suffix("/**") {
            Some(base) if !base.contains('*') => self.below.push(base.into()),
            _ => {
                let shared = self.others.entry(glob.literal_prefix().into()).or_default();
                if shared.len() >= MAX_SHARED {
                    return Err((
                        format!("more than {MAX_SHARED} patterns with `*` begin with `{}/`", glob.literal_prefix()),
                        "write the paths out, or one pattern that covers them: /v1/**".to_owned(),
                    ));
                }
                if !shared.contains(&glob) {
                    shared.push(glob);
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Paths {
        let sorted = |mut texts: Vec<Box<str>>| -> Box<[Box<str>]> {
            texts.sort_unstable();
            texts.dedup();
            texts.into()
        };
        let (whole, below) = (sorted(self.whole), sorted(self.below));
        let keys = below.iter().chain(self.others.keys());
        let deepest = keys.map(|key| key.matches('/').count()).max().unwrap_or(0);
        Paths { whole, below, others: self.others, deepest }
    }
}
