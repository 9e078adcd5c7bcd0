//! What a request holds of its budgets.
//!
//! In: reservations, then word of how the exchange goes. Out, when it is dropped: what is charged. Dropping settles on every
//! way that a request can end, an aborted stream and a panic too, since nothing else happens on all of them.
//!
//! | how it ended | requests | bytes | tokens |
//! | --- | --- | --- | --- |
//! | refused before it was handed to the API | 0 | 0 | 0 |
//! | answered whole, with usage | 1 | what passed | what the API says |
//! | answered 4xx or 503 without usage: the API did no work | 1 | what passed | 0 |
//! | anything else: cut, left, timed out, no usage, compressed, another 5xx | 1 | what passed | the reservation, or what was reported so far if that is more |
//!
//! Bytes are those of both bodies, as they passed here. What passes beyond the reservation is charged while it passes, a
//! reservation at a time, so that others can't spend it too; in books that machines share, when the request is over.
//! Nothing is cut off for it. Nothing that a client says about its own usage is believed.

use std::fmt;
use std::sync::Arc;

use attest_core::time::Clock;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use metering::{Format, Ledger, UsageReader};
use policies::{Limit, Unit};
use prometheus_client::metrics::counter::Counter;

use super::SharedLimits;
use crate::route::Route;
use crate::runtime::Runtime;
use crate::telemetry::metrics::{RouteLabels, UnitLabels};

/// The reservations of one request.
pub(crate) struct Charge {
    parts: Vec<Part>,
    stage: Stage,
    usage: Option<UsageReader>,
    bytes_in: u64,
    bytes_out: u64,
    clock: Arc<dyn Clock>,
    charged: [Counter; 3],
    usage_unknown: Counter,
}

/// What is reserved in one budget.
pub(super) struct Part {
    unit: Unit,
    reserved: u64,
    /// By how much at least a reservation grows.
    step: u64,
    pub(super) place: Place,
}

/// Whose books it is in.
pub(super) enum Place {
    Here(Arc<Ledger>, metering::Held),
    Shared(Arc<SharedLimits>, shared_state::Held),
}

/// How far the exchange came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The API saw nothing of it.
    Waiting,
    /// It may have seen all of it.
    HandedOver,
    /// Its answer began.
    Answered { worked: bool },
    /// Its answer is here to the end.
    Whole { worked: bool },
}

impl Part {
    pub(super) fn new(limit: &Limit, place: Place) -> Self {
        let reserved = match &place {
            Place::Here(_, held) => held.reserved(),
            Place::Shared(_, held) => held.reserved(),
        };
        Self { unit: limit.unit, reserved, step: reserved, place }
    }
}

impl Charge {
    pub(super) fn new(parts: Vec<Part>, route: &Route, runtime: &Runtime) -> Self {
        let charged = |unit: Unit| {
            let labels = UnitLabels { route: route.name.clone(), unit: unit.as_str() };
            runtime.metrics.budget_charged.get_or_create(&labels).clone()
        };
        let unknown = runtime.metrics.usage_unknown.get_or_create(&RouteLabels { route: route.name.clone() }).clone();
        Self {
            parts,
            stage: Stage::Waiting,
            usage: None,
            bytes_in: 0,
            bytes_out: 0,
            clock: runtime.clock.clone(),
            charged: [Unit::Requests, Unit::Bytes, Unit::Tokens].map(charged),
            usage_unknown: unknown,
        }
    }

    /// Whether the answer has to be readable: a compressed one tells no usage.
    pub(crate) fn reads_usage(&self) -> bool {
        self.parts.iter().any(|part| part.unit == Unit::Tokens)
    }

    /// From here on the API may do work for it.
    pub(crate) fn handed_over(&mut self) {
        self.stage = Stage::HandedOver;
        self.usage = None;
    }

    /// So much of the request's body has passed in this attempt.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.bytes_in = self.bytes_in.max(bytes);
        self.keep_up();
    }

    /// The head of the answer.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        // What refuses a request, or says that it takes none now, has done nothing for it.
        let worked = !(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE);
        self.stage = Stage::Answered { worked };
        let plain = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
        if self.reads_usage() && plain {
            let format = headers.get(CONTENT_TYPE).and_then(|kind| Format::of(kind.as_bytes()));
            self.usage = format.map(UsageReader::new);
        }
    }

    /// A piece of the answer's body, as the API sent it.
    pub(crate) fn read(&mut self, piece: &[u8], end: bool) {
        if let Some(usage) = &mut self.usage {
            usage.push(piece);
        }
        if let (true, Stage::Answered { worked }) = (end, self.stage) {
            self.stage = Stage::Whole { worked };
        }
    }

    /// So much of the answer's body goes to the client.
    pub(crate) fn passed_on(&mut self, bytes: usize) {
        self.bytes_out = self.bytes_out.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.keep_up();
    }

    /// Charges bytes that passed beyond what is reserved.
    fn keep_up(&mut self) {
        let passed = self.bytes_in.saturating_add(self.bytes_out);
        for part in self.parts.iter_mut().filter(|part| part.unit == Unit::Bytes && part.reserved < passed) {
            if let Place::Here(ledger, held) = &mut part.place {
                let more = (passed - part.reserved).max(part.step);
                ledger.grow(held, more, self.clock.now());
                part.reserved = held.reserved();
            }
        }
    }

    /// Units of this kind that it used, as far as is known now; nothing where it has no such budget.
    pub(crate) fn used(&self, unit: Unit) -> Option<u64> {
        let reserved = self.parts.iter().filter(|part| part.unit == unit).map(|part| part.reserved).max()?;
        Some(self.usage_of(unit, reserved))
    }

    /// Whether tokens are charged as they were reserved, because the API never told how many it used.
    pub(crate) fn usage_is_unknown(&self) -> bool {
        let may_have_worked = match self.stage {
            Stage::Waiting => false,
            Stage::HandedOver => true,
            Stage::Answered { worked } | Stage::Whole { worked } => worked,
        };
        may_have_worked && self.reads_usage() && self.last_word().is_none()
    }

    fn usage_of(&self, unit: Unit, reserved: u64) -> u64 {
        if self.stage == Stage::Waiting {
            return 0;
        }
        match unit {
            Unit::Requests => reserved,
            Unit::Bytes => self.bytes_in.saturating_add(self.bytes_out),
            Unit::Tokens => match (self.last_word(), self.stage) {
                (Some(tokens), _) => tokens,
                (None, Stage::Answered { worked: false } | Stage::Whole { worked: false }) => self.reported_so_far(),
                (None, _) => reserved.max(self.reported_so_far()),
            },
        }
    }

    /// What the API says in the end.
    fn last_word(&self) -> Option<u64> {
        let reported = self.usage.as_ref()?.reported()?;
        (reported.is_final && matches!(self.stage, Stage::Whole { .. })).then_some(reported.tokens)
    }

    fn reported_so_far(&self) -> u64 {
        self.usage.as_ref().and_then(UsageReader::reported).map_or(0, |reported| reported.tokens)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.usage_is_unknown() {
            self.usage_unknown.inc();
        }
        for (unit, counter) in [Unit::Requests, Unit::Bytes, Unit::Tokens].into_iter().zip(&self.charged) {
            counter.inc_by(self.used(unit).unwrap_or(0));
        }
        let now = self.clock.now();
        let mut shared: Option<(Arc<SharedLimits>, Vec<_>)> = None;
        for part in std::mem::take(&mut self.parts) {
            let used = self.usage_of(part.unit, part.reserved);
            match part.place {
                Place::Here(ledger, held) => ledger.settle(held, used, now),
                Place::Shared(limits, held) => shared.get_or_insert_with(|| (limits, Vec::new())).1.push((held, used)),
            }
        }
        if let Some((limits, parts)) = shared {
            limits.settle(parts);
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("stage", &self.stage).field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}
