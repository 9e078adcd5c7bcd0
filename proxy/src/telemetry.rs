//! Stage 10: what can be seen. Names equal those of the stages.
//!
//! In comes a request that is over; out go one line of JSON and a few counters. Neither waits: a full
//! log drops lines and counts them, and a counter is one atomic addition.

pub(crate) mod access_log;
pub(crate) mod metrics;
