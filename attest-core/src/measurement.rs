//! The measurement: what the read-only and executable segments of a program amount to, in its file and in its running
//! image alike.
//!
//! In: an ELF file, or its headers and then its memory. Out: a [`Measurement`], and from it a MAC over the
//! transcript. It is tamper *evidence*: whoever holds the file can compute it too.

mod elf;
mod mac;

use std::fmt;

use crate::crypto::{Sha256, length_prefix};

pub use elf::{ElfError, Segment, SegmentPlan, plan};
pub use mac::{mac, verify_mac};

const DOMAIN: &[u8] = b"assay-measurement-v1\0";
const COMBINED: &[u8] = b"assay-measurement-v2\0";

/// SHA-256 over the measured segments of a program.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Measurement([u8; 32]);

impl Measurement {
    /// The measurement with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As text: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("sha256:{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Measurement({})", self.to_text())
    }
}

/// The bytes given were not those of the plan: too few or too many.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the bytes measured are not those of the plan")]
pub struct NotAsPlanned;

/// Measures the bytes of a plan's segments, one segment after the other, in pieces of any size.
///
/// SHA-256 over the domain string, the number of segments (u32), then for each its address (u64), size (u64), flags
/// (u32) and bytes; numbers big endian.
pub struct Hasher<'a> {
    hash: Sha256,
    segments: std::slice::Iter<'a, Segment>,
    left: u64,
}

impl<'a> Hasher<'a> {
    /// Begins the measurement of `plan`.
    #[must_use]
    pub fn new(plan: &'a SegmentPlan) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(&length_prefix(plan.segments().len()));
        Self { hash, segments: plan.segments().iter(), left: 0 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`NotAsPlanned`] when there are more than the plan has.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), NotAsPlanned> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let segment = self.segments.next().ok_or(NotAsPlanned)?;
                self.hash.update(&segment.vaddr.to_be_bytes());
                self.hash.update(&segment.size.to_be_bytes());
                self.hash.update(&segment.flags.to_be_bytes());
                self.left = segment.size;
            }
            let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(take);
            self.hash.update(now);
            self.left -= take as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// [`NotAsPlanned`] when there were fewer bytes than the plan has.
    pub fn finish(mut self) -> Result<Measurement, NotAsPlanned> {
        if self.left != 0 || self.segments.next().is_some() {
            return Err(NotAsPlanned);
        }
        Ok(Measurement(self.hash.finish()))
    }
}

/// Measures an ELF file, as its image will be when it runs.
///
/// # Errors
/// [`ElfError`] when it is no 64-bit little-endian ELF program or library, or ends before its segments do.
pub fn measure_file(file: &[u8]) -> Result<Measurement, ElfError> {
    let plan = plan(file)?;
    let mut hasher = Hasher::new(&plan);
    for segment in plan.segments() {
        let start = usize::try_from(segment.offset).map_err(|_| ElfError::Truncated)?;
        let size = usize::try_from(segment.size).map_err(|_| ElfError::Truncated)?;
        let bytes = file.get(start..).and_then(|rest| rest.get(..size)).ok_or(ElfError::Truncated)?;
        hasher.update(bytes).map_err(|_| ElfError::Truncated)?;
    }
    hasher.finish().map_err(|_| ElfError::Truncated)
}

/// The measurement of a program together with the libraries named at its registration.
///
/// SHA-256 over the domain string, the number of images (u32, big endian), then for each its name with the length in
/// front (u32, big endian) and its own measurement: the program first, with an empty name, then the libraries in the
/// order of their names. A program without libraries keeps its own measurement.
#[must_use]
pub fn combine(main: &Measurement, libraries: &[(String, Measurement)]) -> Measurement {
    if libraries.is_empty() {
        return *main;
    }
    let mut sorted: Vec<(&[u8], &[u8; 32])> =
        libraries.iter().map(|(name, measurement)| (name.as_bytes(), measurement.as_bytes())).collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(COMBINED);
    hash.update(&length_prefix(sorted.len() + 1));
    for (name, measurement) in std::iter::once((&[][..], main.as_bytes())).chain(sorted) {
        hash.update_field(name);
        hash.update(measurement);
    }
    Measurement(hash.finish())
}

#[cfg(test)]
mod tests;
