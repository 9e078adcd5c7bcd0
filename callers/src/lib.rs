//! Proof of those who call and are no app: partners, webhooks, and the users behind an app.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]
