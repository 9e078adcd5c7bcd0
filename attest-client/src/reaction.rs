//! What to do with a gateway's answer. Comes in: its status and its code. Goes out: one of four reactions.
//! Proven between: only answers that carry the gateway's own code are acted on for 401 and 403; an API's own
//! 401 must not send every app back to the attestation service.

use serde::Deserialize;

/// What the app does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reaction {
    /// Nothing to do with attestation: the answer is for the app.
    Deliver,
    /// The gateway wants a (fresher) token: fetch one and send the same request again, once.
    Retry,
    /// The token was refused and why is not said. Do not repeat the request; a new token may be fetched, at most once
    /// a minute.
    FetchAgain,
    /// The token is not at fault. Keep it; try again after `Retry-After`.
    Wait,
}

/// The answers table: what a `status` with a `code` means for the token in hand.
///
/// `code` is the member of that name in the `application/problem+json` body ([`problem_code`]).
#[must_use]
pub fn on_response(status: u16, code: Option<&str>) -> Reaction {
    match (status, code) {
        (401, Some("attestation_required")) => Reaction::Retry,
        (403, Some("refused")) => Reaction::FetchAgain,
        (429, _) | (503, Some("unavailable" | "overloaded")) => Reaction::Wait,
        _ => Reaction::Deliver,
    }
}

/// The `code` of an RFC 9457 problem body of at most 16 KiB; `None` for anything else.
#[must_use]
pub fn problem_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    if body.len() > MAX_PROBLEM {
        return None;
    }
    serde_json::from_slice::<Problem>(body).ok().map(|problem| problem.code)
}

const MAX_PROBLEM: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apis_own_refusal_is_the_apps_business() {
        assert_eq!(on_response(401, Some("invalid_api_key")), Reaction::Deliver);
        assert_eq!(on_response(401, None), Reaction::Deliver);
        assert_eq!(on_response(403, Some("forbidden")), Reaction::Deliver);
        assert_eq!(on_response(503, None), Reaction::Deliver);
        assert_eq!(on_response(200, Some("attestation_required")), Reaction::Deliver);
    }

    #[test]
    fn the_gateways_answers_each_have_their_reaction() {
        assert_eq!(on_response(401, Some("attestation_required")), Reaction::Retry);
        assert_eq!(on_response(403, Some("refused")), Reaction::FetchAgain);
        assert_eq!(on_response(503, Some("unavailable")), Reaction::Wait);
        assert_eq!(on_response(503, Some("overloaded")), Reaction::Wait);
        assert_eq!(on_response(429, None), Reaction::Wait);
    }

    #[test]
    fn a_code_is_read_from_a_problem_body_only() {
        assert_eq!(problem_code(br#"{"type":"t","status":403,"code":"refused"}"#).as_deref(), Some("refused"));
        assert_eq!(problem_code(b"<html>"), None);
        assert_eq!(problem_code(br#"{"code":7}"#), None);
        assert_eq!(problem_code(&vec![b' '; MAX_PROBLEM + 1]), None);
    }
}
