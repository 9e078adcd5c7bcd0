//! Where a form of the key could begin. In: a text and a position. Out: the next position from which the automaton has
//! to follow; proven between: no form of the key, whole or cut off by the end of the text, begins before it.
//!
//! Each form has at least `window` bytes. Look at eight bytes in every `stride = window - 7`: wherever a form lies, one
//! such look falls into its first `window` bytes, at one of `stride` offsets. So the text is looked up, eight bytes a
//! time, among the forms' own eight-byte groups: first in a bit table that fits into the first-level cache, then,
//! rarely, exactly. The rest at the end, too short for a look, is compared with the forms' first four bytes.

use zeroize::Zeroizing;

use super::VISIBLE;

/// A position from which to follow, and how far at least.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) start: usize,
    pub(super) follow_to: usize,
}

/// The groups and heads of all forms.
pub(super) struct Filter {
    stride: usize,
    /// One bit for each hash of a group.
    bits: Box<Zeroizing<[u64; GROUP_WORDS]>>,
    /// The groups in order, each with its largest offset in any form.
    groups: Zeroizing<Vec<(u64, usize)>>,
    /// One bit for each hash of a form's first four bytes.
    heads: [u64; HEAD_WORDS],
}

impl Filter {
    /// `patterns`: none is shorter than 16 bytes.
    pub(super) fn new(patterns: &[Zeroizing<Vec<u8>>]) -> Self {
        let window = patterns.iter().map(|pattern| pattern.len()).min().unwrap_or(GROUP).clamp(GROUP, MAX_WINDOW);
        let stride = window - (GROUP - 1);
        let mut groups = Zeroizing::new(Vec::with_capacity(patterns.len() * stride));
        let mut filter_heads = [0; HEAD_WORDS];
        for pattern in patterns {
            groups.extend((0..stride).filter_map(|offset| Some((group(pattern, offset)?, offset))));
            if let Some(head) = head(pattern, 0) {
                set(&mut filter_heads, head_hash(head));
            }
        }
        // Largest offset first, and only that one kept: following from too early finds all, from too late might not.
        groups.sort_unstable_by(|one: &(u64, usize), other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
        groups.dedup_by_key(|entry| entry.0);
        let mut bits = Box::new(Zeroizing::new([0; GROUP_WORDS]));
        groups.iter().for_each(|(group, _)| set(bits.as_mut_slice(), group_hash(*group)));
        Self { stride, bits, groups, heads: filter_heads }
    }

    /// Whether a group may be one of ours.
    fn may_be(&self, group: u64) -> bool {
        let hash = usize::try_from(group_hash(group)).unwrap_or_default();
        self.bits.get(hash / 64 % GROUP_WORDS).is_some_and(|word| word >> (hash % 64) & 1 == 1)
    }

    /// The first position at or after `from` where a form may begin.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<Candidate> {
        let mut look = from + self.stride - 1;
        while let Some(group) = group(text, look) {
            if self.may_be(group)
                && let Ok(found) = self.groups.binary_search_by_key(&group, |entry| entry.0)
            {
                let offset = self.groups.get(found).map_or(0, |entry| entry.1);
                let start = look - offset;
                return Some(Candidate { start, follow_to: (look + 1).max(start + HEAD) });
            }
            look += self.stride;
        }
        let seen = look + 1 - self.stride;
        (seen..text.len())
            .find(|at| head(text, *at).is_some_and(|head| is_set(&self.heads, head_hash(head))))
            .map(|start| Candidate { start, follow_to: start + HEAD })
    }
}

/// Bytes in a group.
const GROUP: usize = 8;
/// Bytes in a head: one more than stays visible, since that is what is alive and has to be held back.
const HEAD: usize = VISIBLE + 1;
/// Longer strides gain nothing: a look costs a cache line of 64 bytes anyway.
const MAX_WINDOW: usize = 64;
/// 65,536 bits: 8 KiB; a usual key has some 500 groups.
const GROUP_WORDS: usize = 1024;
/// 4,096 bits.
const HEAD_WORDS: usize = 64;

fn group(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk::<GROUP>().map(|bytes| u64::from_le_bytes(*bytes))
}

fn head(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk::<HEAD>().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The upper bits of a product by the golden ratio: every input bit reaches them. 16 bits.
fn group_hash(group: u64) -> u64 {
    group.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48
}

/// As above, 12 bits.
fn head_hash(head: u32) -> u64 {
    u64::from(head.wrapping_mul(0x9E37_79B9) >> 20)
}

fn set(bits: &mut [u64], hash: u64) {
    if let Some(word) = usize::try_from(hash >> 6).ok().and_then(|index| bits.get_mut(index)) {
        *word |= 1 << (hash & 63);
    }
}

fn is_set(bits: &[u64], hash: u64) -> bool {
    usize::try_from(hash >> 6).ok().and_then(|index| bits.get(index)).is_some_and(|word| word >> (hash & 63) & 1 == 1)
}
