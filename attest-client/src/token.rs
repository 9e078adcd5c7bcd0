//! A result token in the app's hands. Comes in: the text and how long it is good for. Goes out: the text for a header.
//! Proven between: nothing; the app can't read it, and `Debug` does not print it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::status::Status;

/// A result token. Cheap to clone; the text is wiped when the last clone goes.
#[derive(Clone)]
pub struct Token {
    text: Arc<Zeroizing<String>>,
    fetched: Duration,
    life: Duration,
    kept_because: Option<Status>,
}

impl Token {
    /// `text`: the service's answer; `fetched`: a moment of [`crate::clock::Elapsed`]; `life`: from that moment.
    pub(crate) fn new(text: String, fetched: Duration, life: Duration) -> Self {
        Self { text: Arc::new(Zeroizing::new(text)), fetched, life, kept_because: None }
    }

    /// The text, for the request header that the gateway reads (`Assay-Token`). Mark the header value as
    /// sensitive where your HTTP client can.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// [`Status::Success`], or why this is an older token: the service could not be had when a new one was due. It may
    /// be past its life; gateways can be told to accept that for a while.
    #[must_use]
    pub fn status(&self) -> Status {
        self.kept_because.unwrap_or(Status::Success)
    }

    /// Still in the first four fifths of its life at `now`: good without asking anybody.
    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.fetched) < self.life.saturating_mul(4) / 5
    }

    /// The same token, handed out although a new one was due.
    pub(crate) fn kept(mut self, because: Status) -> Self {
        self.kept_because = Some(because);
        self
    }

    /// Whether both are the same text.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Token").field("text", &"[redacted]").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(life: u64) -> Token {
        Token::new("header.payload.signature".into(), Duration::from_secs(1_000), Duration::from_secs(life))
    }

    #[test]
    fn is_fresh_until_four_fifths_of_its_life_are_over() {
        assert!(token(300).is_fresh(Duration::from_secs(1_239)));
        assert!(!token(300).is_fresh(Duration::from_secs(1_240)));
        assert!(!token(0).is_fresh(Duration::from_secs(1_000)), "no life is not an endless one");
    }

    #[test]
    fn does_not_print_its_text() {
        let printed = format!("{:?}", token(300).kept(Status::NoNetwork));
        assert!(!printed.contains("payload"), "{printed}");
        assert!(printed.contains("NoNetwork"));
    }
}
