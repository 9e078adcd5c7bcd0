//! Who calls beside the app, and for which user: partners, webhooks, users' own tokens.
//!
//! In: a head, its connection, and on routes with webhooks perhaps a body. Out: an [`Identity`]. Nothing is refused here for
//! a credential that proves nothing: it is as if it had not come, and policy decides. A body is read only for a webhook
//! whose signature could be good, and before there is a seat to hold.

use attest_core::time::UnixTime;
use callers::Reason;
use callers::caller::{Answer, Proven};
use callers::user::Shows;
use pingora_proxy::Session;
use policies::User;

use super::super::extract::{self, Presented};
use crate::connection;
use crate::refusal::Stop;
use crate::route::Route;
use crate::runtime::Runtime;

/// Who calls, and for whom.
pub(crate) struct Identity {
    /// The caller, where one has proven itself.
    pub caller: Option<Proven>,
    /// Why what was shown proved no caller.
    pub no_caller: Option<Reason>,
    /// The user.
    pub user: Shows,
    /// Whether the body was read for it: its sender was told to go on.
    pub read_body: bool,
}

/// Looks at everything that the route knows callers and users by.
pub(crate) async fn identify(
    session: &mut Session,
    presented: &Presented,
    route: &Route,
    runtime: &Runtime,
    now: UnixTime,
) -> Result<Identity, Stop> {
    let since_1970 = std::time::Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0));
    let facts = connection::facts(session).cloned();
    let certificate = facts.as_ref().and_then(|facts| facts.certificate(since_1970));
    let answer = route.callers.prove(&session.req_header().headers, certificate, &runtime.jwts, now);
    let mut read_body = false;
    let (caller, no_caller) = match answer {
        Answer::Proven(proven) => (Some(proven), None),
        Answer::Nobody(why) => (None, why),
        // An app, with whatever headers: its body is its own business.
        Answer::Signed(_) if !matches!(presented, Presented::Nothing) => (None, Some("token_beside_signature")),
        Answer::Signed(mut signed) => {
            read_body = true;
            let length = extract::body_in(session, signed.max_body(), |piece| signed.update(piece)).await?;
            match signed.finish(length, &runtime.deliveries, now) {
                Ok(proven) => (Some(proven), None),
                Err(why) => (None, Some(why)),
            }
        }
    };
    let user = match &route.user {
        None => Shows::Nothing,
        Some(source) => {
            let used = caller.as_ref().and_then(Proven::credential);
            source.look(&session.req_header().headers, used, &runtime.jwts, now)
        }
    };
    Ok(Identity { caller, no_caller, user, read_body })
}

impl Identity {
    /// The caller's name.
    pub(crate) fn caller_name(&self) -> Option<&str> {
        self.caller.as_ref().map(Proven::name)
    }

    /// The user, as rules see one.
    pub(crate) fn user(&self) -> Option<User<'_>> {
        match &self.user {
            Shows::User(user) => Some(User { issuer: user.issuer(), subject: user.subject(), claims: user.claims() }),
            Shows::Nothing | Shows::NotGood { .. } => None,
        }
    }

    /// Why a request that policy lets through goes no further, on a route where everybody needs a user. A caller that is no
    /// app has none. Asked after policy, so that nobody without an app tries users' tokens here; and a token that is neither
    /// absent nor over is refused like everything that is.
    pub(crate) fn without_user(&self, route: &Route) -> Option<Stop> {
        if self.caller.is_some() || !route.user.as_ref().is_some_and(|user| user.required) {
            return None;
        }
        match &self.user {
            Shows::User(_) => None,
            Shows::Nothing | Shows::NotGood { exp_passed: true, .. } => Some(Stop::UserRequired),
            Shows::NotGood { exp_passed: false, .. } => Some(Stop::UserRefused),
        }
    }
}
