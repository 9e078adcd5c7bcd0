//! One entry's bytes. Comes in: where they lie. Goes out: exactly as many as the directory says, with its checksum.

use std::io::{self, BufRead, BufReader, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::{Entry, Method};
use crate::error::AppFileError;
use crate::source::{CHUNK, Source};

/// The caller has bounded `entry.size`.
pub(super) fn unpack(source: &Source<'_>, entry: &Entry) -> Result<Vec<u8>, AppFileError> {
    let wrong = |problem| AppFileError::Entry { name: entry.name.clone(), problem };
    let range = Range { source, at: entry.data.start, end: entry.data.end };
    // Taken as it comes, not reserved on the directory's word.
    let mut bytes = Vec::new();
    let room = entry.size.saturating_add(1);
    let mut reader = BufReader::with_capacity(CHUNK, range);
    match entry.method {
        Method::Stored => {
            reader.take(room).read_to_end(&mut bytes).map_err(|_| wrong("can't be read"))?;
        }
        Method::Deflated => {
            let mut inflater = DeflateDecoder::new(&mut reader);
            inflater.by_ref().take(room).read_to_end(&mut bytes).map_err(|_| wrong("does not unpack"))?;
            let is_whole = inflater.total_in() == entry.data.end - entry.data.start;
            if bytes.len() as u64 == entry.size && !(is_whole && reader.fill_buf().is_ok_and(<[u8]>::is_empty)) {
                return Err(wrong("its packed bytes go on behind their end"));
            }
        }
    }
    if bytes.len() as u64 != entry.size {
        return Err(wrong("unpacks to another size than the directory says"));
    }
    let mut crc = Crc::new();
    crc.update(&bytes);
    if crc.sum() == entry.crc { Ok(bytes) } else { Err(wrong("its checksum is wrong")) }
}

struct Range<'a> {
    source: &'a Source<'a>,
    at: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let piece = left.min(out.len());
        let Some(out) = out.get_mut(..piece) else { return Ok(0) };
        self.source.fill(self.at, out).map_err(io::Error::other)?;
        self.at += piece as u64;
        Ok(piece)
    }
}
