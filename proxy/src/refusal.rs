//! The only table from a stop to what the client learns.
//!
//! In comes a [`Stop`], our own word for why a request goes no further; out goes an [`Answer`]: status,
//! code, headers, body. Whoever adds a stop is made to decide here. The reason itself goes to log and
//! metrics and never into an answer. A policy may put a body of the API's own in the place of ours, for a whole group of
//! stops alike: status, and what clients of the protocol go by, stay.
//!
//! Proven here: every presented token that did not lead to a permit gets the same status, the same
//! headers and a body of the same length, whatever was wrong with it. Only what needs no key to find
//! out may differ: no token, a token whose own unverified `exp` has passed, limits, our own faults.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use operations::{Refusal, Side};
use pingora_http::ResponseHeader;
use policies::Limit;
use policies::{Group, RefusalBody};

use crate::admission::Shed;
use crate::limits::{Quota, Remaining, put_remaining};

/// Why a request goes no further. Each stage has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Extract: two parsers could read the head differently, or it can't be served at all.
    BadRequest(&'static str),
    /// Extract: no route has this host and path.
    NoRoute,
    /// Extract: the route does not offer this method and path.
    NoOperation,
    /// Extract or admit: something in query or body is not what the operation allows.
    NotAllowed(Box<Refusal>),
    /// Extract or exchange: more body than the operation takes.
    BodyTooLarge,
    /// Decide: no token, or one whose own, unverified `exp` has passed.
    AttestationRequired,
    /// Decide: a token was shown, and it did not lead to a permit.
    Refused,
    /// Decide: the route wants a user, and there is no token of one, or one whose own, unverified `exp` has passed.
    UserRequired,
    /// Decide: a user's token was shown, and it is not good. To the client the same as [`Refused`](Self::Refused).
    UserRefused,
    /// Decide: we could not judge the token, and the fault is ours.
    Unverifiable,
    /// Admit: a limit of the policy is used up.
    Limited(Limited),
    /// Admit: a limit can't be counted with the other machines, and the route has it counted so or not at all.
    SharedStateDown,
    /// Admit: the upstream has no seat for this class.
    Overloaded(Shed),
    /// Admit: the request body did not arrive in time.
    BodyTimeout,
    /// Inject: the key may not be used for this request, or is not there. Why, in a word for the log.
    KeyUnavailable(&'static str),
    /// Route or exchange: no address, no connection, or an answer that is none.
    UpstreamUnreachable,
    /// Exchange: the upstream was too slow.
    UpstreamTimeout,
    /// Respond: the upstream's answer may not be passed on.
    UpstreamRefused(&'static str),
    /// Something of ours failed that none of the above names.
    Internal,
}

/// A limit that was reached, in what its headers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    /// The limit's name in the policy.
    pub name: Box<str>,
    /// What it allows.
    pub quota: Quota,
    /// What is left of it: less than this request needs.
    pub units: u64,
    /// Until the next request fits.
    pub retry_after: Duration,
}

impl Limited {
    /// By this limit.
    pub(crate) fn by(limit: &Limit, units: u64, retry_after: Duration) -> Self {
        Self { name: limit.name.clone(), quota: Quota::of(limit), units, retry_after }
    }
}

/// What the client learns, but for the decision id.
#[derive(Debug)]
struct Row {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    /// The same as a status of gRPC, for clients that speak it.
    grpc: &'static str,
    retry: Retry,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// Nothing is said.
    Unsaid,
    /// Soon, spread over a few seconds so that they do not all come back at once.
    Soon,
    /// In a while, spread likewise: its turn does not come within seconds.
    Later,
    /// Exactly then.
    After(Duration),
}

impl Stop {
    #[deny(clippy::wildcard_enum_match_arm, reason = "a new stop needs a decision")]
    fn row(&self) -> Row {
        let row = |status, code, title, grpc| Row { status, code, title, grpc, retry: Retry::Unsaid };
        match self {
            Self::BadRequest(_) => row(StatusCode::BAD_REQUEST, "bad_request", "The request is malformed", "13"),
            Self::NoRoute => row(StatusCode::NOT_FOUND, "no_route", "Nothing is served here", "12"),
            Self::NoOperation => row(StatusCode::NOT_FOUND, "no_operation", "This route does not offer that", "12"),
            Self::NotAllowed(refusal) => match refusal.side() {
                Side::NotAllowed => {
                    row(StatusCode::BAD_REQUEST, "not_allowed", "Something in the request is not allowed here", "3")
                }
                Side::TooLarge => Self::BodyTooLarge.row(),
                Side::Type => row(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_type",
                    "A body of this type or encoding is not taken here",
                    "3",
                ),
            },
            Self::BodyTooLarge => row(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large", "8"),
            Self::AttestationRequired => {
                row(StatusCode::UNAUTHORIZED, "attestation_required", "An attestation token is required", "16")
            }
            Self::UserRequired => row(StatusCode::UNAUTHORIZED, "user_required", "A user's token is required", "16"),
            Self::Refused | Self::UserRefused => row(StatusCode::FORBIDDEN, "refused", "The request was refused", "7"),
            Self::Unverifiable | Self::SharedStateDown => Row {
                retry: Retry::Soon,
                ..row(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later", "14")
            },
            Self::Limited(limited) => Row {
                retry: Retry::After(limited.retry_after),
                ..row(StatusCode::TOO_MANY_REQUESTS, "limited", "Too many requests", "8")
            },
            Self::Overloaded(shed) => Row {
                retry: if *shed == Shed::Cohort { Retry::Later } else { Retry::Soon },
                ..row(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Try again later", "14")
            },
            Self::BodyTimeout => row(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", "4"),
            Self::KeyUnavailable(_) => Row {
                retry: Retry::Soon,
                ..row(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later", "14")
            },
            Self::UpstreamUnreachable => {
                row(StatusCode::BAD_GATEWAY, "upstream_unreachable", "The API can't be reached", "14")
            }
            Self::UpstreamTimeout => row(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The API took too long", "4"),
            Self::UpstreamRefused(_) => {
                row(StatusCode::BAD_GATEWAY, "upstream_refused", "The API's answer can't be passed on", "14")
            }
            Self::Internal => row(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here", "13"),
        }
    }

    /// The stable code, for clients, log and metrics alike.
    pub(crate) fn code(&self) -> &'static str {
        self.row().code
    }

    /// The status a client sees (a gRPC client sees 200 with a `grpc-status`).
    pub(crate) fn status(&self) -> StatusCode {
        self.row().status
    }

    /// What the log says beyond the code; empty where the code says it all.
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Self::BadRequest(what) | Self::UpstreamRefused(what) | Self::KeyUnavailable(what) => what,
            Self::NotAllowed(refusal) => refusal.word(),
            Self::Overloaded(shed) => shed.as_str(),
            Self::SharedStateDown => "shared_state_down",
            Self::UserRefused => "user",
            _ => "",
        }
    }

    /// The group of answers that look alike; `None` for those that no policy words.
    #[deny(clippy::wildcard_enum_match_arm, reason = "a new stop needs a decision")]
    pub(crate) fn group(&self) -> Option<Group> {
        match self {
            Self::AttestationRequired | Self::UserRequired => Some(Group::Required),
            Self::Refused | Self::UserRefused => Some(Group::Refused),
            Self::Limited(_) => Some(Group::Limited),
            Self::Overloaded(_) => Some(Group::Overloaded),
            Self::Unverifiable | Self::SharedStateDown | Self::KeyUnavailable(_) => Some(Group::Unavailable),
            Self::BadRequest(_)
            | Self::NoRoute
            | Self::NoOperation
            | Self::NotAllowed(_)
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamRefused(_)
            | Self::Internal => None,
        }
    }

    /// The whole answer. `decision`: the request's id, 26 characters. `spread`: any number, it
    /// chooses where in the window of `Retry-After` this client falls. `worded`: the policy's own body for the group; a
    /// client of gRPC, which reads no body, gets its status as ever.
    pub(crate) fn answer(
        &self,
        decision: &str,
        grpc: bool,
        spread: u64,
        worded: Option<&RefusalBody>,
    ) -> Option<Answer> {
        let worded = worded.filter(|_| !grpc);
        let row = self.row();
        let mut head = if grpc {
            // Trailers-only: gRPC clients read the status from the head of a body-less 200.
            let mut head = ResponseHeader::build(StatusCode::OK, Some(8)).ok()?;
            put(&mut head, CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            put(&mut head, GRPC_STATUS, HeaderValue::from_static(row.grpc));
            put(&mut head, GRPC_MESSAGE, HeaderValue::from_static(row.code));
            head
        } else {
            let mut head = ResponseHeader::build(row.status, Some(8)).ok()?;
            let problem = || HeaderValue::from_static("application/problem+json");
            put(&mut head, CONTENT_TYPE, worded.map_or_else(problem, |worded| worded.content_type().clone()));
            head
        };
        for (name, value) in worded.into_iter().flat_map(RefusalBody::headers) {
            let _ = head.append_header(name.clone(), value.clone());
        }
        put(&mut head, CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if row.status == StatusCode::UNAUTHORIZED {
            // What is missing is another thing, and to be had elsewhere (RFC 6750 section 3).
            let scheme = if *self == Self::UserRequired { "Bearer" } else { "Assay" };
            put(&mut head, WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        let retry = match row.retry {
            Retry::Unsaid => None,
            Retry::Soon => Some(1 + spread % SPREAD_SECS),
            Retry::Later => Some(SPREAD_SECS + spread % (4 * SPREAD_SECS)),
            Retry::After(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        };
        if let Some(retry) = retry {
            put(&mut head, RETRY_AFTER, HeaderValue::from(retry));
        }
        if let Self::Limited(limited) = self {
            put_limit(&mut head, limited);
        }
        let body = match worded {
            Some(worded) => Bytes::from(worded.render(decision, row.code)),
            None if grpc => Bytes::new(),
            None => row.problem(decision),
        };
        if !grpc {
            put(&mut head, CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Some(Answer { head, body })
    }
}

/// An answer of ours, ready to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status and headers.
    pub head: ResponseHeader,
    /// Empty for gRPC.
    pub body: Bytes,
}

impl Row {
    /// RFC 9457, written by hand: every part is ours and needs no escaping.
    fn problem(&self, decision: &str) -> Bytes {
        let Self { status, code, title, .. } = self;
        let status = status.as_u16();
        Bytes::from(format!(
            "{{\"type\":\"https://assay.dev/problems/{code}\",\"title\":\"{title}\",\
             \"status\":{status},\"code\":\"{code}\",\"decision\":\"{decision}\"}}\n"
        ))
    }
}

/// What it allows, and that nothing fits now.
fn put_limit(head: &mut ResponseHeader, limited: &Limited) {
    let Limited { name, quota, units, retry_after } = limited;
    let remaining = Remaining { name: name.clone(), quota: *quota, units: *units, within: *retry_after };
    put_remaining(head, [&remaining]);
}

fn put(head: &mut ResponseHeader, name: HeaderName, value: HeaderValue) {
    // Fails for invalid names or values alone; these are neither.
    let _ = head.insert_header(name, value);
}

/// Clients that are told "soon" come back spread over so many seconds.
const SPREAD_SECS: u64 = 5;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests;
