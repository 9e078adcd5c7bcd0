//! What one request has gathered: its proofs so far, and its times.
//!
//! Pingora hands it from hook to hook. A later stage takes what it needs from [`Progress`] and can't
//! reach what an earlier one did not prove. Everything that has to be given back (the seat) is given
//! back by `Drop`, so an aborted request leaves nothing behind.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attest_core::target::Target;
use attest_core::time::UnixTime;
use bytes::Bytes;
use http::uri::PathAndQuery;
use keystore::VersionId;
use operations::Operation;
use policies::{Permit, Refused};

use crate::admission::Held;
use crate::decision_id::DecisionId;
use crate::internal::Internal;
use crate::keys::{Injected, Token};
use crate::limits::{Charge, Remaining};
use crate::observed::InMode;
use crate::refusal::Stop;
use crate::route::Route;
use crate::stages::admit::Admitted;
use crate::stages::extract::Presented;
use crate::stages::verify::Identity;
use crate::telemetry::traces::Trace;

/// One request.
pub(crate) struct Context {
    /// When its head had been read: for how long things take.
    pub started: Instant,
    /// The same moment on the wall: what tokens, rules with an end and the log go by. Asked for once.
    pub wall: UnixTime,
    /// Its id in answer and log.
    pub id: DecisionId,
    /// What stage 2 made of the head.
    pub request: Option<Extracted>,
    /// Who calls and for whom, on routes that ask.
    pub identity: Option<Box<Identity>>,
    /// The proofs of stages 4 and 5.
    pub progress: Progress,
    /// Why it went no further.
    pub stop: Option<Stop>,
    /// How it ended for the client.
    pub end: End,
    /// How long things took.
    pub times: Times,
    /// Attempts at the upstream so far.
    pub attempts: usize,
    /// Bytes of request body seen in this attempt.
    pub body_in: u64,
    /// The whole body as it was judged, without any credential; where the operation or the key needs it whole.
    pub body: Option<Bytes>,
    /// What this attempt sends instead of it, where the credential goes into the body.
    pub body_out: Option<Bytes>,
    /// The version of the route's key that this attempt carries.
    pub injected: Option<Injected>,
    /// Whether the next attempt carries the version that comes after the next rotation: the API refused the current one.
    pub next_version: bool,
    /// The token that was minted with it, where it is used so.
    pub token: Option<(VersionId, Arc<Token>)>,
    /// Finds the key that was added, in the head of the answer.
    pub guard: Option<Arc<keystore::Guard>>,
    /// The scrubber of the response body, on routes that have one.
    pub scrubber: Option<keystore::guard::Stream>,
    /// Places masked in response headers.
    pub masked_headers: u64,
    /// Whether what the service took back reached us too long ago to be called new.
    pub revocations_stale: bool,
    /// Whether its limits could not be counted with the other machines.
    pub shared_state_down: bool,
    /// In what mode its route was, and by whose order.
    pub mode: InMode,
    /// Keyed hash of its device, where a genuine token names one.
    pub device: Option<u64>,
    /// What it reserved of budgets; dropping it charges what it used.
    pub charge: Option<Box<Charge>>,
    /// What is left of its limits, where the route tells its clients.
    pub remaining: Vec<Remaining>,
    /// Seats in use at the upstream when this one was taken.
    pub inflight: Option<u32>,
    /// The trace that it is in; only requests on routes are in any.
    pub trace: Option<Trace>,
}

/// The head, understood.
pub(crate) struct Extracted {
    /// The one canonical target.
    pub target: Target,
    /// Path and query as they go upstream.
    pub upstream_target: PathAndQuery,
    /// Where it goes.
    pub place: Place,
    /// The token.
    pub presented: Presented,
    /// The client's address, through trusted proxies.
    pub address: IpAddr,
    /// Which of the route's operations it is; nothing where the route has none, and takes everything.
    pub operation: Option<usize>,
    /// Why its route does not offer it, if it does not: told once it is known where it wanted to go.
    pub not_offered: Option<Stop>,
    /// Bytes of body that the operation takes; nothing where it is not bounded.
    pub most_body: Option<u64>,
}

impl Extracted {
    /// The operation of its route that it is.
    pub(crate) fn operation(&self) -> Option<&Operation> {
        match &self.place {
            Place::Route(route) => route.settings.operations.get(self.operation?),
            Place::Internal(_) => None,
        }
    }
}

/// Where a request goes.
#[derive(Clone)]
pub(crate) enum Place {
    /// A route of the configuration.
    Route(Arc<Route>),
    /// The attestation service of this process, behind the public listener.
    Internal(Arc<Internal>),
}

/// How far a request came, with the proof of it.
pub(crate) enum Progress {
    /// Not decided.
    Undecided,
    /// Stage 4 said no.
    Refused(Refused),
    /// Stage 4 said yes and stage 5 no.
    NotAdmitted(Permit),
    /// Stage 5 said yes.
    Admitted(Admitted),
    /// The service's own API: no policy, but a seat.
    Internal {
        /// Its seat, until the service has done its part.
        held: Held,
    },
}

impl Progress {
    /// What it holds at its upstream, once it was admitted.
    pub(crate) fn held(&mut self) -> Option<&mut Held> {
        match self {
            Self::Admitted(admitted) => Some(admitted.held()),
            Self::Internal { held } => Some(held),
            Self::Undecided | Self::Refused(_) | Self::NotAdmitted(_) => None,
        }
    }
}

/// How a request ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Whole.
    Complete,
    /// The client went away.
    ClientGone,
    /// The upstream broke off in the middle.
    UpstreamCut,
    /// Somebody was too slow.
    Timeout,
}

impl End {
    /// The word in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::Timeout => "timeout",
        }
    }
}

/// How long things took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// Waiting for a seat.
    pub queued: Duration,
    /// When the request was handed to the upstream connection, last attempt.
    pub handed_over: Option<Instant>,
    /// When the end of the request's body passed on its way there, last attempt; nothing where there was none.
    pub body_sent: Option<Instant>,
    /// When a peer was asked for, last attempt: the connection is made after it.
    pub dialled: Option<Instant>,
    /// When the head of the answer came.
    pub first_byte: Option<Instant>,
}

impl Context {
    /// A request whose head was just read.
    pub(crate) fn new(started: Instant, wall: UnixTime, id: DecisionId) -> Self {
        Self {
            started,
            wall,
            id,
            request: None,
            identity: None,
            progress: Progress::Undecided,
            stop: None,
            end: End::Complete,
            times: Times::default(),
            attempts: 0,
            body_in: 0,
            body: None,
            body_out: None,
            injected: None,
            next_version: false,
            token: None,
            guard: None,
            scrubber: None,
            masked_headers: 0,
            revocations_stale: false,
            shared_state_down: false,
            mode: InMode::default(),
            device: None,
            charge: None,
            remaining: Vec::new(),
            inflight: None,
            trace: None,
        }
    }

    /// The route, once it is known and one of the configuration's.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        match &self.request.as_ref()?.place {
            Place::Route(route) => Some(route),
            Place::Internal(_) => None,
        }
    }
}
