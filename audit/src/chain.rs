//! Writing. In: events. Out: lines of one chain in files of this machine; proven between: one writer at a time, each line whole
//! or not there, and on disk before [`Chain::append`] returns.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use attest_core::time::UnixTime;
use data_encoding::HEXLOWER;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::checkpoint::{ChainEnd, Checkpoint};
use crate::end::{End, last_line, tail};
use crate::event::Event;
use crate::key::AuditKey;
use crate::line::{self, Line, LineHash};
use crate::segment::{self, Segment, WriterName};

/// How much of a chain is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file; the line that passes it is the last. At least 64 KiB.
    pub segment_bytes: u64,
    /// Files of one writer; the oldest goes when there are more. At least 2.
    pub segments: usize,
}

impl Default for Limits {
    /// 16 files of 16 MiB: some 800,000 requests.
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, segments: 16 }
    }
}

/// One writer's chain, open for writing. Nobody else writes to it until it is dropped or its process dies.
#[derive(Debug)]
pub struct Chain {
    dir: PathBuf,
    writer: WriterName,
    key: AuditKey,
    limits: Limits,
    segments: Vec<Segment>,
    file: File,
    /// Bytes of the file that are whole lines.
    len: u64,
    /// Whether the file may have more bytes than that: a write failed, and so did taking back what it left.
    torn: bool,
    count: u64,
    head: LineHash,
    found: Option<String>,
    _lock: File,
}

impl Chain {
    /// Takes up `writer`'s chain in `dir`, or begins it; the directory is made where there is none, for this user alone.
    ///
    /// An end that is torn or does not verify is kept as it is, told by [`Chain::found`] and in the entry that follows it.
    ///
    /// # Errors
    /// `Locked` while another process writes this chain; `Io`, a full disk too.
    pub fn open(
        dir: &Path,
        writer: &WriterName,
        key: AuditKey,
        limits: Limits,
        now: UnixTime,
    ) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Io { path: dir.to_path_buf(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let lock = lock(dir, writer)?;
        let mut segments = segment::list(dir).map_err(failed)?.remove(writer).unwrap_or_default();
        if segments.is_empty() {
            segments.push(Segment::of(dir, writer, 1));
        }
        let last = segments.last().cloned().unwrap_or_else(|| Segment::of(dir, writer, 1));
        let failed = |source| AuditError::Io { path: last.path.clone(), source };
        let mut file = open_file(&last.path).map_err(failed)?;
        let earlier = segments.len().checked_sub(2).and_then(|at| segments.get(at));
        let end = End::of(&mut file, &last, earlier, writer, &key).map_err(failed)?;
        let (dir, writer, limits) = (dir.to_path_buf(), writer.clone(), limits.at_least());
        let End { count, head, len, found } = end;
        let mut chain =
            Self { dir, writer, key, limits, segments, file, len, torn: false, count, head, found, _lock: lock };
        chain.append(now, Event::Opened { key: chain.key.id().to_owned(), found: chain.found.clone() })?;
        Ok(chain)
    }

    /// As [`Chain::open`], under the first of `NAME`, `NAME-2` … `NAME-16` that nobody writes to: where several processes
    /// share a directory, each has a chain of its own.
    ///
    /// # Errors
    /// As [`Chain::open`].
    pub fn open_free(
        dir: &Path,
        writer: &WriterName,
        key: &AuditKey,
        limits: Limits,
        now: UnixTime,
    ) -> Result<Self, AuditError> {
        for number in 1..MOST_WRITERS {
            match Self::open(dir, &writer.numbered(number), key.clone(), limits, now) {
                Err(AuditError::Locked { .. }) => {}
                opened => return opened,
            }
        }
        Self::open(dir, &writer.numbered(MOST_WRITERS), key.clone(), limits, now)
    }

    /// Whose chain it is.
    pub fn writer(&self) -> &WriterName {
        &self.writer
    }

    /// What was wrong with the end of the chain when it was taken up, for the operator.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Writes one entry, and gives its number once it is on disk.
    ///
    /// # Errors
    /// `Io`, a full disk too: then nothing was written, and what the entry is about must not be done.
    pub fn append(&mut self, now: UnixTime, event: Event) -> Result<u64, AuditError> {
        self.append_all(vec![(now, event)])?;
        Ok(self.count)
    }

    /// Writes several entries at once: all are on disk when it returns, or none is.
    ///
    /// # Errors
    /// As [`Chain::append`].
    pub fn append_all(&mut self, events: Vec<(UnixTime, Event)>) -> Result<(), AuditError> {
        self.take_back()?;
        let batch = self.batch(&events)?;
        if self.len > 0 && self.len + batch.text.len() as u64 > self.limits.segment_bytes {
            return self.in_new_segment(events);
        }
        self.write(&batch.text)?;
        (self.count, self.head) = (batch.count, batch.head);
        Ok(())
    }

    /// Where the chain ends now, authenticated: for the log stream.
    pub fn checkpoint(&self, now: UnixTime) -> Checkpoint {
        let (writer, head) = (self.writer.to_string(), HEXLOWER.encode(&self.head));
        Checkpoint::new(&self.key, ChainEnd { writer, count: self.count, head, at: now.millis() })
    }

    /// The last number.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The lines that would follow.
    fn batch(&self, events: &[(UnixTime, Event)]) -> Result<Batch, AuditError> {
        let mut batch = Batch { text: Vec::new(), count: self.count, head: self.head };
        for (at, event) in events {
            batch.count = batch.count.checked_add(1).ok_or(AuditError::Full)?;
            let event = event.clone().bounded();
            let line = line::write(&self.key, self.writer.as_str(), (batch.count, *at), &event, &batch.head)
                .map_err(|source| AuditError::Io { path: self.dir.clone(), source: source.into() })?;
            batch.head = line::hash(&line);
            batch.text.extend_from_slice(&line);
            batch.text.push(b'\n');
        }
        Ok(batch)
    }

    /// Takes back what an earlier write left, if it could not be taken back then.
    fn take_back(&mut self) -> Result<(), AuditError> {
        if self.torn {
            self.file.set_len(self.len).map_err(|source| self.failed(source))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Writes through to the disk, or leaves the file as it was.
    fn write(&mut self, text: &[u8]) -> Result<(), AuditError> {
        if let Err(error) = self.file.write_all(text).and_then(|()| self.file.sync_data()) {
            self.torn = self.file.set_len(self.len).is_err();
            return Err(self.failed(error));
        }
        self.len += text.len() as u64;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> AuditError {
        let path = self.segments.last().map_or_else(|| self.dir.clone(), |segment| segment.path.clone());
        AuditError::Io { path, source }
    }

    /// Begins another file, which goes on from the one before. Where there are too many now, the oldest go: said first.
    fn in_new_segment(&mut self, mut events: Vec<(UnixTime, Event)>) -> Result<(), AuditError> {
        let kept = self.limits.segments.saturating_sub(1);
        let too_many = self.segments.len().saturating_sub(kept);
        let at = events.first().map(|(at, _)| *at).unwrap_or_default();
        if let Some(oldest_kept) = self.segments.get(too_many).filter(|_| too_many > 0) {
            events.insert(0, (at, Event::Forgotten { through: oldest_kept.first.saturating_sub(1) }));
        }
        // Each file says by which key it begins: the ones before it may be gone when it is read.
        events.insert(0, (at, Event::Opened { key: self.key.id().to_owned(), found: None }));
        let batch = self.batch(&events)?;
        let next = Segment::of(&self.dir, &self.writer, self.count + 1);
        let failed = |source| AuditError::Io { path: next.path.clone(), source };
        let file = open_file(&next.path).map_err(failed)?;
        sync_directory(&self.dir).map_err(failed)?;
        let before = (std::mem::replace(&mut self.file, file), std::mem::replace(&mut self.len, 0));
        self.segments.push(next);
        if let Err(error) = self.write(&batch.text) {
            // The file before goes on; the empty one goes.
            (self.file, self.len) = before;
            self.torn = false;
            if let Some(empty) = self.segments.pop() {
                let _ = fs::remove_file(empty.path);
            }
            return Err(error);
        }
        (self.count, self.head) = (batch.count, batch.head);
        for old in self.segments.drain(..too_many) {
            // One that can't be deleted is no reason to refuse: what is in it verifies still.
            let _ = fs::remove_file(old.path);
        }
        Ok(())
    }
}

/// Lines, with what the chain has come to after them.
struct Batch {
    text: Vec<u8>,
    count: u64,
    head: LineHash,
}

/// Where every chain in `dir` ends, as far as `key` authenticated the end: what a process with a log tells for those that
/// have none.
///
/// # Errors
/// `Io` where the files can't be read.
pub fn ends(dir: &Path, key: &AuditKey, now: UnixTime) -> Result<Vec<Checkpoint>, AuditError> {
    let failed = |source| AuditError::Io { path: dir.to_path_buf(), source };
    let mut ends = Vec::new();
    for (writer, segments) in segment::list(dir).map_err(failed)? {
        // The last file may have been begun in this moment, and have no line yet: then the one before it ends the chain.
        for segment in segments.iter().rev().take(2) {
            let text = tail(&segment.path).map_err(failed)?;
            let Some(line) = last_line(&text) else { continue };
            if let Some(read) = Line::parse(line).filter(|read| read.writer == writer.as_str() && read.is_by(key)) {
                let (count, head) = (read.number, HEXLOWER.encode(&line::hash(line)));
                ends.push(Checkpoint::new(key, ChainEnd { writer: writer.to_string(), count, head, at: now.millis() }));
            }
            break;
        }
    }
    Ok(ends)
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The files can't be read or written.
    #[error("the audit log can't be written: {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes this chain.
    #[error("another process writes the audit chain \"{writer}\" in {}", .dir.display())]
    Locked {
        /// Where.
        dir: PathBuf,
        /// Which.
        writer: WriterName,
    },
    /// There are no numbers left.
    #[error("the audit chain is full")]
    Full,
}

const MOST_WRITERS: u32 = 16;

impl Limits {
    fn at_least(self) -> Self {
        Self { segment_bytes: self.segment_bytes.max(64 << 10), segments: self.segments.max(2) }
    }
}

/// Opens a file of a chain to go on with it. A link is not followed: what is written through it would be another file.
fn open_file(path: &Path) -> io::Result<File> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new().create(true).read(true).append(true).mode(0o600).custom_flags(no_link).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(number) if number == Errno::LOOP.raw_os_error() => io::Error::new(io::ErrorKind::InvalidInput, "a link"),
        _ => error,
    })?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// A new file is there only once its directory is on disk.
fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The lock is on an empty file beside the chain, which stays: removing it would let two writers lock two different files.
fn lock(dir: &Path, writer: &WriterName) -> Result<File, AuditError> {
    let path = dir.join(format!(".{writer}.lock"));
    let failed = |source| AuditError::Io { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(AuditError::Locked { dir: dir.to_path_buf(), writer: writer.clone() })
        }
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_and_leaves_nothing_of_the_entry() {
        let dir = tempfile::tempdir().unwrap();
        let key = || AuditKey::new([1; 32].into());
        let now = UnixTime::from_secs(1);
        let mut chain = Chain::open(dir.path(), &WriterName::keys(), key(), Limits::default(), now).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let real = std::mem::replace(&mut chain.file, full);
        let error = chain.append(now, Event::Closed).unwrap_err();
        assert!(matches!(error, AuditError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
        assert_eq!(chain.count(), 1);
        // Half of the line had come through, and could not be taken back then.
        let mut half = real.try_clone().unwrap();
        half.write_all(b"{\"number\":2,").unwrap();
        chain.file = real;
        assert_eq!(chain.append(now, Event::Closed).unwrap(), 2);
        let report = crate::verify(dir.path(), &key(), &[]).unwrap();
        assert!(report.intact && report.writers.iter().all(|writer| writer.last == 2), "{report:?}");
    }
}
