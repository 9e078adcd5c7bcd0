//! `our_faults:` what happens when the fault is ours and not the client's.

use std::time::Duration;

/// One row each of the fail-safe matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurFaults {
    /// No usable key set: verdict `unverifiable`. Default refuse; always refuse on a route with a key.
    pub cannot_verify: CannotVerify,
    /// `service_down.accept_expired`: tokens that *we* issued live this much longer while none can be renewed.
    /// Absent: they do not. On a route with a key it is absent unless that route itself names it.
    pub accept_expired: Option<Duration>,
    /// `key_sets.refuse_after`: key sets older than this are not used. Default 24 h.
    pub keys_stale: Duration,
}

impl Default for OurFaults {
    fn default() -> Self {
        Self { cannot_verify: CannotVerify::Refuse, accept_expired: None, keys_stale: Duration::from_secs(24 * 3600) }
    }
}

/// The answer to a request that we cannot judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotVerify {
    /// 503 with Retry-After.
    Refuse,
    /// Let through at the lowest class; never on a route with a key.
    Deprioritize,
}
