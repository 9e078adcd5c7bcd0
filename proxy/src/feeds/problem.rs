//! What was wrong with the last fetch, in words for the operator.

use std::sync::{Mutex, PoisonError};

/// The words, or none.
#[derive(Debug, Default)]
pub(crate) struct Problem(Mutex<Option<String>>);

impl Problem {
    /// Keeps what is wrong now; tells whether that differs from before.
    pub(crate) fn is(&self, now: Option<String>) -> bool {
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = *before != now;
        *before = now;
        differs
    }

    /// The words.
    pub(crate) fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
