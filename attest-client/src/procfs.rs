//! Files of `/proc`, read whole and bounded. Comes in: a path. Goes out: bytes, or the error.

use std::fs::File;
use std::io::{self, Read};

/// More than any memory map of a sane process; a longer file is refused rather than cut.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The whole file.
///
/// # Errors
/// As the system said; `FileTooLarge` beyond 16 MiB.
pub(crate) fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The whole file as text; bytes that are not UTF-8 (file names may hold them) are replaced.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_text(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}
