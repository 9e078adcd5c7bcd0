//! The Verifier: issues challenges, appraises Evidence against registered builds, signs result tokens, and tells gateways
//! which keys to verify them with.
//!
//! An attestation meets the files in this order:
//!
//! | | file | what is proven after it |
//! | --- | --- | --- |
//! | | `listener`, `api`, `limits` | a whole request in time, within bounds, from a client within its rate |
//! | A | `challenge_store` | the challenge is ours, of this start, in time, and used by this request alone |
//! | B | `answer_cache` | this transcript has no answer yet; a repeated one gets the answer it had |
//! | C | `appraise`, `evidence_policies`, `store` | what the Evidence is worth against the builds registered |
//! | D | `signer`, `secrets` | a token that tells its bearer nothing about C |
//! | | `quantum`, `outcome` | the answer leaves at a step of the clock; what the outcome writes comes after |
//!
//! Beside the walk: `key_sets` (what gateways fetch), [`registry`] (what operators write), [`offline`] (what commands ask
//! of a state at rest), `refusal` (the one table from a fault to an answer), [`health`], `metrics`, and [`start()`], which
//! puts the parts together.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answer_cache;
mod api;
mod appraise;
mod challenge_store;
mod evidence_policies;
mod gateway_token;
pub mod health;
mod key_sets;
mod limits;
mod listener;
mod metrics;
mod network;
pub mod offline;
mod outcome;
mod quantum;
mod refusal;
pub mod registry;
mod secrets;
mod service;
mod service_settings;
mod signer;
pub mod start;
mod store;

pub use self::{
    gateway_token::GatewayTokenError,
    health::Health,
    listener::ListenError,
    registry::{Registered, Registry, RegistryError},
    secrets::SecretsError,
    service_settings::ServiceSettings,
    start::{Dependencies, ServiceHandle, StartError, start},
    store::StoreError,
};
