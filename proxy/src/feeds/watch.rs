//! Says aloud when what was revoked reaches this gateway too late for a route.
//!
//! In come the age of the list and what each route says about it; out goes one line in the log when a route's alarm goes
//! off, one when it begins to refuse, one when it is over. Requests are not watched: each judges the age for itself.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use settings::OurFaults;
use tokio::time::sleep;

use crate::route::{Issuer, Route};
use crate::runtime::Runtime;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the age of the list means to one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Staleness {
    /// Nothing.
    #[default]
    Fine,
    /// Somebody should look: `revocations.alert_after`.
    Alert,
    /// Its tokens are not judged any more: `revocations.refuse_after`.
    Refused,
}

impl Staleness {
    /// What this age, `None` where nothing was ever heard, means where these faults are configured.
    pub(crate) fn of(age: Option<Duration>, faults: &OurFaults) -> Self {
        match age {
            Some(age) if age <= faults.revocations_alert.min(faults.revocations_stale) => Self::Fine,
            Some(age) if age <= faults.revocations_stale => Self::Alert,
            Some(_) | None => Self::Refused,
        }
    }

    /// What it means to a route now; other issuers' tokens are held against no list.
    pub(crate) fn at(route: &Route, steady: Duration) -> Self {
        match &route.issuer {
            Issuer::Own { feeds, .. } => Self::of(feeds.revocations.age(steady), &route.settings.our_faults),
            Issuer::Named { .. } => Self::Fine,
        }
    }
}

/// Looks until the process ends.
pub(crate) async fn watch(runtime: Weak<Runtime>) {
    let mut told = Told::default();
    loop {
        sleep(LOOK_EVERY).await;
        let Some(runtime) = runtime.upgrade() else { return };
        let (generation, steady) = (runtime.generation.load(), runtime.clock.steady());
        let now = generation.routes.iter().map(|route| (route.name.clone(), Staleness::at(route, steady)));
        told.changes(now).tell();
    }
}

/// What was said of each route last.
#[derive(Debug, Default)]
struct Told(HashMap<Arc<str>, Staleness>);

/// Routes of which something new is to be said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    fine: Vec<Arc<str>>,
    alert: Vec<Arc<str>>,
    refused: Vec<Arc<str>>,
}

impl Told {
    fn changes(&mut self, now: impl Iterator<Item = (Arc<str>, Staleness)>) -> Changes {
        let now: HashMap<_, _> = now.collect();
        let mut changes = Changes::default();
        for (route, staleness) in &now {
            if self.0.get(route).copied().unwrap_or_default() != *staleness {
                let list = match staleness {
                    Staleness::Fine => &mut changes.fine,
                    Staleness::Alert => &mut changes.alert,
                    Staleness::Refused => &mut changes.refused,
                };
                list.push(route.clone());
            }
        }
        self.0 = now;
        changes
    }
}

impl Changes {
    fn tell(&self) {
        let Self { fine, alert, refused } = self;
        if let Some(one) = refused.first() {
            tracing::error!(
                routes = refused.len(), route = %one,
                "what was revoked is not known well enough: tokens are refused as unverifiable (503)"
            );
        }
        if let Some(one) = alert.first() {
            tracing::warn!(
                routes = alert.len(), route = %one,
                "what was revoked has not been heard of for longer than revocations.alert_after"
            );
        }
        if let Some(one) = fine.first() {
            tracing::info!(routes = fine.len(), route = %one, "what was revoked is known again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_alarm_goes_off_before_the_route_closes_and_never_after() {
        let faults =
            OurFaults { revocations_alert: 5 * MINUTE, revocations_stale: 15 * MINUTE, ..OurFaults::default() };
        let at = |age| Staleness::of(Some(age), &faults);
        assert_eq!(at(5 * MINUTE), Staleness::Fine);
        assert_eq!(at(5 * MINUTE + Duration::from_millis(1)), Staleness::Alert);
        assert_eq!(at(15 * MINUTE), Staleness::Alert);
        assert_eq!(at(15 * MINUTE + Duration::from_millis(1)), Staleness::Refused);
        assert_eq!(Staleness::of(None, &faults), Staleness::Refused, "never heard is no age at all");
        let hasty = OurFaults { revocations_stale: MINUTE, ..faults };
        assert_eq!(Staleness::of(Some(2 * MINUTE), &hasty), Staleness::Refused);
    }

    #[test]
    fn each_change_is_told_once_by_route() {
        let mut told = Told::default();
        let mut look = |paid, own| told.changes([("paid".into(), paid), ("own".into(), own)].into_iter());
        assert_eq!(look(Staleness::Fine, Staleness::Fine), Changes::default());
        let alert = look(Staleness::Alert, Staleness::Fine);
        assert_eq!(alert, Changes { alert: vec!["paid".into()], ..Changes::default() });
        assert_eq!(look(Staleness::Alert, Staleness::Fine), Changes::default());
        let refused = look(Staleness::Refused, Staleness::Fine);
        assert_eq!(refused, Changes { refused: vec!["paid".into()], ..Changes::default() });
        assert_eq!(look(Staleness::Fine, Staleness::Fine), Changes { fine: vec!["paid".into()], ..Changes::default() });
    }
}
