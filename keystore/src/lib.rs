//! Third-party API keys: sealed at rest, opened for one purpose, scrubbed on the way back.
//!
//! A secret comes in once (`assay key put`), is sealed together with the bounds it may be used in, and leaves only in a
//! request that lies inside those bounds, against the right that a decision hands out and the seat that admission does.
//! What the upstream answers passes the [`guard`].
//!
//! | step | file | proven after it |
//! | --- | --- | --- |
//! | where the wrapping key comes from is read | [`kek`] | a known provider, its parameters within bounds |
//! | the wrapping key is read | [`master_key`] | 32 bytes; a file is one that nobody else may read |
//! | a secret is taken in | [`api_key`] | 16 bytes to 8 KiB that its recipe can use, wiped when dropped |
//! | its bounds are stated | [`bounds`] | schemes, hosts, methods, paths, recipe, trust: none absent, none open-ended |
//! | both are sealed | [`sealed`] | a record whose bounds can't be changed without making it unusable |
//! | or sealed by somebody who can't read | [`pending`] | nothing, until it is accepted or an [`operator`] signed it |
//! | the document is read and written | [`document`], [`store`] | one whole generation: nothing altered, swapped, dropped or rolled back |
//! | a request is about to be sent | [`handle`] | it lies inside the bounds; only then what changes it |
//! | the answer comes back | [`guard`] | no form of the key that we know of is in it |
//!
//! [`envelope`] seals anything else under the same kind of key (the attestation service's own secrets). The format of the
//! document is described field by field in `docs/keystore-format.md`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod api_key;
mod atomic;
pub mod bounds;
mod crypto;
pub mod document;
pub mod envelope;
pub mod generation;
pub mod guard;
pub mod handle;
pub mod kek;
pub mod master_key;
pub mod operator;
pub mod pending;
mod recipient;
pub mod sealed;
pub mod store;
mod store_keys;

pub use api_key::{ApiKey, KeyName};
pub use bounds::{Bounds, BoundsText, OutgoingRequest, Recipe, Trust, UseDescription};
pub use document::{DocumentError, FileDocument, SealedDocument};
pub use generation::GenerationMemory;
pub use guard::Guard;
pub use handle::{KeyError, KeyHandle, Minter, OpenKey, VersionId};
pub use kek::{KekHeader, KekProvider};
pub use master_key::MasterKey;
pub use operator::{OperatorKey, OperatorPublicKey};
pub use pending::{PendingRecord, seal_to};
pub use recipient::PublicKey;
pub use store::{Editor, Keystore, StoreError};
