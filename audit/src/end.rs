//! Where a chain ends. In: its last two files. Out: the number and the hash that the next line follows, and what is wrong with
//! them, if something is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::key::AuditKey;
use crate::line::{self, Line, LineHash};
use crate::segment::{Segment, WriterName};

/// How a chain ended when it was taken up.
pub(crate) struct End {
    pub(crate) count: u64,
    pub(crate) head: LineHash,
    /// Bytes of the file that are whole lines.
    pub(crate) len: u64,
    /// What is wrong with it, if something is.
    pub(crate) found: Option<String>,
}

impl End {
    /// Reads the last file; a torn last line is cut off (nobody was told that it is there), whatever else is wrong stays.
    ///
    /// `earlier`: the file before it. A writer that was killed when it had just begun the last one has left no line there, and
    /// the chain goes on from the one before.
    pub(crate) fn of(
        file: &mut File,
        last: &Segment,
        earlier: Option<&Segment>,
        writer: &WriterName,
        key: &AuditKey,
    ) -> io::Result<Self> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut found = None;
        if whole < text.len() {
            found = Some(format!("a torn last line of {} bytes, cut off", text.len() - whole));
            file.set_len(whole as u64)?;
        }
        let lines = text.get(..whole.saturating_sub(1)).unwrap_or_default();
        let Some(line) = lines.rsplit(|byte| *byte == b'\n').next().filter(|line| !line.is_empty()) else {
            let count = last.first.saturating_sub(1);
            let before = earlier.map(|earlier| Self::head_of(earlier, count, writer, key)).transpose()?.flatten();
            if count > 0 && before.is_none() {
                found = Some(format!("no line in the file that begins with number {}", last.first));
            }
            return Ok(Self { count, head: before.unwrap_or(line::START), len: whole as u64, found });
        };
        let read = Line::parse(line).filter(|line| line.writer == writer.as_str());
        let count = match &read {
            Some(line) if line.is_by(key) => line.number,
            Some(line) => {
                found = Some(format!("number {} does not verify with the key {}", line.number, key.id()));
                line.number
            }
            None => {
                found = Some("a last line that is none of ours".to_owned());
                // As many numbers as there are lines; what is wrong is told anyway.
                last.first.saturating_sub(1) + lines.split(|byte| *byte == b'\n').count() as u64
            }
        };
        Ok(Self { count, head: line::hash(line), len: whole as u64, found })
    }

    /// The hash of the last line of `segment`, if that is authentic and has this number.
    fn head_of(segment: &Segment, count: u64, writer: &WriterName, key: &AuditKey) -> io::Result<Option<LineHash>> {
        let text = tail(&segment.path)?;
        let Some(line) = last_line(&text) else { return Ok(None) };
        let read = Line::parse(line).filter(|read| read.writer == writer.as_str() && read.is_by(key));
        Ok(read.filter(|read| read.number == count).map(|_| line::hash(line)))
    }
}

/// The end of a file, long enough for the longest line.
pub(crate) fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text)
}

/// The last whole line, without its line feed.
pub(crate) fn last_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().rposition(|byte| *byte == b'\n')?;
    text.get(..end)?.rsplit(|byte| *byte == b'\n').next().filter(|line| !line.is_empty())
}

/// Five texts of [`crate::event::MAX_DETAIL`] bytes, each byte of them escaped to six, and the rest of a line.
const TAIL: u64 = 64 << 10;
