//! The pure heart of Assay: what is proven about an app, without sockets, async, logging or a clock of its own.
//!
//! Words are those of RFC 9334 (RATS), passport model. An attestation walks A to D, a request needs 3:
//!
//! | | module | comes in | goes out |
//! | --- | --- | --- | --- |
//! | A | [`challenge`] | nonce, epoch, key set, time | a [`challenge::Challenge`] any replica can check |
//! | B | [`envelope`], [`transcript`], [`device_key`] | bytes from the Attester | an attest request and its transcript T |
//! | | [`measurement`] | an ELF file, or its image in memory | a measurement, and its MAC over T |
//! | C | [`appraisal`], [`mod@reference`] | Evidence, Reference Values, policy | an Attestation Result, with [`reasons`] |
//! | D | [`token::issue`], [`token::asv`], [`token::arc`] | the result | the result token, a signed JWT |
//! | 3 | [`token::verify`] | token text, key set, expectations | a proof that names one [`verdict`] |
//!
//! Beside the walk: [`target`] (the one canonical request target), [`feed`] (key sets and revocations on their way to
//! gateways), [`revocations`] and [`orders`] (what they amount to there) and the plain tools [`json`], [`b64u`], [`time`], [`random`],
//! [`version`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod appraisal;
pub mod b64u;
pub mod challenge;
mod crypto;
pub mod device_key;
pub mod envelope;
pub mod evidence_kind;
pub mod feed;
pub mod json;
pub mod measurement;
pub mod orders;
pub mod random;
pub mod reasons;
pub mod reference;
pub mod revocations;
pub mod target;
pub mod tier;
pub mod time;
pub mod token;
pub mod transcript;
pub mod verdict;
pub mod version;

pub use crypto::install_crypto;
