//! Randomness as an argument: [`SystemRandom`] in a process, [`SeededRandom`] in a test.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::crypto::sha256;

/// The machine gave no random bytes. Nothing may be made without them.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("no random bytes from the operating system")]
pub struct NoRandomness;

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills `out` to the last byte.
    ///
    /// # Errors
    /// [`NoRandomness`]; `out` must then not be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness>;
}

/// `N` random bytes.
///
/// # Errors
/// [`NoRandomness`] when the source has none.
pub fn array<const N: usize>(random: &dyn Random) -> Result<[u8; N], NoRandomness> {
    let mut out = [0_u8; N];
    random.fill(&mut out)?;
    Ok(out)
}

/// The generator of aws-lc, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        aws_lc_rs::rand::fill(out).map_err(|_| NoRandomness)
    }
}

/// The same bytes for the same seed, every time. For tests: whoever knows the seed knows all that it makes.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    counter: AtomicU64,
}

impl SeededRandom {
    /// A stream that follows from `seed` alone.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in out.chunks_mut(32) {
            let block = self.counter.fetch_add(1, Ordering::SeqCst);
            let bytes = sha256(&[b"assay-seeded-random", &self.seed.to_be_bytes(), &block.to_be_bytes()]);
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_and_the_stream_does_not_repeat() {
        let (one, two) = (SeededRandom::new(7), SeededRandom::new(7));
        let first: [u8; 40] = array(&one).unwrap();
        assert_eq!(first, array::<40>(&two).unwrap());
        assert_ne!(first, array::<40>(&one).unwrap());
        assert_ne!(array::<32>(&SystemRandom).unwrap(), [0; 32]);
    }
}
