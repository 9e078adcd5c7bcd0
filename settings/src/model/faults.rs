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
    /// `revocations.alert_after`: revocations older than this are told. Never more than `revocations_stale`. Default 5 min.
    pub revocations_alert: Duration,
    /// `revocations.refuse_after`: with revocations older than this our own tokens are not taken. Default 24 h; on a route
    /// with a key at most 15 min, unless that route itself names it.
    pub revocations_stale: Duration,
    /// The state that several machines share is away. Default count locally; on a route with a key refuse, unless that
    /// route itself names it.
    pub shared_state_down: SharedStateDown,
}

impl Default for OurFaults {
    fn default() -> Self {
        Self {
            cannot_verify: CannotVerify::Refuse,
            accept_expired: None,
            keys_stale: Duration::from_secs(24 * 3600),
            revocations_alert: Duration::from_secs(300),
            revocations_stale: Duration::from_secs(24 * 3600),
            shared_state_down: SharedStateDown::CountLocally,
        }
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

/// What happens to limits while the state that several machines share is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedStateDown {
    /// Each gateway counts for itself: with n gateways a limit lets up to n times as much through.
    CountLocally,
    /// 503 with Retry-After where a limit would be counted.
    Refuse,
}
