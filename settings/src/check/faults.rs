//! `our_faults:` checked: the file's own, and each route's with its overrides.

use std::time::Duration;

use policies::yaml::Place;

use super::{Check, secs};
use crate::{
    file::routes::{CannotVerifyWord, RawOurFaults},
    model::{CannotVerify, OurFaults},
    shape::Fault,
};

/// What a route is, as far as faults go.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// It has a key.
    pub(crate) injects: bool,
    /// It takes our own tokens.
    pub(crate) own_tokens: bool,
}

impl Check<'_, '_> {
    /// The file's own rows.
    pub(crate) fn our_faults(&self, raw: &RawOurFaults) -> OurFaults {
        self.rows(raw, OurFaults::default())
    }

    /// The rows of one route, and whether an expired token may still have the key there.
    ///
    /// On a route with a key, what the file says for all routes never opens anything: `deprioritize` and `accept_expired` count
    /// there only where the route itself says so (the first never).
    pub(crate) fn route_faults(
        &self,
        raw: Option<(&RawOurFaults, Place)>,
        mut base: OurFaults,
        scope: Scope,
    ) -> (OurFaults, bool) {
        if scope.injects {
            base.cannot_verify = CannotVerify::Refuse;
        }
        if scope.injects || !scope.own_tokens {
            base.accept_expired = None;
        }
        let Some((raw, _)) = raw else { return (base, false) };
        if let (true, Some((CannotVerifyWord::Deprioritize, at))) = (scope.injects, raw.cannot_verify.good()) {
            let fault = Fault::new("a request that can't be verified never has the key: this route refuses it");
            self.refuse(at, "open_key_route", fault.hint("take the line out"));
        }
        if let (false, Some(at)) = (scope.own_tokens, raw.service_down.at) {
            let fault = Fault::new(
                "only our own tokens can be accepted past their life, and this route takes another issuer's",
            );
            self.refuse(at, "not_our_tokens", fault.hint("take the line out"));
        }
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
        OurFaults { cannot_verify, accept_expired, keys_stale }
    }
}

const DAY: Duration = Duration::from_secs(86_400);
