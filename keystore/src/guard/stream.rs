//! One response body, as it comes. In: chunks. Out: chunks, no byte later than it must; proven between: the concatenation
//! of what went out is the concatenation of what came in with every finding masked, wherever the chunks were cut.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::automaton::{ROOT, State};
use super::{Guard, VISIBLE, mask};

/// A scrubber for one response body, made by [`Guard::stream`]: one layer for the key, and one for each set of
/// credentials that were made from it. What leaves one layer enters the next.
pub struct Stream(SmallVec<[Layer; 1]>);

/// One layer. Whatever it holds back is the beginning of one of its own forms.
struct Layer {
    guard: Arc<Guard>,
    state: State,
    /// The end of what came in: a live beginning of a form without its visible first bytes. All else has left.
    held: BytesMut,
    findings: u64,
    /// Bytes that have left, and the end of the last finding in the same count.
    passed: u64,
    masked_to: u64,
}

impl Stream {
    pub(super) fn new(guards: impl Iterator<Item = Arc<Guard>>) -> Self {
        Self(guards.map(Layer::new).collect())
    }

    /// Takes the next chunk and gives what may leave now: all, but for a live beginning of a form. With `end` set
    /// nothing stays behind, and the stream is as new, its count apart.
    ///
    /// A chunk in which nothing is found comes back as the same buffer, uncopied.
    pub fn push(&mut self, chunk: Bytes, end: bool) -> Bytes {
        self.0.iter_mut().fold(chunk, |chunk, layer| layer.push(chunk, end))
    }

    /// How many bytes are held back. They are lost if the body ends without a last [`Stream::push`]: then the
    /// response has to be cut off instead.
    pub fn held(&self) -> usize {
        self.0.iter().map(|layer| layer.held.len()).sum()
    }

    /// How many findings were masked so far; what overlaps counts once.
    pub fn findings(&self) -> u64 {
        self.0.iter().map(|layer| layer.findings).sum()
    }
}

impl Layer {
    fn new(guard: Arc<Guard>) -> Self {
        Self { guard, state: ROOT, held: BytesMut::new(), findings: 0, passed: 0, masked_to: 0 }
    }

    fn push(&mut self, chunk: Bytes, end: bool) -> Bytes {
        let out = if self.held.is_empty() { self.fresh(chunk, end) } else { self.resumed(&chunk, end) };
        self.passed += out.len() as u64;
        if end {
            self.state = ROOT;
        }
        out
    }

    /// Nothing is held back: look at the chunk in place.
    fn fresh(&mut self, mut chunk: Bytes, end: bool) -> Bytes {
        let mut masked: Vec<(usize, usize)> = Vec::new();
        self.follow(&chunk, 0, |from, to| masked.push((from, to)));
        let leaving = chunk.len() - self.keep(end, chunk.len(), &masked);
        if masked.is_empty() {
            self.held = BytesMut::from(chunk.split_off(leaving).as_ref());
            return chunk;
        }
        let mut text = BytesMut::from(chunk);
        masked.iter().for_each(|(from, to)| mask(&mut text, *from, *to));
        self.held = text.split_off(leaving);
        text.freeze()
    }

    /// Something is: append to it, so that a finding can be masked from its first byte.
    fn resumed(&mut self, chunk: &Bytes, end: bool) -> Bytes {
        let mut text = std::mem::take(&mut self.held);
        let from = text.len();
        text.extend_from_slice(chunk);
        let mut masked: Vec<(usize, usize)> = Vec::new();
        self.follow(&text, from, |from, to| masked.push((from, to)));
        masked.iter().for_each(|(from, to)| mask(&mut text, *from, *to));
        let leaving = text.len() - self.keep(end, text.len(), &masked);
        let out = text.split_to(leaving).freeze();
        self.held = text;
        out
    }

    /// Scans `text` from `from` on and reports what to mask, in order of its end.
    fn follow(&mut self, text: &[u8], from: usize, mut masked: impl FnMut(usize, usize)) {
        let (mut findings, mut masked_to, passed) = (self.findings, self.masked_to, self.passed);
        let guard = Arc::clone(&self.guard);
        self.state = guard.scan(text, from, self.state, |end, len| {
            // At most the visible first bytes lie before the text: what was not held back has left.
            masked((end + VISIBLE).saturating_sub(len), end);
            let (begins, ends) = ((passed + end as u64).saturating_sub(len as u64), passed + end as u64);
            findings += u64::from(begins >= masked_to);
            masked_to = ends;
        });
        (self.findings, self.masked_to) = (findings, masked_to);
    }

    /// How many of the last bytes have to stay: a live beginning, unless it is masked already. What a longer form that goes on
    /// from there would mask of them is done.
    fn keep(&self, end: bool, len: usize, masked: &[(usize, usize)]) -> usize {
        let live = self.guard.automaton.depth(self.state).saturating_sub(VISIBLE).min(len);
        let is_masked = masked.last().is_some_and(|(from, to)| *to == len && *from <= len - live);
        if end || is_masked { 0 } else { live }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("held", &self.held()).field("findings", &self.findings()).finish_non_exhaustive()
    }
}
