//! Which request headers go upstream.
//!
//! In: a header's name. Out: whether it is let through; what is not is taken out, not refused, since every client sends
//! headers that nobody asked for.

use http::HeaderName;

/// The headers of a client that an operation lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headers {
    /// All but those that no route lets through.
    Any,
    /// Those of [`HARMLESS`], and these. In exactly this spelling: `stripe_account` is another header than `Stripe-Account`.
    Listed(Vec<HeaderName>),
}

impl Headers {
    /// Those of [`HARMLESS`] alone.
    #[must_use]
    pub fn harmless() -> Self {
        Self::Listed(Vec::new())
    }

    /// Whether a header of this name, which chooses an account, was let through by name: on a route with a key it is taken
    /// out otherwise, whatever else passes.
    #[must_use]
    pub fn lets_choose_account(&self, name: &HeaderName) -> bool {
        matches!(self, Self::Listed(listed) if CHOOSE_ACCOUNT.contains(&name.as_str()) && listed.contains(name))
    }

    /// Whether a header of this name goes upstream, in lower case as [`HeaderName`] has it.
    #[must_use]
    pub fn lets(&self, name: &HeaderName) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => HARMLESS.contains(&name.as_str()) || listed.contains(name),
        }
    }
}

/// Headers that choose for which account of ours a key acts. They prove nobody, so that an operator may let them through;
/// what proves a caller never passes on a route with a key.
pub const CHOOSE_ACCOUNT: [&str; 7] = [
    "anthropic-organization",
    "openai-organization",
    "openai-project",
    "stripe-account",
    "stripe-context",
    "x-amz-target-account",
    "x-goog-user-project",
];

/// Headers that say how a request is framed, in what form an answer is wanted, and which program asks: with them nobody
/// acts for another, and hardly a client works without them.
///
/// Not among them, because they mean something to some API: `Cookie`, `Origin` and `Referer` (keys are restricted by them),
/// `Range` (the response guard), `Idempotency-Key` (whoever guesses one is shown the answer to another's call).
pub const HARMLESS: [&str; 21] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "pragma",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_for_another_is_let_through_by_name_only() {
        let stripe = HeaderName::from_static("stripe-account");
        assert!(!Headers::harmless().lets(&stripe));
        let listed = Headers::Listed([stripe.clone()].into());
        assert!(listed.lets(&stripe) && listed.lets(&HeaderName::from_static("content-type")));
        for other in ["stripe_account", "stripe-context", "openai-organization", "x-amz-acl", "cookie", "authorization"]
        {
            assert!(!listed.lets(&HeaderName::from_static(other)), "{other}");
        }
        assert!(Headers::Any.lets(&stripe) && !Headers::Any.lets_choose_account(&stripe));
        assert!(listed.lets_choose_account(&stripe));
        let secret = HeaderName::from_static("x-api-key");
        assert!(!Headers::Listed(vec![secret.clone()]).lets_choose_account(&secret));
    }
}
