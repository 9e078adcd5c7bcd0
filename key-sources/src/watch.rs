//! Whether a shared store has changed. In: a row, asked for its number every two seconds. Out: a wake-up for whoever
//! reloads; proven between: nothing. What was woken up opens the store, and that proves it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::postgres::{PostgresDocument, RowVersion};

/// How often the row is looked at.
pub const EVERY: Duration = Duration::from_secs(2);

/// After so long a change that was told and not taken is told again: what opens the store may have been away.
const AGAIN: Duration = Duration::from_secs(30);

/// Tells when a shared store has another document than the one that was opened last.
pub struct Watch {
    told: watch::Receiver<u64>,
    task: AbortHandle,
}

impl Watch {
    /// Returns when there is a document that was not told of yet and that nobody has opened. May be dropped at any time
    /// and called again. Once told, a change that nobody opens is told again after half a minute.
    pub async fn changed(&mut self) {
        if self.told.changed().await.is_err() {
            // The source is gone, and with it every change.
            std::future::pending::<()>().await;
        }
    }

    /// `taken`: the row that was opened last, if any was.
    pub(crate) fn start(
        document: PostgresDocument,
        taken: impl Fn() -> Option<RowVersion> + Send + 'static,
    ) -> Option<Self> {
        let (tell, told) = watch::channel(0);
        let handle = document.driver().handle().ok()?;
        let task = handle.spawn(async move {
            let mut last: Option<(RowVersion, tokio::time::Instant)> = None;
            let mut tick = tokio::time::interval(EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut is_away = false;
            loop {
                tick.tick().await;
                let version = document.version().await;
                if is_away != version.is_err() {
                    is_away = version.is_err();
                    match &version {
                        Err(why) => tracing::warn!(%why, "the key store's database is away: keys stay as they are, and changes are not seen"),
                        Ok(_) => tracing::info!("the key store's database is back"),
                    }
                }
                let Ok(Some(now)) = version else { continue };
                if taken().as_ref() == Some(&now) {
                    last = None;
                    continue;
                }
                let told_already =
                    last.as_ref().is_some_and(|(version, when)| *version == now && when.elapsed() < AGAIN);
                if !told_already {
                    last = Some((now, tokio::time::Instant::now()));
                    tell.send_modify(|count| *count += 1);
                }
            }
        });
        Some(Self { told, task: task.abort_handle() })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
