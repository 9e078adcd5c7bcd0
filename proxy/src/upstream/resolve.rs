//! From a name to addresses that may be dialled, now and again later.

use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use super::{Upstream, address};

/// Time between two resolutions of a name. The system's resolver keeps the records' own lifetimes.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Time for one resolution.
const PATIENCE: Duration = Duration::from_secs(5);
/// More addresses than this are not looked at.
const MOST_ADDRESSES: usize = 64;

impl Upstream {
    /// Resolves the name once. Nothing to do for a literal address.
    pub(crate) async fn resolve(&self) {
        if self.literal().is_some() {
            return;
        }
        let (host, port) = (&*self.settings.host, self.settings.port);
        match timeout(PATIENCE, lookup_host((host, port))).await {
            Ok(Ok(found)) => self.keep_what_may_be_dialled(found),
            Ok(Err(problem)) => self.note_problem(format!("{host}: {problem}")),
            Err(_elapsed) => self.note_problem(format!("{host}: no answer from the resolver")),
        }
    }

    fn keep_what_may_be_dialled(&self, found: impl Iterator<Item = SocketAddr>) {
        let mut usable = Vec::new();
        let mut refused = None;
        for found in found.take(MOST_ADDRESSES) {
            match address::check(found.ip(), &self.settings.private_addresses) {
                Ok(()) if usable.contains(&found) => {}
                Ok(()) => usable.push(found),
                Err(why) => refused = Some(format!("{}: {} can't be used: {why}", self.settings.host, found.ip())),
            }
        }
        if usable.is_empty() {
            let problem = refused.unwrap_or_else(|| format!("{}: no address", self.settings.host));
            if self.resolved().problem.as_ref() != Some(&problem) {
                tracing::warn!(upstream = %self.name, "{problem}");
            }
            self.note_problem(problem);
        } else {
            self.use_addresses(&usable);
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
