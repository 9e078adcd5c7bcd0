//! Who may use an upstream now, who waits, who is turned away: seats, classes, queues, an adaptive limit.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]
