//! From a name to addresses that may be dialled, now and again later.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::sleep;

use super::Upstream;

/// Time between two resolutions of a name. The system's resolver keeps the records' own lifetimes.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Upstream {
    /// Resolves the name once. Nothing to do for a literal address.
    pub(crate) async fn resolve(&self) {
        if self.literal().is_some() {
            return;
        }
        match self.dialer.addresses(&self.settings.host, self.settings.port, &self.rules).await {
            Ok(usable) => self.use_addresses(&usable),
            Err(why) => {
                let problem = why.to_string();
                if self.resolved().problem.as_ref() != Some(&problem) {
                    tracing::warn!(upstream = %self.name, "{problem}");
                }
                self.note_problem(problem);
            }
        }
    }
}

/// Resolves again and again, for as long as the upstream is in use.
pub(crate) async fn keep_resolved(upstream: Weak<Upstream>) {
    loop {
        sleep(AGAIN_AFTER).await;
        let Some(upstream) = upstream.upgrade() else { return };
        upstream.resolve().await;
    }
}
