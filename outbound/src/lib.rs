//! Calls that leave the house with something secret in them, and nowhere else than where they are meant to go.
//!
//! | file | in | out |
//! | --- | --- | --- |
//! | [`address`] | an address, as a resolver gave it | that it may be dialled, or why not |
//! | [`resolve`] | a name | addresses; behind a trait, so that tests change the answer between two questions |
//! | [`place`] | a URL of the configuration | scheme, host, port and the path, each once and checked |
//! | [`dial`] | a place and what may be dialled for it | a connection to an address that was checked, under the place's own name |
//! | [`tls`] | public roots, or a file of them | what a certificate has to chain to; verification can't be off |
//! | [`client`] | one request, one deadline | one answer of a bounded size; no redirect, no proxy, no cookie |
//! | [`minted`] | how to get a credential that expires | the one that is good now, fetched once however many ask |
//!
//! Feeds, token endpoints of OAuth2 and JWT recipes, Vault and KMS call through here. Upstreams are dialled by Pingora,
//! which takes its addresses from [`dial::Dialer::addresses`].
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")
)]

pub mod address;
pub mod client;
pub mod dial;
pub mod minted;
pub mod place;
pub mod resolve;
pub mod tls;

pub use address::{AddressRules, Forbidden};
pub use client::{Client, Request, Response, SendError};
pub use dial::{DialError, Dialer};
pub use minted::{Fresh, MintError, Minted};
pub use place::{Place, PlaceError, Url};
pub use resolve::{Resolve, SystemResolver};
pub use tls::{Tls, TlsError};
