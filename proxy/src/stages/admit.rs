//! Stage 5: from a permit to a seat at the upstream.
//!
//! In comes the [`Permit`]; out goes an [`Admitted`], or 429 or 503 before any key is opened. Proven
//! between: the policy's limits have room, the upstream has a seat for this class, and nobody holds one while his body is
//! still on the way: a small body is read first, whoever sends it, and judged where the operation has rules for it; a larger one comes only from the upper two classes, and
//! takes a place among the uploads instead, of which one client gets its share.
//!
//! An [`Admitted`] comes from here alone. Stage 7 demands one, so a stage that is skipped does not compile:
//!
//! ```compile_fail
//! fn forged(permit: policies::Permit) -> proxy::stages::admit::Admitted {
//!     proxy::stages::admit::Admitted { permit }
//! }
//! ```
//!
//! It can be looked at:
//!
//! ```
//! fn seen(admitted: &proxy::stages::admit::Admitted) -> policies::Class {
//!     admitted.permit().class()
//! }
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::ACCEPT;
use pingora_proxy::Session;
use policies::{Class, Permit};
use recipes::{LargeBody, Needs};

use super::extract::{self, REPLAY_BYTES};
use crate::admission::{self, Held, Seat, Shed, Who};
use crate::connection::client_left;
use crate::context::{Context, Extracted, Progress, Times};
use crate::internal::Internal;
use crate::limits;
use crate::refusal::Stop;
use crate::route::Route;
use crate::runtime::Runtime;
use crate::telemetry::metrics::ShedLabels;
use crate::upstream::Upstream;

/// A permit with a seat. Dropping it frees the seat.
pub struct Admitted {
    permit: Permit,
    held: Held,
    whole_body: bool,
}

impl Admitted {
    /// What the policy said.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The seat, until an answer is on its way.
    pub(crate) fn seat(&self) -> Option<&Seat> {
        self.held.seat()
    }

    /// What it holds at its upstream.
    pub(crate) fn held(&mut self) -> &mut Held {
        &mut self.held
    }

    /// Whether its body was read before it was admitted.
    pub(crate) fn has_whole_body(&self) -> bool {
        self.whole_body
    }
}

/// The whole stage.
///
/// # Errors
/// The permit, for the log, and why it was not enough.
pub(crate) async fn admit(
    permit: Permit,
    session: &mut Session,
    route: &Route,
    ctx: &mut Context,
    runtime: &Runtime,
) -> Result<Admitted, (Permit, Stop)> {
    if let Err(stop) = limits::count(&permit, route, ctx, runtime).await {
        return Err((permit, stop));
    }
    let class = permit.class();
    let address = ctx.request.as_ref().map(|request| request.address);
    let who = admission::who(class, Some(permit.verified()), address);
    let upstream = &route.upstream;
    if let Some(shed) = upstream.admission.refuses(who, ctx.started) {
        count_shed(upstream, class, shed, runtime);
        return Err((permit, Stop::Overloaded(shed)));
    }
    let needed = needed_whole(session, route, ctx);
    // A client that trickles its body would hold a seat for as long as it likes.
    let whole_body = !session.is_body_done() && (needed || waits_for_body(class) || has_small_body(session));
    if whole_body {
        let most = ctx.request.as_ref().and_then(|request| request.most_body).unwrap_or(REPLAY_BYTES);
        if let Err(stop) = extract::body_in(session, most, |_| {}).await {
            return Err((permit, stop));
        }
    }
    if needed && let Err(stop) = judge_body(session, ctx) {
        return Err((permit, stop));
    }
    if wants_stream(session) && !upstream.admission.has_room_for_stream(who) {
        // Before the upstream was asked, and perhaps paid.
        count_shed(upstream, class, Shed::Streams, runtime);
        return Err((permit, Stop::Overloaded(Shed::Streams)));
    }
    match seat(session, upstream, who, ctx.started, &mut ctx.times).await {
        Ok(seat) => {
            ctx.inflight = Some(upstream.admission.inflight());
            if waits_for_body(class) {
                session.set_write_timeout(Some(spare_patience(runtime.generation.load().limits.write_timeout)));
            }
            Ok(Admitted { permit, held: Held::new(seat), whole_body })
        }
        Err(shed) => {
            count_shed(upstream, class, shed, runtime);
            Err((permit, Stop::Overloaded(shed)))
        }
    }
}

/// Whether its body is needed whole before anything of it is sent: the operation has rules for it, or the credential is made
/// from it.
fn needed_whole(session: &mut Session, route: &Route, ctx: &Context) -> bool {
    let operation = ctx.request.as_ref().and_then(Extracted::operation);
    if operation.is_some_and(|operation| operation.body().has_rules()) {
        return true;
    }
    let Some(key) = &route.key else { return false };
    match key.in_use().handle.recipe().needs() {
        Needs::WholeBody => true,
        // What is too large to be hashed is sent unsigned.
        Needs::BodyHash { large: LargeBody::Unsigned } => session.is_body_done() || has_small_body(session),
        Needs::BodyHash { large: LargeBody::Refuse } => true,
        Needs::Nothing | Needs::Minted | Needs::ClientCertificate => false,
    }
}

/// Keeps the body that is sent: as the operation's rules wrote it, or as it came.
fn judge_body(session: &mut Session, ctx: &mut Context) -> Result<(), Stop> {
    let body = extract::whole_body(session).ok_or(Stop::BodyTooLarge)?;
    let operation = ctx.request.as_ref().and_then(Extracted::operation);
    let judged = operation.map(|operation| operation.body().judge(&body)).transpose();
    let written = judged.map_err(|refusal| Stop::NotAllowed(Box::new(refusal)))?.flatten();
    ctx.body = Some(written.map_or(body, Bytes::from));
    Ok(())
}

/// A seat for a request to the service of this process, once its body is in: whoever trickles his would
/// keep every app from its token.
pub(crate) async fn admit_internal(
    session: &mut Session,
    internal: &Internal,
    address: IpAddr,
    times: &mut Times,
) -> Result<Held, Stop> {
    if !session.is_body_done() {
        extract::body_in(session, REPLAY_BYTES, |_| {}).await?;
    }
    let who = admission::who(Class::Attested, None, Some(address));
    let seat = seat(session, &internal.upstream, who, Instant::now(), times).await;
    seat.map(Held::new).map_err(Stop::Overloaded)
}

/// A stop for a request that was admitted and got no place for what came then; counted here.
pub(crate) fn overloaded(shed: Shed, ctx: &Context, runtime: &Runtime) -> Stop {
    if let (Some(route), Progress::Admitted(admitted)) = (ctx.route(), &ctx.progress) {
        count_shed(&route.upstream, admitted.permit().class(), shed, runtime);
    }
    Stop::Overloaded(shed)
}

fn count_shed(upstream: &Upstream, class: Class, shed: Shed, runtime: &Runtime) {
    let labels = ShedLabels { upstream: upstream.name.clone(), class: class.as_str(), why: shed.as_str() };
    runtime.metrics.shed.get_or_create(&labels).inc();
}

/// Whether a request of this class gets a seat only when its body is in.
pub(crate) fn waits_for_body(class: Class) -> bool {
    matches!(class, Class::Partial | Class::Unattested)
}

/// How long a piece of an answer on spare capacity may take its client: a sixth of what others get. Whoever doesn't
/// read keeps the upstream's answer open.
fn spare_patience(write_timeout: Duration) -> Duration {
    (write_timeout / 6).max(Duration::from_secs(1))
}

/// Whether it says that its body fits into what can be played again.
fn has_small_body(session: &Session) -> bool {
    extract::content_length(session).is_some_and(|length| length <= REPLAY_BYTES) && !session.is_upgrade_req()
}

/// Whether it asks for an answer that lasts. Not all that get one say so.
fn wants_stream(session: &Session) -> bool {
    let accept = session.req_header().headers.get(ACCEPT);
    session.is_upgrade_req() || accept.is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), EVENTS).is_some())
}

const EVENTS: &[u8] = b"text/event-stream";

async fn seat(
    session: &mut Session,
    upstream: &Upstream,
    who: Who,
    now: Instant,
    times: &mut Times,
) -> Result<Seat, Shed> {
    let mut seat = match upstream.admission.try_enter(who, now) {
        Some(seat) => seat,
        None => {
            let since = Instant::now();
            let seat = upstream.admission.enter(who, client_left(session)).await;
            times.queued = since.elapsed();
            seat?
        }
    };
    if !session.is_body_done() && !session.is_upgrade_req() {
        seat.upload(Instant::now())?;
    }
    Ok(seat)
}
