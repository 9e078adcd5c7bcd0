//! Where the key-encryption key comes from, and where the sealed store is read and written.
//!
//! In come the settings of `keys:`. Out comes an opened [`keystore::Keystore`]; what is proven about it is proven by that
//! crate, from the same bytes, whatever they came from. Nothing here sees a third-party key.
//!
//! | file | what it knows |
//! | --- | --- |
//! | [`source`] | a store and what opens it, as one: open, look, edit, make, wrap anew |
//! | [`unlock`] | from settings and the store's own head to 32 bytes: file, passphrase, environment, systemd, Vault, AWS KMS |
//! | `postgres` | the sealed document as a row that many gateways share, replaced by compare and swap |
//! | `kept` | a copy of a shared store in the state folder, for when its server is away |
//! | [`watch`] | whether a shared store has changed, asked every two seconds |
//! | [`around`] | clock, randomness, environment and dialer, as arguments |
//!
//! Providers that ask a server are cargo features, `vault` and `aws-kms`; both are on by default. They are asked at start
//! and when the store's head changes, never for a request.
//!
//! Most calls here wait for a disk or a server; none needs more of the caller than that it is inside a tokio runtime.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod around;
mod error;
mod kept;
mod postgres;
mod private_file;
pub mod source;
pub mod unlock;
pub mod watch;

pub use around::Around;
pub use error::SourceError;
pub use source::{KeySource, Opened, open};
pub use unlock::UnlockError;
pub use watch::Watch;
