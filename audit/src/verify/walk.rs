//! One chain, from its first line to its last. In: its files. Out: what is wrong with which entry.
//!
//! Each line is asked for its MAC, its number, and the hash of the line before it.

use std::collections::BTreeMap;
use std::fs;

use data_encoding::HEXLOWER;

use super::{Fault, WriterReport};
use crate::chain::AuditError;
use crate::checkpoint::ChainEnd;
use crate::event::Event;
use crate::key::AuditKey;
use crate::line::{self, Line, LineHash};
use crate::segment::{Segment, WriterName};

/// A chain that was walked along.
pub(super) struct Walk {
    report: WriterReport,
    problems: Vec<(u64, Fault)>,
    /// The hash of each authentic line, by its number.
    hashes: BTreeMap<u64, LineHash>,
    /// Entries up to this one were forgotten, as an authentic entry says.
    forgotten: u64,
}

/// What stands at one place.
struct Place {
    /// `None` where no key of ours authenticated it.
    number: Option<u64>,
    before: LineHash,
    hash: LineHash,
    /// What the line says of keys and numbers, once it is authentic.
    word: Word,
}

enum Word {
    Nothing,
    Forgotten(u64),
    Dropped(u64),
    /// A line that names a key that was not given: all that follows is under it, as far as one can know.
    UnderKey(String),
}

impl Walk {
    /// Reads a chain.
    pub(super) fn along(writer: &WriterName, segments: &[Segment], key: &AuditKey) -> Result<Self, AuditError> {
        let mut walk = Self {
            report: WriterReport {
                writer: writer.to_string(),
                entries: 0,
                first: 0,
                last: 0,
                dropped: 0,
                checkpoints: 0,
                too_old: 0,
                torn: 0,
            },
            problems: Vec::new(),
            hashes: BTreeMap::new(),
            forgotten: 0,
        };
        let mut files = Vec::with_capacity(segments.len());
        for segment in segments {
            let text = fs::read(&segment.path);
            files.push(text.map_err(|source| AuditError::Io { path: segment.path.clone(), source })?);
        }
        if let Some(last) = files.last_mut() {
            let whole = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            walk.report.torn = (last.len() - whole) as u64;
            last.truncate(whole);
        }
        let lines = files.iter().flat_map(|text| lines_of(text));
        let places: Vec<Place> = lines.map(|line| Place::of(line, writer, key)).collect();
        walk.note(&places);
        walk.follow(&places);
        Ok(walk)
    }

    /// What authentic lines say, wherever they stand.
    fn note(&mut self, places: &[Place]) {
        for place in places {
            let Some(number) = place.number else { continue };
            self.report.entries += 1;
            self.hashes.entry(number).or_insert(place.hash);
            match place.word {
                Word::Forgotten(through) => self.forgotten = self.forgotten.max(through),
                Word::Dropped(count) => self.report.dropped = self.report.dropped.saturating_add(count),
                Word::Nothing | Word::UnderKey(_) => {}
            }
        }
        self.report.first = self.hashes.keys().next().copied().unwrap_or(0);
        self.report.last = self.hashes.keys().next_back().copied().unwrap_or(0);
    }

    /// Each line against the one before it.
    fn follow(&mut self, places: &[Place]) {
        let mut seen: std::collections::BTreeSet<u64> = std::collections::BTreeSet::new();
        let mut expected = None;
        let mut last = 0;
        let mut before: Option<&Place> = None;
        let mut other_key = false;
        for place in places {
            let due = expected.unwrap_or(1);
            if let Word::UnderKey(key) = &place.word {
                self.problems.push((due, Fault::OtherKey { key: key.clone() }));
                other_key = true;
            }
            let Some(number) = place.number else {
                if !other_key {
                    self.problems.push((due, Fault::Changed));
                }
                (expected, before) = (Some(due.saturating_add(1)), Some(place));
                continue;
            };
            other_key = false;
            // Lines that were put in have taken numbers in our count that are not theirs.
            let due = if (last + 1..due).contains(&number) { number } else { due };
            self.place(number, due, expected.is_none(), &mut seen);
            last = number;
            let follows = match before {
                Some(before) if number == due => place.before == before.hash,
                // Numbers are told; what is not in its place can't follow what stands before it.
                _ => true,
            };
            if !follows && before.is_some_and(|before| before.number.is_some()) {
                self.problems.push((number, Fault::Unlinked));
            }
            (expected, before) = (Some(number.saturating_add(1)), Some(place));
        }
    }

    /// Whether `number` is the one that is due, and what it means if it is not.
    fn place(&mut self, number: u64, due: u64, is_first: bool, seen: &mut std::collections::BTreeSet<u64>) {
        let is_new = seen.insert(number);
        if !is_new {
            self.problems.push((number, Fault::Repeated));
        } else if number < due {
            self.problems.push((number, Fault::Reordered));
        } else if number > due && !(is_first && number.saturating_sub(1) <= self.forgotten) {
            // Of those that are not where they belong, some may be found elsewhere.
            let missing: Vec<u64> = (due..number).take(MOST_MISSING).filter(|n| !self.hashes.contains_key(n)).collect();
            match (missing.first(), missing.last()) {
                (Some(first), Some(last)) => {
                    let through = if number - due > MOST_MISSING as u64 { number - 1 } else { *last };
                    self.problems.push((*first, Fault::Dropped { through }));
                }
                _ => self.problems.push((number, Fault::Reordered)),
            }
        }
    }

    /// Holds the chain against where it ended at an earlier moment.
    pub(super) fn hold_against(&mut self, end: &ChainEnd) {
        if end.count <= self.forgotten && !self.hashes.contains_key(&end.count) {
            self.report.too_old += 1;
            return;
        }
        self.report.checkpoints += 1;
        match self.hashes.get(&end.count) {
            Some(hash) if HEXLOWER.encode(hash) == end.head => {}
            Some(_) => self.problems.push((end.count, Fault::Rewritten)),
            None if end.count > self.report.last => {
                let cut = (self.report.last.saturating_add(1), Fault::Cut { through: end.count });
                self.problems.push(cut);
            }
            // Told as changed or dropped already.
            None => {}
        }
    }

    /// The report, and what is wrong, each once, in the order of numbers.
    pub(super) fn finish(mut self) -> (WriterReport, Vec<(u64, Fault)>) {
        self.problems.sort_by_key(|(number, _)| *number);
        self.problems.dedup();
        (self.report, self.problems)
    }
}

impl Place {
    fn of(text: &[u8], writer: &WriterName, key: &AuditKey) -> Self {
        let hash = line::hash(text);
        let Some(line) = Line::parse(text) else {
            return Self { number: None, before: line::START, hash, word: Word::Nothing };
        };
        let authentic = line.writer == writer.as_str() && line.is_by(key);
        let word = match line.event {
            Event::Forgotten { through } if authentic => Word::Forgotten(through),
            Event::Dropped { count } if authentic => Word::Dropped(count),
            Event::Opened { key: other, .. } if !authentic && other != key.id() => Word::UnderKey(other),
            _ => Word::Nothing,
        };
        Self { number: authentic.then_some(line.number), before: line.before, hash, word }
    }
}

/// Whole lines, without their line feeds.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// Numbers of a gap that are looked for elsewhere.
const MOST_MISSING: usize = 1 << 20;
