//! Writes down what has to outlive the process, beside the requests.
//!
//! In: what runs and what was counted. Out: files of the state folder: twice a second what is new of generations and guards, once a minute
//! observations and devices, and all of it at the end. Of several generations between two looks the newest is kept. What
//! can't be written is told, counted and tried again; nothing waits for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::generation::Generation;
use crate::guard::{State, kept};
use crate::last_good::LastGood;
use crate::runtime::Runtime;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What was written last.
#[derive(Default)]
pub(crate) struct Keeper {
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    generation: u64,
    guards: Vec<(Arc<str>, [u8; 32], State)>,
}

impl Keeper {
    /// Writes what is new. Blocks.
    pub(crate) fn keep(&self, runtime: &Runtime) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = runtime.generation.load_full();
        let state_dir = &generation.settings.state.dir;
        if written.generation != generation.number {
            let kept = LastGood::of(state_dir).keep(&generation.settings.bundle, generation.taken);
            if kept.is_ok() {
                written.generation = generation.number;
            }
            runtime.metrics.count_write("generation", kept.map(|_| ()));
        }
        let guards = guards(&generation);
        if written.guards != guards {
            let all = generation.routes.iter().map(|route| (&*route.name, &route.watch.guard));
            let saved = kept::save_guards(state_dir, all);
            if saved.is_ok() {
                written.guards = guards;
            }
            runtime.metrics.count_write("guards", saved);
        }
    }

    /// Writes what was counted, too.
    pub(crate) fn save(&self, runtime: &Runtime) {
        self.keep(runtime);
        runtime.metrics.count_write("observations", runtime.observed.save(runtime.clock.now()));
    }
}

/// All that do not just watch.
fn guards(generation: &Generation) -> Vec<(Arc<str>, [u8; 32], State)> {
    let all = generation.routes.iter().map(|route| (&route.name, &route.watch.guard));
    all.filter(|(_, guard)| guard.state() != State::Watching)
        .map(|(name, guard)| (name.clone(), *guard.digest(), guard.state()))
        .collect()
}

/// Writes until the process ends.
pub(crate) async fn keep(keeper: Arc<Keeper>, runtime: Weak<Runtime>) {
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(runtime) = runtime.upgrade() else { return };
        looks = looks.wrapping_add(1);
        let whole = looks.is_multiple_of(u32::try_from(SAVE_EVERY.as_millis() / LOOK_EVERY.as_millis()).unwrap_or(1));
        let (keeper, writing) = (keeper.clone(), runtime.clone());
        let done = tokio::task::spawn_blocking(move || match whole {
            true => keeper.save(&writing),
            false => keeper.keep(&writing),
        });
        if let Err(why) = done.await {
            runtime.metrics.count_write("any", Err(io::Error::other(why)));
        }
    }
}
