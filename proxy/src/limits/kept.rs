//! Budgets over a restart.
//!
//! In: the state folder. Out: what was spent before is spent. Written every few seconds while something is spent, and at
//! the end; a process that is killed forgets at most what was spent since. A file that can't be read gives nobody a second
//! budget: windows that are running then count as used up, and the log says how to go on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use attest_core::time::UnixTime;
use metering::file;
use tokio::time::sleep;

use super::Limits;
use crate::runtime::Runtime;
use crate::whole_file;

/// Between two looks at whether something was spent.
const EVERY: Duration = Duration::from_secs(2);
/// For settlements on their way to other machines' books when the process ends.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Where they are kept, in the state folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("budgets")
}

impl Limits {
    /// Takes over what was spent before this process began.
    pub(crate) fn restore(&self, path: &Path, now: UnixTime) {
        let restored = match whole_file::read(path, file::MOST_BYTES) {
            // A first start.
            Ok(None) => return,
            Ok(Some(bytes)) => file::restore(&self.ledger, &bytes, now).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        match restored {
            Ok(cells) => tracing::info!(cells, "budgets go on where they were"),
            Err(why) => {
                self.ledger.close_windows_of(now);
                tracing::error!(
                    path = %path.display(),
                    why,
                    "what was spent of budgets is not known: windows that run now count as used up. To begin with whole budgets, remove the file and start again"
                );
            }
        }
    }
}

/// Writes budgets down for as long as the process runs.
pub(crate) async fn keep(runtime: Weak<Runtime>, path: PathBuf) {
    loop {
        sleep(EVERY).await;
        let Some(runtime) = runtime.upgrade() else { return };
        if runtime.limits.ledger.take_changed() {
            save(runtime, path.clone()).await;
        }
    }
}

/// The last word: settlements are sent, and budgets written.
pub(crate) async fn finish(runtime: Arc<Runtime>, path: PathBuf) {
    if let Some(shared) = &runtime.shared {
        shared.finish(LAST_PATIENCE).await;
    }
    if runtime.limits.ledger.take_changed() {
        save(runtime, path).await;
    }
}

async fn save(runtime: Arc<Runtime>, path: PathBuf) {
    // Of a full ledger it is ten megabytes: no thread of requests writes them.
    let saving = tokio::task::spawn_blocking(move || {
        let ledger = &runtime.limits.ledger;
        let saved = whole_file::replace(&path, &file::print(ledger, runtime.clock.now()));
        if saved.is_err() {
            ledger.mark_changed();
        }
        runtime.metrics.count_write("budgets", saved);
    });
    // It is waited for, so that two never write at once; a panic in it was told where it happened.
    let _ = saving.await;
}
