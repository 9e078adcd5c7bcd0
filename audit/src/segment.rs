//! The files of a chain. In: a directory. Out: its writers, and each one's files in the order of their numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of a chain: 1 to 40 of `a-z`, `0-9` and `-`, the first a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriterName(String);

impl WriterName {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        (begins && name.len() <= 40 && name.bytes().all(good)).then(|| Self(name.to_owned()))
    }

    /// The chain of the key commands.
    pub fn keys() -> Self {
        Self("keys".to_owned())
    }

    /// The chain of a gateway.
    pub fn gateway() -> Self {
        Self("gateway".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of another writer of the same kind, where `number` of them run on one machine.
    pub(crate) fn numbered(&self, number: u32) -> Self {
        if number < 2 { self.clone() } else { Self(format!("{}-{number}", self.0)) }
    }
}

impl fmt::Display for WriterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of its first line.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

impl Segment {
    pub(crate) fn of(dir: &Path, writer: &WriterName, first: u64) -> Self {
        // Twenty digits hold every number, and sort as text.
        Self { first, path: dir.join(format!("{writer}.{first:020}.ndjson")) }
    }
}

/// The chains of a directory, each in order; empty where there is no directory.
pub(crate) fn list(dir: &Path) -> io::Result<BTreeMap<WriterName, Vec<Segment>>> {
    let mut found: BTreeMap<WriterName, Vec<Segment>> = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name();
        let Some((writer, first)) = name.to_str().and_then(read_name) else { continue };
        found.entry(writer).or_default().push(Segment { first, path: entry.path() });
    }
    found.values_mut().for_each(|segments| segments.sort_by_key(|segment| segment.first));
    Ok(found)
}

fn read_name(name: &str) -> Option<(WriterName, u64)> {
    let (writer, number) = name.strip_suffix(".ndjson")?.rsplit_once('.')?;
    let whole = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((WriterName::new(writer)?, number.parse().ok().filter(|_| whole)?))
}
