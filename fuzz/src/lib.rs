//! What several targets share.
//!
//! A fuzzer that has to guess a MAC stays at the door. [`edited`] begins behind it: with something genuine, and the
//! fuzzer's bytes as a list of changes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

/// `original` after the changes in `script`, four bytes each: what to do, where (two bytes, from the end when it lies
/// behind), and a byte.
#[must_use]
pub fn edited(original: &[u8], script: &[u8]) -> Vec<u8> {
    let mut out = original.to_vec();
    for change in script.chunks_exact(4).take(16) {
        let [what, high, low, byte] = *change else { continue };
        let at = usize::from(u16::from_be_bytes([high, low])) % (out.len() + 1);
        match what % 5 {
            0 if at < out.len() => out[at] = byte,
            1 if at < out.len() => out[at] ^= 1 << (byte % 8),
            2 => out.insert(at, byte),
            3 if at < out.len() => drop(out.remove(at)),
            4 => out.truncate(at),
            _ => {}
        }
    }
    out
}

/// Splits at the first `separator`; the second half is empty when there is none.
#[must_use]
pub fn halves(data: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == separator) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// The pieces of `text` that `cuts` ask for: each byte is a length, over and over, at least 1.
pub fn pieces<'a>(text: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = cuts.iter().cycle().map(|cut| usize::from(*cut).max(1));
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (now, later) = rest.split_at(lengths.next().unwrap_or(usize::MAX).min(rest.len()));
        rest = later;
        Some(now)
    })
}

/// Whether two values are the same, numbers with a fraction up to the last bit: reading one that was printed may differ
/// there.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or_default(), other.as_f64().unwrap_or_default());
            (one - other).abs() <= one.abs() * 4.0 * f64::EPSILON
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, value)| other.get(name).is_some_and(|it| same(value, it)))
        }
        _ => one == other,
    }
}

/// A file in a folder of this process, readable by its owner alone, with these bytes.
///
/// # Panics
/// When the temporary folder can't be written.
#[must_use]
pub fn private_file(name: &str, bytes: &[u8]) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder().join(name);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(bytes)).expect("the temporary folder can be written");
    path
}

/// The folder of this process.
///
/// # Panics
/// When it can't be made.
#[must_use]
pub fn folder() -> &'static Path {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));
    FOLDER.path()
}
