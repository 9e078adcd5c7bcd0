//! The Attester's side of Assay: measure the running program, attest, keep a token fresh.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use attest_client::{Client, SoftwareKey};
//!
//! let client = Client::builder("https://attest.example.com/assay/v1", "shop", "3.2.0")
//!     .device_key(SoftwareKey::in_file("/var/lib/shop/device.key")?)
//!     .build()?;
//! let token = client.fetch_token().await?;
//! // Send it as the `Assay-Token` header of each request to your gateway; or let `client.stamp(&mut headers)` do it.
//! # let _ = token.as_str();
//! # Ok(())
//! # }
//! ```
//!
//! | module | comes in | goes out |
//! | --- | --- | --- |
//! | [`measure`] | this process's memory | the digest that registration computed from the file |
//! | [`findings()`] | this process's `/proc` | what looks wrong: a tracer, an injected library, ... |
//! | [`device_key`] | the transcript's hash | a signature by the installation's key |
//! | [`evidence`] | the transcript's hash | the platform's own Evidence, where the app hands in a provider |
//! | [`Client`], [`blocking::Client`] | who the app is | a [`Token`], or a [`FetchError`] with its [`Status`] |
//! | [`stamp`] | a request's headers | the same with a token in them; or the whole exchange, by the answers table |
//! | [`reaction`] | a gateway's answer | what to do next |
//!
//! Inside: `service` is the wire, `attester` makes the request, `fetch` walks challenge to token, `retry` bounds it,
//! `cache` lets many callers share one,
//! `provoked` bounds what gateways can make them ask. Nothing here panics, logs, or sets anything that is the process's own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod attester;
pub mod blocking;
mod cache;
mod client;
pub mod clock;
pub mod device_key;
pub mod evidence;
mod fetch;
mod findings;
pub mod measure;
mod procfs;
mod provoked;
pub mod reaction;
mod retry;
mod service;
pub mod stamp;
mod status;
mod token;

pub use attester::BadIdentity;
pub use client::{BuildError, Builder, Client};
pub use device_key::{DeviceKey, SoftwareKey};
pub use findings::{Finding, findings, findings_with_self_check};
pub use http;
pub use reaction::Reaction;
pub use retry::Retry;
pub use service::BadService;
pub use status::{FetchError, Status};
pub use token::Token;
