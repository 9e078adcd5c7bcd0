//! A blocked Bloom filter over device ids: one cache line says "no" for nearly every device that is not in it.
//!
//! A device id is part of a SHA-256 with a secret salt, so its own bytes are the hashes: the first 8 choose the block, the
//! last 8 choose eight bits in it.

/// Bits of a block: one cache line.
const BLOCK_BITS: usize = 512;

/// Bits for each id, which makes fewer than one "perhaps" in a hundred a wrong one.
const BITS_PER_ID: usize = 16;

/// The filter. An empty one holds nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    blocks: Box<[[u64; 8]]>,
}

impl Filter {
    /// The filter of these ids.
    pub(super) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a [u8; 16]>) -> Self {
        let blocks = (ids.len() * BITS_PER_ID).div_ceil(BLOCK_BITS);
        let mut filter = Self { blocks: vec![[0; 8]; blocks].into() };
        for id in ids {
            if let Some(block) = filter.place(id).and_then(|at| filter.blocks.get_mut(at)) {
                for (word, bit) in block.iter_mut().zip(bits(id)) {
                    *word |= bit;
                }
            }
        }
        filter
    }

    /// Whether the id may be one of them; never false for one that is.
    pub(super) fn may_hold(&self, id: &[u8; 16]) -> bool {
        let block = self.place(id).and_then(|at| self.blocks.get(at));
        block.is_some_and(|block| block.iter().zip(bits(id)).all(|(word, bit)| word & bit != 0))
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BITS / 8
    }

    fn place(&self, id: &[u8; 16]) -> Option<usize> {
        let first = id.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))?;
        // As usize holds any count of blocks that memory has, the remainder is one too.
        let blocks = u64::try_from(self.blocks.len()).ok().filter(|blocks| *blocks != 0)?;
        usize::try_from(first % blocks).ok()
    }
}

/// One bit in each of the eight words of a block.
fn bits(id: &[u8; 16]) -> impl Iterator<Item = u64> {
    id.iter().skip(8).map(|byte| 1_u64 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sha256;

    fn id(number: u64) -> [u8; 16] {
        *sha256(&[&number.to_be_bytes()]).first_chunk().unwrap()
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        assert!(!Filter::of([].iter()).may_hold(&[0; 16]) && !Filter::default().may_hold(&[1; 16]));
    }

    #[test]
    fn it_never_denies_what_is_in_it_and_rarely_suspects_what_is_not() {
        let ids: Vec<[u8; 16]> = (0..100_000).map(id).collect();
        let filter = Filter::of(ids.iter());
        assert!(ids.iter().all(|id| filter.may_hold(id)));
        let suspected = (100_000..200_000).filter(|number| filter.may_hold(&id(*number))).count();
        assert!(suspected < 1_000, "{suspected} of 100000");
        assert_eq!(filter.bytes(), 100_000 * 2);
    }
}
