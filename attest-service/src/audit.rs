//! In: the store's audit chains. Out: one signed line to the log every minute, and at the end. What is proven by them: what
//! the chains were at that time, to whoever keeps the log elsewhere; entries that are changed, dropped or cut off later
//! no longer fit (`assay audit verify`).

use std::time::Duration;

use attest_store::Store;
use tokio::{sync::watch, task, time::interval};
use tracing::dispatcher::{self, Dispatch};

/// Time between two checkpoints.
const EVERY: Duration = Duration::from_secs(60);

/// Writes a checkpoint every minute until `stop` changes or its sender is gone.
pub(crate) async fn checkpoints(store: Store, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        let (store, log) = (store.clone(), dispatcher::get_default(Dispatch::clone));
        let _ = task::spawn_blocking(move || dispatcher::with_default(&log, || checkpoint(&store))).await;
    }
}

/// Writes one checkpoint to the log. Blocks on the database.
pub(crate) fn checkpoint(store: &Store) {
    match store.checkpoint() {
        Ok(checkpoint) => {
            // One line that `assay audit verify` reads back.
            let checkpoint = serde_json::to_string(&checkpoint).unwrap_or_default();
            tracing::info!(target: "assay::audit", checkpoint, "audit checkpoint");
        }
        Err(error) => tracing::warn!(target: "assay::audit", %error, "no audit checkpoint could be made"),
    }
}
