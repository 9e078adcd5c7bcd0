//! An archive. Comes in: a file that begins as one. Goes out: its entries, and their bytes on demand.
//! Proven between: every reader of archives would find the same entries in it. Central directory and local headers
//! agree, no name is there twice, nothing overlaps, and nothing hides between entries; 64-bit fields, encryption and
//! further compressions are refused. What is unpacked is bounded by what the directory says, and that by the caller.
//!
//! Source: PKWARE APPNOTE 6.3, sections 4.3 and 4.4.

mod directory;
mod unpack;

use std::collections::HashMap;
use std::ops::Range;

use crate::error::AppFileError;
use crate::source::Source;

/// How an entry's bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflated,
}

/// One file of the archive.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
    method: Method,
    crc: u32,
    /// Where its bytes lie.
    data: Range<u64>,
}

/// The archive, as every reader would see it.
pub(crate) struct Archive<'a> {
    source: &'a Source<'a>,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Where the last entry ends: between here and the directory lies an APK's signing block.
    contents_end: u64,
    directory: Range<u64>,
}

impl<'a> Archive<'a> {
    /// Reads the directory and each local header.
    pub(crate) fn open(source: &'a Source<'a>) -> Result<Self, AppFileError> {
        let directory = directory::find(source)?;
        let (entries, contents_end) = directory::read(source, &directory)?;
        let mut by_name = HashMap::with_capacity(entries.len());
        for (number, entry) in entries.iter().enumerate() {
            if by_name.insert(entry.name.clone(), number).is_some() {
                return Err(AppFileError::Entry { name: entry.name.clone(), problem: "is in the archive twice" });
            }
        }
        Ok(Self { source, entries, by_name, contents_end, directory: directory.place })
    }

    /// All of them, as the directory lists them.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|number| self.entries.get(*number))
    }

    pub(crate) fn source(&self) -> &Source<'a> {
        self.source
    }

    /// Where the last entry ends.
    pub(crate) fn contents_end(&self) -> u64 {
        self.contents_end
    }

    /// Where the central directory lies. Behind it there is only the record that ends the archive.
    pub(crate) fn directory(&self) -> Range<u64> {
        self.directory.clone()
    }

    /// The bytes of `entry`, which are at most `most`.
    pub(crate) fn unpack(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, AppFileError> {
        if entry.size > most {
            return Err(AppFileError::TooLarge { what: format!("{} in the archive", entry.name), most });
        }
        unpack::unpack(self.source, entry)
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
