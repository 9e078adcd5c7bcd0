//! Stage 10: what can be seen. Names equal those of the stages.
//!
//! In comes a request that is over; out go one line of JSON, a few counters and, of some, a trace. None
//! waits: a full log or queue drops and counts, and a counter is one atomic addition.

pub(crate) mod access_log;
pub(crate) mod key_audit;
pub(crate) mod metrics;
pub(crate) mod traces;
