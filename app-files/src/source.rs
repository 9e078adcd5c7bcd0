//! The bytes of a file, by place. Comes in: an open file, or bytes in memory. Goes out: exactly what was asked for, or
//! an error; never more than was asked for is held.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::error::AppFileError;

/// Read at once while streaming.
pub(crate) const CHUNK: usize = 256 * 1024;

enum Bytes<'a> {
    File(&'a File),
    Memory(&'a [u8]),
}

/// A file that can be read anywhere.
pub(crate) struct Source<'a> {
    bytes: Bytes<'a>,
    len: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn file(file: &'a File, len: u64) -> Self {
        Self { bytes: Bytes::File(file), len }
    }

    pub(crate) fn memory(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::Memory(bytes), len: bytes.len() as u64 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `out` from `at` on.
    pub(crate) fn fill(&self, at: u64, out: &mut [u8]) -> Result<(), AppFileError> {
        let read = match self.bytes {
            Bytes::File(file) => file.read_exact_at(out, at),
            Bytes::Memory(bytes) => usize::try_from(at)
                .ok()
                .and_then(|at| bytes.get(at..)?.get(..out.len()))
                .map(|found| out.copy_from_slice(found))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|problem| AppFileError::Read { what: "the file".into(), problem })
    }

    /// `len` bytes from `at` on. Callers bound `len` first.
    pub(crate) fn take(&self, at: u64, len: usize) -> Result<Vec<u8>, AppFileError> {
        let mut out = vec![0; len];
        self.fill(at, &mut out)?;
        Ok(out)
    }

    /// As many bytes as there are from `at` on, `most` at most.
    pub(crate) fn take_up_to(&self, at: u64, most: usize) -> Result<Vec<u8>, AppFileError> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        self.take(at, left.min(most))
    }

    /// Hands on the bytes from `at` to `end` in pieces of [`CHUNK`].
    pub(crate) fn stream(
        &self,
        at: u64,
        end: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), AppFileError>,
    ) -> Result<(), AppFileError> {
        let mut buffer = vec![0; CHUNK];
        let mut at = at;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let Some(piece) = buffer.get_mut(..piece) else { break };
            self.fill(at, piece)?;
            sink(piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}
