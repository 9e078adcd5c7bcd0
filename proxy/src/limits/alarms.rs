//! A ceiling that is reached.
//!
//! In: that a request found no room under one. Out: a count of each, and one line of the log in each window, not one for
//! each request: somebody who presses against a ceiling must not fill the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use attest_core::time::UnixTime;

use super::headers::secs;
use crate::refusal::Limited;
use crate::route::Route;
use crate::runtime::Runtime;
use crate::telemetry::metrics::CeilingLabels;

/// What was told. Its names are those of a configuration, so there are few.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    told: Mutex<HashMap<Arc<str>, Vec<Told>>>,
}

/// Which window of a ceiling was told last.
#[derive(Debug)]
struct Told {
    ceiling: Box<str>,
    window: i64,
}

impl Alarms {
    /// Counts it; tells it, where it is the first of this window.
    pub(super) fn raise(&self, limited: &Limited, route: &Route, now: UnixTime, runtime: &Runtime) {
        // Only routes with a key have ceilings.
        let Some(key) = &route.key else { return };
        let Limited { name, quota, units, retry_after } = limited;
        let labels = CeilingLabels { route: route.name.clone(), key: key.name.clone(), ceiling: (&**name).into() };
        runtime.metrics.ceiling_reached.get_or_create(&labels).inc();
        if self.is_news(&route.name, name, quota.window_of(now)) {
            tracing::warn!(
                route = %route.name,
                key = %key.name,
                ceiling = %name,
                amount = quota.amount(),
                left = units,
                again_in_secs = secs(*retry_after),
                "a ceiling is reached: what needs more than is left of it gets 429 until the window ends"
            );
        }
    }

    fn is_news(&self, route: &Arc<str>, ceiling: &str, window: i64) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(route.clone()).or_default();
        match told.iter_mut().find(|told| &*told.ceiling == ceiling) {
            Some(told) => std::mem::replace(&mut told.window, window) != window,
            None => {
                told.push(Told { ceiling: ceiling.into(), window });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_of_each_ceiling_is_told_once() {
        let (alarms, chat, images) = (Alarms::default(), Arc::from("chat"), Arc::from("images"));
        let mut told = Vec::new();
        for (route, ceiling, window) in [
            (&chat, "ceiling.key.tokens", 7),
            (&chat, "ceiling.key.tokens", 7),
            (&chat, "ceiling.device.tokens", 7),
            (&images, "ceiling.key.tokens", 7),
            (&chat, "ceiling.key.tokens", 8),
            (&chat, "ceiling.key.tokens", 8),
        ] {
            told.push(alarms.is_news(route, ceiling, window));
        }
        assert_eq!(told, [true, false, true, true, true, false]);
    }
}
