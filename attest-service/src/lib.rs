//! The Verifier: issues challenges, appraises Evidence against registered builds, signs result tokens, and tells gateways
//! which keys to verify them with.
//!
//! An attestation meets the files in this order:
//!
//! | | file | what is proven after it |
//! | --- | --- | --- |
//! | | `listener`, `api`, `limits`, `steadiness` | a whole request in time, within bounds, from a client within its rate; the clock can date an answer |
//! | A | `challenges` | the challenge is ours, of this epoch, in time, and used by this request alone, at all replicas |
//! | | `device_ages` | how long the device is known, as far as that is found in time; before the challenge is used |
//! | B | `answer_cache` | this transcript has no answer yet; a repeated one gets the answer it had |
//! | C | `appraise`, `evidence_policies` | what the Evidence is worth against the builds registered |
//! | D | `attest-store`'s issuer | a token that tells its bearer nothing about C |
//! | | `quantum`, `outcome` | the answer leaves at a step of the clock; what the outcome writes comes after |
//!
//! Builds, devices, keys and revocations are the durable state, and `attest-store`'s; this crate reads the snapshot that
//! it keeps. Beside the walk: `service/feeds` (what gateways fetch and tell), `admin` (where operators come in), `audit`
//! (checkpoints), `refusal` (the one table from a fault to an answer), [`health`], `metrics`, and [`start()`], which puts
//! the parts together.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod admin;
mod answer_cache;
mod api;
mod appraise;
mod audit;
mod challenges;
mod device_ages;
mod evidence_policies;
mod gateway_token;
mod handle;
pub mod health;
mod limits;
mod listener;
mod metrics;
mod network;
mod outcome;
mod quantum;
mod refusal;
mod service;
mod service_settings;
pub mod start;
mod steadiness;

pub use self::{
    gateway_token::GatewayTokenError,
    handle::ServiceHandle,
    health::Health,
    listener::ListenError,
    service_settings::{NeedsRestart, ServiceSettings},
    start::{Dependencies, StartError, start},
};
