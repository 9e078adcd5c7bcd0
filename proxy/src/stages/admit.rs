//! Stage 5: from a permit to a seat at the upstream.
//!
//! In comes the [`Permit`]; out goes an [`Admitted`], or 429 or 503 before any key is opened. Proven
//! between: the policy's limits have room, the upstream has a seat for this class, and unattested
//! traffic holds none while its body is still on the way.
//!
//! An [`Admitted`] comes from here alone. Stage 7 demands one, so a stage that is skipped does not compile:
//!
//! ```compile_fail
//! fn forged(permit: policies::Permit) -> proxy::stages::admit::Admitted {
//!     proxy::stages::admit::Admitted { permit, seat: None }
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

use http::header::EXPECT;
use pingora_proxy::Session;
use policies::{Class, Permit};
use settings::SharedStateDown;
use shared_state::Away;
use tokio::time::timeout;

use super::extract::{self, BODY_PATIENCE};
use crate::admission::{Seat, Shed};
use crate::connection::client_left;
use crate::context::{Context, Times};
use crate::internal::Internal;
use crate::limits::{Count, Rate, Subject};
use crate::refusal::{Limited, Stop};
use crate::route::Route;
use crate::runtime::Runtime;
use crate::telemetry::metrics::{LimitLabels, RouteLabels, ShedLabels};
use crate::upstream::Upstream;

/// A permit with a seat. Dropping it frees the seat.
pub struct Admitted {
    permit: Permit,
    /// Empty once the head of a stream has arrived, or the end of an answer: neither a stream nor a client that
    /// doesn't read keeps others out.
    seat: Option<Seat>,
}

impl Admitted {
    /// What the policy said.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Frees the seat and keeps the permit.
    pub(crate) fn leave_seat(&mut self) {
        self.seat = None;
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
    let address = ctx.request.as_ref().map(|request| request.address);
    if let Err(stop) = within_limits(&permit, route, address, ctx, runtime).await {
        return Err((permit, stop));
    }
    let class = permit.class();
    // A client that trickles its body would hold a seat for as long as it likes.
    if waits_for_body(class)
        && !session.is_body_done()
        && let Err(stop) = body_in(session).await
    {
        return Err((permit, stop));
    }
    match seat(session, &route.upstream, class, &mut ctx.times).await {
        Ok(seat) => {
            ctx.inflight = Some(route.upstream.admission.inflight());
            if waits_for_body(class) {
                session.set_write_timeout(Some(spare_patience(runtime.generation.load().limits.write_timeout)));
            }
            Ok(Admitted { permit, seat: Some(seat) })
        }
        Err(shed) => {
            let labels =
                ShedLabels { upstream: route.upstream.name.clone(), class: class.as_str(), why: shed.as_str() };
            runtime.metrics.shed.get_or_create(&labels).inc();
            Err((permit, Stop::Overloaded(shed)))
        }
    }
}

/// A seat for a request to the service of this process, once its body is in: whoever trickles his would
/// keep every app from its token.
pub(crate) async fn admit_internal(
    session: &mut Session,
    internal: &Internal,
    times: &mut Times,
) -> Result<Seat, Stop> {
    if !session.is_body_done() {
        body_in(session).await?;
    }
    seat(session, &internal.upstream, Class::Attested, times).await.map_err(Stop::Overloaded)
}

/// Whether a request of this class gets a seat only when its body is in.
pub(crate) fn waits_for_body(class: Class) -> bool {
    matches!(class, Class::Partial | Class::Unattested)
}

/// How long a piece of an answer on spare capacity may take its client: a sixth of what others get. Whoever doesn't
/// read keeps the upstream's answer open, and the seat with it.
fn spare_patience(write_timeout: Duration) -> Duration {
    (write_timeout / 6).max(Duration::from_secs(1))
}

async fn seat(session: &mut Session, upstream: &Upstream, class: Class, times: &mut Times) -> Result<Seat, Shed> {
    if let Some(seat) = upstream.admission.try_enter(class) {
        return Ok(seat);
    }
    let since = Instant::now();
    let seat = upstream.admission.enter(class, client_left(session)).await;
    times.queued = since.elapsed();
    seat
}

/// Counts the request against all limits of the rule; the first that is used up refuses it.
async fn within_limits(
    permit: &Permit,
    route: &Route,
    address: Option<IpAddr>,
    ctx: &mut Context,
    runtime: &Runtime,
) -> Result<(), Stop> {
    if permit.limits().is_empty() {
        return Ok(());
    }
    let used_up = match &runtime.shared {
        None => used_up_here(permit, route, address, runtime, ctx.started),
        // Boxed: the size of every request's future is that of what it may hold.
        Some(shared) => match Box::pin(shared.used_up(permit, route, address)).await {
            Ok(used_up) => used_up,
            Err(Away) => {
                ctx.shared_state_down = true;
                match route.settings.our_faults.shared_state_down {
                    SharedStateDown::Refuse => return Err(Stop::SharedStateDown),
                    SharedStateDown::CountLocally => {
                        let labels = RouteLabels { route: route.name.clone() };
                        runtime.metrics.counted_locally.get_or_create(&labels).inc();
                        used_up_here(permit, route, address, runtime, ctx.started)
                    }
                }
            }
        },
    };
    match used_up {
        None => Ok(()),
        Some(limited) => {
            let labels = LimitLabels { route: route.name.clone(), limit: (&*limited.name).into() };
            runtime.metrics.limited.get_or_create(&labels).inc();
            Err(Stop::Limited(limited))
        }
    }
}

fn used_up_here(
    permit: &Permit,
    route: &Route,
    address: Option<IpAddr>,
    runtime: &Runtime,
    now: Instant,
) -> Option<Limited> {
    permit.limits().iter().find_map(|limit| {
        let rate = Rate::new(u32::try_from(limit.amount.get()).unwrap_or(u32::MAX), limit.window);
        let subject = Subject::of(limit.per, permit, route, address);
        match runtime.limits.count(&(&*limit.name, limit.per.as_str(), subject), rate, now) {
            Count::Exceeded { retry_after } => Some(Limited { name: limit.name.clone(), rate, retry_after }),
            Count::Within { .. } => None,
        }
    })
}

/// Reads a whole body into Pingora's replay buffer, which takes 64 KiB and plays it to the upstream later.
async fn body_in(session: &mut Session) -> Result<(), Stop> {
    if extract::content_length(session).is_some_and(|length| length > REPLAY_BYTES) {
        return Err(Stop::BodyTooLarge);
    }
    session.enable_retry_buffering();
    if session.req_header().headers.contains_key(EXPECT) {
        // It waits for this before it sends anything.
        session.write_continue_response().await.map_err(|_| Stop::Overloaded(Shed::ClientLeft))?;
    }
    let whole = async {
        // A body of one byte a second would pass a limit on each read alone.
        while session.read_request_body().await.map_err(|_| Stop::BadRequest("body"))?.is_some() {
            if session.retry_buffer_truncated() {
                return Err(Stop::BodyTooLarge);
            }
        }
        Ok(())
    };
    timeout(BODY_PATIENCE, whole).await.unwrap_or(Err(Stop::BodyTimeout))
}

/// Pingora's own bound on what it can play again.
pub(crate) const REPLAY_BYTES: u64 = 64 * 1024;
