//! What was in force in earlier runs of this gateway: what a policy is held against that came with a restart.
//!
//! In: the generations and guards in the state folder. Out: the guard of a route at the start. A policy that came an hour before the
//! restart is still held against the one before it; where nothing was kept, against nothing.

use std::path::Path;
use std::sync::Arc;

use attest_core::time::UnixTime;
use policies::ResultPolicy;
use settings::{Overrides, RouteSettings, Settings};

use super::kept::KeptGuards;
use super::{RouteGuard, WATCHED};
use crate::last_good::LastGood;

/// Earlier generations, the newest first, and how guards stood.
#[derive(Default)]
pub(crate) struct Earlier {
    generations: Vec<(UnixTime, Settings)>,
    guards: Option<KeptGuards>,
}

impl Earlier {
    /// Of this state folder. `configuration`: where the file is, for relative names.
    pub(crate) fn load(state_dir: &Path, configuration: &Path, now: UnixTime) -> Self {
        // Only policies are of interest: what was there for a key of that time is not.
        let overrides = Overrides { fills_keystore: true, ..Overrides::default() };
        let mut generations = Vec::new();
        for kept in LastGood::of(state_dir).kept() {
            let old = now.since(kept.taken).is_some_and(|age| age > WATCHED);
            if let Ok(settings) = kept.load(configuration, &overrides) {
                generations.push((kept.taken, settings));
            }
            if old {
                // What came later is held against this one; nothing asks for what was before it.
                break;
            }
        }
        Self { generations, guards: Some(KeptGuards::load(state_dir)) }
    }

    /// The guard of a route that runs now.
    pub(crate) fn guard(&self, route: &RouteSettings, now: UnixTime) -> Arc<RouteGuard> {
        let digest = route.policy.digest();
        let mut since = now;
        let mut before: Option<Arc<ResultPolicy>> = None;
        for (taken, settings) in &self.generations {
            let Some(old) = settings.route(&route.name) else { break };
            if old.policy.digest() != digest {
                before = Some(old.policy.clone());
                break;
            }
            since = *taken;
        }
        let state = self.guards.as_ref().and_then(|guards| guards.of(&route.name, &digest));
        RouteGuard::resumed(route.guard, &route.policy, before, since, state)
    }
}
