//! `our_faults:` checked: the file's own, and each route's with its overrides.

use std::time::Duration;

use policies::yaml::Place;

use super::{Check, secs};
use crate::{
    file::routes::{CannotVerifyWord, RawOurFaults, RawRevocations, SharedDownWord},
    file::units::spell,
    model::{CannotVerify, OurFaults, SharedStateDown},
    shape::Fault,
};

/// What a route is, as far as faults go.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// It has a key.
    pub(crate) injects: bool,
    /// It takes our own tokens.
    pub(crate) own_tokens: bool,
    /// There is state that several machines share.
    pub(crate) shared_state: bool,
}

impl Check<'_, '_> {
    /// The file's own rows.
    pub(crate) fn our_faults(&self, raw: &RawOurFaults, shared_state: bool) -> OurFaults {
        self.refuse_unshared(raw, shared_state);
        self.rows(raw, OurFaults::default())
    }

    /// The rows of one route, and whether an expired token may still have the key there.
    ///
    /// On a route with a key, what the file says for all routes never opens anything: `deprioritize` and `accept_expired` count
    /// there only where the route itself says so (the first never), and so do `count_locally` and revocations of long ago.
    pub(crate) fn route_faults(
        &self,
        raw: Option<(&RawOurFaults, Place)>,
        mut base: OurFaults,
        scope: Scope,
    ) -> (OurFaults, bool) {
        if scope.injects {
            base.cannot_verify = CannotVerify::Refuse;
            base.shared_state_down = SharedStateDown::Refuse;
            base.revocations_stale = base.revocations_stale.min(STALE_WITH_KEY);
            base.revocations_alert = base.revocations_alert.min(base.revocations_stale);
        }
        if scope.injects || !scope.own_tokens {
            base.accept_expired = None;
        }
        let Some((raw, _)) = raw else { return (base, false) };
        if let (true, Some((CannotVerifyWord::Deprioritize, at))) = (scope.injects, raw.cannot_verify.good()) {
            let fault = Fault::new("a request that can't be verified never has the key: this route refuses it");
            self.refuse(at, "open_key_route", fault.hint("take the line out"));
        }
        for (at, what) in [
            (raw.service_down.at, "only our own tokens can be accepted past their life"),
            (raw.revocations.at, "only our own tokens can be revoked"),
        ] {
            if let (false, Some(at)) = (scope.own_tokens, at) {
                let fault = Fault::new(format!("{what}, and this route takes another issuer's"));
                self.refuse(at, "not_our_tokens", fault.hint("take the line out"));
            }
        }
        self.refuse_unshared(raw, scope.shared_state);
        let faults = self.rows(raw, base);
        (faults, scope.injects && !raw.service_down.is_absent() && faults.accept_expired.is_some())
    }

    fn rows(&self, raw: &RawOurFaults, base: OurFaults) -> OurFaults {
        let cannot_verify = match raw.cannot_verify.value {
            Some(CannotVerifyWord::Refuse) => CannotVerify::Refuse,
            Some(CannotVerifyWord::Deprioritize) => CannotVerify::Deprioritize,
            None => base.cannot_verify,
        };
        let accept_expired = match raw.service_down.good() {
            Some((down, at)) => self
                .need(&down.accept_expired, at, "accept_expired", "30m")
                .map(|_| self.span(&down.accept_expired, "accept_expired", (secs(1), DAY), secs(1800))),
            None => base.accept_expired,
        };
        let keys_stale = match raw.key_sets.good() {
            Some((sets, at)) => {
                self.need(&sets.refuse_after, at, "refuse_after", "24h");
                self.span(&sets.refuse_after, "refuse_after", (secs(60), 30 * DAY), base.keys_stale)
            }
            None => base.keys_stale,
        };
        let (revocations_alert, revocations_stale) = match raw.revocations.good() {
            Some((revocations, at)) => self.revocations(revocations, at, &base),
            None => (base.revocations_alert, base.revocations_stale),
        };
        let shared_state_down = match raw.shared_state_down.value {
            Some(SharedDownWord::CountLocally) => SharedStateDown::CountLocally,
            Some(SharedDownWord::Refuse) => SharedStateDown::Refuse,
            None => base.shared_state_down,
        };
        OurFaults { cannot_verify, accept_expired, keys_stale, revocations_alert, revocations_stale, shared_state_down }
    }

    fn revocations(&self, raw: &RawRevocations, owner: Place, base: &OurFaults) -> (Duration, Duration) {
        if raw.alert_after.is_absent() && raw.refuse_after.is_absent() {
            let fault = Fault::new("`revocations` says neither `alert_after` nor `refuse_after`");
            self.refuse(owner, "does_nothing", fault.hint("write { refuse_after: 15m }, or take the line out"));
        }
        let stale = self.span(&raw.refuse_after, "refuse_after", (secs(60), 30 * DAY), base.revocations_stale);
        let alert = self.span(&raw.alert_after, "alert_after", (secs(10), DAY), base.revocations_alert.min(stale));
        if let (true, Some(at)) = (alert > stale, raw.alert_after.at) {
            let fault = Fault::new(format!("`alert_after` is later than `refuse_after`, which is {}", spell(stale)));
            self.refuse(at, "out_of_bounds", fault.hint("tell it before tokens are refused: write less"));
        }
        (alert.min(stale), stale)
    }

    fn refuse_unshared(&self, raw: &RawOurFaults, shared_state: bool) {
        if let (false, Some(at)) = (shared_state, raw.shared_state_down.at) {
            let fault = Fault::new("no state is shared between machines: limits are always counted by each gateway");
            self.refuse(
                at,
                "does_nothing",
                fault.hint("take the line out, or add state: { shared: { url: redis://… } }"),
            );
        }
    }
}

/// The oldest revocations on a route with a key, unless it says so itself.
const STALE_WITH_KEY: Duration = secs(900);

pub(super) const DAY: Duration = Duration::from_secs(86_400);
