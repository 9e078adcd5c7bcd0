//! The stages of a request, in the order in which it meets them.
//!
//! | hook of Pingora | stage | runs |
//! | --- | --- | --- |
//! | `early_request_filter` | the session's own timers | once |
//! | `request_filter` | [`extract`], [`verify`], [`decide`], [`admit`] | once |
//! | `upstream_peer` | [`route`] | per attempt |
//! | `upstream_request_filter` | [`inject`] | per attempt, on a copy of the client's head |
//! | `upstream_response_filter` | [`next_key`], where a 401 may try another version of the key | per attempt |
//! | `upstream_response_filter`, `response_body_filter` | [`respond`] | per answer, per piece |
//! | `fail_to_proxy` | [`respond`], after [`exchange`] said whose fault it was | once |
//! | `logging` | [`log`] | once, then `Drop` gives the seat back |

use pingora_proxy::Session;
use policies::Decision;

use crate::context::{Context, Extracted, Place, Progress};
use crate::refusal::Stop;
use crate::runtime::Runtime;

pub mod admit;
pub(crate) mod decide;
pub(crate) mod exchange;
pub(crate) mod extract;
pub(crate) mod inject;
pub(crate) mod log;
pub(crate) mod next_key;
pub(crate) mod respond;
pub(crate) mod route;
pub(crate) mod verify;

/// Stages 2 to 5: from a head to the right to be sent upstream.
///
/// # Errors
/// The stop, for [`respond::refuse`].
pub(crate) async fn judge(session: &mut Session, ctx: &mut Context, runtime: &Runtime) -> Result<(), Stop> {
    let request = extract::extract(session, runtime)?;
    let request = ctx.request.insert(request);
    extract::check_offer(session, request)?;
    match request.place.clone() {
        Place::Internal(internal) => {
            let held = admit::admit_internal(session, &internal, request.address, &mut ctx.times).await?;
            ctx.progress = Progress::Internal { held };
        }
        Place::Route(route) => {
            let Extracted { target, presented, address, .. } = request;
            if route.asks_who_calls() {
                // Boxed: routes that ask are few, and every request's future is as large as what it may hold.
                let asked = Box::pin(verify::identify(session, presented, &route, runtime, ctx.wall)).await?;
                ctx.identity = Some(Box::new(asked));
            }
            let identity = ctx.identity.as_deref();
            let headers = &session.req_header().headers;
            if let Some(traces) = &runtime.traces {
                ctx.trace = traces.begin(headers, || extract::is_from_trusted_proxy(session, runtime));
            }
            let now = verify::Now { steady: runtime.clock.steady(), wall: ctx.wall };
            let verified = verify::verify(presented, &route, headers, runtime, now).await;
            ctx.revocations_stale = route.issuer.revocations_stale(now.steady);
            let asked = decide::Asked {
                id: ctx.id,
                target,
                address: *address,
                headers,
                caller: identity.and_then(verify::Identity::caller_name),
                user: identity.and_then(verify::Identity::user),
                wall: ctx.wall,
                steady: now.steady,
            };
            let decided = decide::decide(verified, &route, &asked, runtime);
            (ctx.mode, ctx.device) = (decided.mode, decided.device);
            let permit = match decided.decision {
                Decision::Permit(permit) => permit,
                Decision::Refuse(refused) => {
                    let stop = decide::stop_of(&refused);
                    ctx.progress = Progress::Refused(refused);
                    return Err(stop);
                }
            };
            if let Some(stop) = ctx.identity.as_ref().and_then(|identity| identity.without_user(&route)) {
                ctx.progress = Progress::NotAdmitted(permit);
                return Err(stop);
            }
            match admit::admit(permit, session, &route, ctx, runtime).await {
                Ok(admitted) => ctx.progress = Progress::Admitted(admitted),
                Err((permit, stop)) => {
                    ctx.progress = Progress::NotAdmitted(permit);
                    return Err(stop);
                }
            }
        }
    }
    Ok(())
}
