//! The response guard. In: what an upstream answers, in chunks as they come. Out: the same bytes, same length, with
//! every known form of the key masked; proven between: the result does not depend on where the chunks were cut.
//!
//! It is a net under a mistake (an endpoint that echoes headers, an error page that quotes the request), not a
//! boundary: an upstream that compresses, splits, reverses or truncates the key gets it past any such net.
//!
//! What it costs: a filter looks at eight bytes in every stride (40 bytes and more for usual keys); the
//! automaton follows only from where those eight belong to a form of the key. A chunk without a finding passes as
//! the same buffer, uncopied. Nothing is delayed but a live beginning of a form, from its fourth byte on: for that,
//! a finding in a stream keeps its first three characters ([`VISIBLE`]); in a header, which is whole, it keeps none.

mod automaton;
mod filter;
mod patterns;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use automaton::{Automaton, ROOT, State};
use filter::Filter;
pub use stream::Stream;

/// How many characters of a finding in a stream stay readable, so that up to so many bytes that merely look like the
/// beginning of a key are never held back. A finding has 16 and more.
pub const VISIBLE: usize = 3;

/// What findings are overwritten with.
const MASK: u8 = b'*';

/// All known forms of one key's versions, ready to be looked for. Shared by every response of the routes that use it.
///
/// What is made from a key on the way (a minted token, a signature, a signed assertion) is as good as the key while it
/// lives: [`Guard::with`] looks for it too.
pub struct Guard {
    automaton: Automaton,
    filter: Filter,
    /// What else is looked for: the key that these credentials were made from.
    beneath: Option<Arc<Guard>>,
}

impl Guard {
    /// A guard for one secret and the value it is rendered to (`Bearer …`, a basic credential).
    ///
    /// # Errors
    /// See [`Guard::for_secrets`].
    pub fn for_secret(secret: &[u8], rendered: &[u8]) -> Result<Arc<Self>, TooShort> {
        Self::for_secrets(&[(secret, rendered)])
    }

    /// A guard for several secrets, each with the value it is rendered to: all versions of a key, old and coming.
    ///
    /// # Errors
    /// A secret or a rendered value has under 16 bytes: it would be found where it is not.
    pub fn for_secrets(secrets: &[(&[u8], &[u8])]) -> Result<Arc<Self>, TooShort> {
        Self::new(&patterns::of_all(secrets), None)
    }

    /// This guard, and beside it one for what was made from the key: for the answers that such credentials can come back
    /// in. Without any it is this guard itself.
    ///
    /// A few tens of microseconds for a signature, under a millisecond for a token of 1 KiB: what lives longer than a request
    /// should keep its guard as long.
    ///
    /// # Errors
    /// One of them has under 16 bytes: it would be found where it is not.
    pub fn with<T: AsRef<[u8]>>(self: &Arc<Self>, derived: &[T]) -> Result<Arc<Self>, TooShort> {
        if derived.is_empty() {
            return Ok(Arc::clone(self));
        }
        let secrets: Vec<(&[u8], &[u8])> = derived.iter().map(|one| (one.as_ref(), one.as_ref())).collect();
        Self::new(&patterns::of_all(&secrets), Some(Arc::clone(self)))
    }

    fn new(patterns: &[patterns::Pattern], beneath: Option<Arc<Self>>) -> Result<Arc<Self>, TooShort> {
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.len() < patterns::MIN_LEN) {
            return Err(TooShort);
        }
        Ok(Arc::new(Self { automaton: Automaton::new(patterns), filter: Filter::new(patterns), beneath }))
    }

    /// This guard, then those beneath it.
    fn layers(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |guard| guard.beneath.as_ref())
    }

    /// The masked form of a header value or trailer, or `None` when nothing is to be masked (no allocation then).
    pub fn scrub_header(&self, value: &[u8]) -> Option<Vec<u8>> {
        // No form fits in; most header values end here.
        if value.len() < patterns::MIN_LEN {
            return None;
        }
        let mut masked: Option<Vec<u8>> = None;
        self.scan(value, 0, ROOT, |end, len| {
            let text = masked.get_or_insert_with(|| value.to_vec());
            mask(text, end.saturating_sub(len), end);
        });
        let Some(beneath) = &self.beneath else { return masked };
        beneath.scrub_header(masked.as_deref().unwrap_or(value)).or(masked)
    }

    /// A scrubber for one response body.
    pub fn stream(self: &Arc<Self>) -> Stream {
        Stream::new(self.layers().map(Arc::clone))
    }

    /// Follows `text` from `from` on, where the automaton is in `state`, and reports each finding by its end and length.
    ///
    /// Two gears. While something is alive the automaton takes every byte; otherwise the filter leaps to where
    /// something could begin. Invariant at each shift of gear: no form begins before `at` that is still alive, except
    /// such as the automaton follows.
    fn scan(&self, text: &[u8], from: usize, state: State, mut found: impl FnMut(usize, usize)) -> State {
        let (mut at, mut state) = (from, state);
        // What began before `from` is either dead or longer than VISIBLE after so many bytes.
        let mut follow_to = if state == ROOT { from } else { from + VISIBLE };
        loop {
            while let Some(&byte) = text.get(at) {
                if at >= follow_to && self.automaton.depth(state) <= VISIBLE {
                    break;
                }
                state = self.automaton.step(state, byte);
                at += 1;
                if let Some(len) = self.automaton.longest_match(state) {
                    found(at, len);
                }
            }
            if at >= text.len() {
                return state;
            }
            // The few bytes that may begin something are cheaper looked at again than followed.
            let resume = at - self.automaton.depth(state);
            state = ROOT;
            match self.filter.next(text, resume) {
                Some(candidate) => (at, follow_to) = (candidate.start, candidate.follow_to),
                // Nothing longer than VISIBLE is alive at the end; what is shorter is for the state to remember.
                None => (at, follow_to) = (resume.max(text.len().saturating_sub(VISIBLE)), text.len()),
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard([redacted])")
    }
}

/// A secret under 16 bytes can't be guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret under {} bytes can't be guarded: it would be found where it is not", patterns::MIN_LEN)]
pub struct TooShort;

/// Overwrites `text[from..to]`.
fn mask(text: &mut [u8], from: usize, to: usize) {
    if let Some(finding) = text.get_mut(from..to) {
        finding.fill(MASK);
    }
}
