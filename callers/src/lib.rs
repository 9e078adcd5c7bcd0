//! Who calls, where it is no app: partners, webhooks, and the user behind an app.
//!
//! | module | comes in | goes out |
//! | --- | --- | --- |
//! | [`bearer`] | what a partner shows | whether its SHA-256 is one that was kept |
//! | [`certificate`] | a certificate whose chain the listener has verified | its hash and names, and whether they are a caller's |
//! | [`jwt`] | another issuer's token | what it says, once signature, issuer, audience and time hold |
//! | [`webhook`] | the head of a delivery, then its body | that somebody who holds the secret signed this body, lately |
//! | [`deliveries`] | a signed delivery | that it is not one that the API may have seen before |
//! | [`caller`] | a request and the callers of its route | at most one [`caller::Proven`], by name |
//! | [`user`] | a request and where its route looks for users | the user, proven, or why there is none |
//!
//! A proven caller is no attested app: the verdict on the token stays what it was, and policy decides by the name. Nothing
//! here opens sockets, reads a clock or logs; no credential is kept after its check, but the texts of users' tokens, which
//! the cache compares and wipes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod bearer;
pub mod caller;
pub mod certificate;
pub mod deliveries;
pub mod jwt;
pub mod place;
pub mod user;
pub mod webhook;

/// Why a credential proved nothing: a stable snake_case code for logs and metrics; never shown to the client.
pub type Reason = &'static str;
