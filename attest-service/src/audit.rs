//! In: the store's audit chains. Out: a signed line to the log for this service's own chain every minute and at the end, and
//! one for each other writer's chain that has grown: commands have no log of their own. What is proven by them: what the
//! chains were at that time, to whoever keeps the log elsewhere; entries that are changed, dropped or cut off later no
//! longer fit (`assay audit verify`).

use std::{collections::HashMap, time::Duration};

use attest_store::{SignedCheckpoint, Store, StoreError};
use tokio::{sync::watch, task, time::interval};
use tracing::dispatcher::{self, Dispatch};

/// Time between two checkpoints.
const EVERY: Duration = Duration::from_secs(60);

/// Writes a checkpoint every minute until `stop` changes or its sender is gone.
pub(crate) async fn checkpoints(store: Store, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        let (store, log) = (store.clone(), dispatcher::get_default(Dispatch::clone));
        let written = task::spawn_blocking(move || {
            dispatcher::with_default(&log, || checkpoint(&store, &mut told));
            told
        });
        // After a panic all are told anew.
        told = written.await.unwrap_or_default();
    }
}

/// How many entries each other writer's chain had when it was last told. A row for each writer in the database.
pub(crate) type Told = HashMap<String, u64>;

/// Writes checkpoints to the log: of this service's chain, and of others that are not as they were `told`. Blocks on the
/// database.
pub(crate) fn checkpoint(store: &Store, told: &mut Told) {
    let failed =
        |error: StoreError| tracing::warn!(target: "assay::audit", %error, "no audit checkpoint could be made");
    match store.checkpoint() {
        Ok(own) => tell(&own),
        Err(error) => failed(error),
    }
    match store.checkpoints_of_others() {
        Ok(others) => {
            for signed in others {
                let said = &signed.checkpoint;
                if told.insert(said.writer.clone(), said.count) != Some(said.count) {
                    tell(&signed);
                }
            }
        }
        Err(error) => failed(error),
    }
}

/// One line that `assay audit verify` reads back.
fn tell(signed: &SignedCheckpoint) {
    let checkpoint = serde_json::to_string(signed).unwrap_or_default();
    tracing::info!(target: "assay::audit", checkpoint, "audit checkpoint");
}
