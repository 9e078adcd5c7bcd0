//! The revocation document: what is no longer good although its token is, from the service to its gateways.
//!
//! In: a verified payload. Out: a [`RevocationDocument`] whose numbers rise and whose values have their form; what it
//! amounts to is [`crate::revocations`]. Entries form one log: each change has the next number, and a later entry about
//! the same thing replaces an earlier one. A gateway asks for what came after the number that it has.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::FeedError;
use super::orders::{self, Order};
use crate::device_key::DeviceId;
use crate::time::UnixTime;

/// The name and version of the format, with orders. A gateway that knows it says so when it asks
/// ([`FEED_FORMAT_HEADER`]); any other gets [`REVOCATIONS_FORMAT_1`].
pub const REVOCATIONS_FORMAT: &str = "assay-revocations-v2";

/// The format without orders, which says nothing about them.
pub const REVOCATIONS_FORMAT_1: &str = "assay-revocations-v1";

/// The request header by which a gateway says which version of the format it reads: `2`.
pub const FEED_FORMAT_HEADER: &str = "assay-feed-format";

/// Which format a gateway reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationFormat {
    /// [`REVOCATIONS_FORMAT_1`]: what a gateway of before orders gets, which would take no other.
    WithoutOrders,
    /// [`REVOCATIONS_FORMAT`].
    WithOrders,
}

impl RevocationFormat {
    /// What the value of [`FEED_FORMAT_HEADER`] asks for; without it, or with anything else, the older one.
    #[must_use]
    pub fn asked(header: Option<&[u8]>) -> Self {
        if header == Some(b"2") { Self::WithOrders } else { Self::WithoutOrders }
    }

    /// What a document of it says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WithoutOrders => REVOCATIONS_FORMAT_1,
            Self::WithOrders => REVOCATIONS_FORMAT,
        }
    }
}

/// Entries of one document at most: with the longest values it stays below [`super::MAX_DOCUMENT_BYTES`]. What does not
/// fit comes in the next one.
pub const MAX_REVOCATION_ENTRIES: usize = 7_168;

/// The same for [`REVOCATIONS_FORMAT_1`], which has no orders to leave room for.
const MAX_REVOCATION_ENTRIES_1: usize = 8_192;

/// How long a lifted entry stays in the log at least. A gateway that heard nothing for half as long reads the list from
/// its beginning: from changes alone it might never hear of what was lifted.
pub const LIFTED_STAYS: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest value of an entry, in bytes.
const MAX_VALUE_BYTES: usize = 256;

/// What was revoked, as far as the service has said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationDocument {
    /// [`REVOCATIONS_FORMAT`], or [`REVOCATIONS_FORMAT_1`].
    pub format: String,
    /// The last number that this document covers.
    pub number: u64,
    /// The last number that there is; beyond `number`, the gateway asks again at once.
    pub latest: u64,
    /// When it was made, in Unix seconds.
    pub issued: i64,
    /// It covers what came after this number; 0: it begins at the beginning, and lists only what still holds.
    pub from: u64,
    /// The entries, by rising number, at most [`MAX_REVOCATION_ENTRIES`].
    pub entries: Vec<RevocationEntry>,
    /// The orders in force as of `latest`, all of them, by rising number; absent in [`REVOCATIONS_FORMAT_1`], and
    /// nowhere else. Whatever changes them raises `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Vec<Order>>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationEntry {
    /// Its number; never used for another change.
    pub number: u64,
    /// What `value` names.
    pub kind: RevocationKind,
    /// `device`: a `did`. `app`: the name that tokens carry as `app`. `build`: the registry's number. `kid`: a key.
    /// `issued_before`: Unix seconds.
    pub value: String,
    /// Since when, in Unix seconds; for people, it decides nothing.
    pub since: i64,
    /// Until when, in Unix seconds; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Whether it was taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
}

/// What a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// One device.
    Device,
    /// Every token of an app that names it (claim `app`).
    App,
    /// Every token of a build.
    Build,
    /// Every token of a signing key.
    Kid,
    /// Every token issued before a moment.
    IssuedBefore,
}

impl RevocationKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Device, Self::App, Self::Build, Self::Kid, Self::IssuedBefore];

    /// The word in documents, stores and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::App => "app",
            Self::Build => "build",
            Self::Kid => "kid",
            Self::IssuedBefore => "issued_before",
        }
    }

    /// The stable code of a token refused for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Device => "device_revoked",
            Self::App => "app_revoked",
            Self::Build => "build_revoked",
            Self::Kid => "key_revoked",
            Self::IssuedBefore => "issued_before_revoked",
        }
    }

    /// Whether `value` has the form that this kind needs.
    #[must_use]
    pub fn takes(self, value: &str) -> bool {
        match self {
            Self::Device => value.parse::<DeviceId>().is_ok(),
            Self::App | Self::Kid => (1..=MAX_VALUE_BYTES).contains(&value.len()),
            Self::Build => value.parse::<u32>().is_ok_and(|number| number != 0 && number.to_string() == value),
            Self::IssuedBefore => value.parse::<i64>().is_ok_and(|secs| secs >= 0 && secs.to_string() == value),
        }
    }
}

impl fmt::Display for RevocationKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The word is no kind of revocation.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a kind of revocation: one of device, app, build, kid, issued_before")]
pub struct NotARevocationKind;

impl FromStr for RevocationKind {
    type Err = NotARevocationKind;

    fn from_str(word: &str) -> Result<Self, NotARevocationKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(NotARevocationKind)
    }
}

impl RevocationDocument {
    /// Parses a verified payload.
    ///
    /// # Errors
    /// [`FeedError::UnknownFormat`]; [`FeedError::NotADocument`], also for numbers that do not rise or lie outside
    /// `from..=number`, for too many entries, for a value that its kind does not take, and for an order out of bounds.
    pub fn parse(payload: &[u8]) -> Result<Self, FeedError> {
        let document: Self = serde_json::from_slice(payload).map_err(|_| FeedError::NotADocument)?;
        if document.most_entries().is_none() {
            return Err(FeedError::UnknownFormat);
        }
        if document.is_sound() { Ok(document) } else { Err(FeedError::NotADocument) }
    }

    fn is_sound(&self) -> bool {
        let mut last = self.from;
        let rising = self.entries.iter().all(|entry| {
            let rises = entry.number > last && entry.number <= self.number;
            last = entry.number;
            rises && entry.kind.takes(&entry.value)
        });
        let fits = self.most_entries().is_some_and(|most| self.entries.len() <= most);
        // A document that has to tell the orders tells them: one without is no other way to say that there are none.
        let ordered = match &self.orders {
            Some(orders) => self.format == REVOCATIONS_FORMAT && orders::are_sound(orders),
            None => self.format == REVOCATIONS_FORMAT_1,
        };
        rising && fits && ordered && self.from <= self.number && self.number <= self.latest
    }

    /// Entries that its format takes; none for a format that is not ours.
    fn most_entries(&self) -> Option<usize> {
        match self.format.as_str() {
            REVOCATIONS_FORMAT => Some(MAX_REVOCATION_ENTRIES),
            REVOCATIONS_FORMAT_1 => Some(MAX_REVOCATION_ENTRIES_1),
            _ => None,
        }
    }

    /// The payload to be signed.
    ///
    /// # Errors
    /// [`FeedError::NotADocument`] when gateways would not take it.
    pub fn to_payload(&self) -> Result<Zeroizing<Vec<u8>>, FeedError> {
        if !self.is_sound() {
            return Err(FeedError::NotADocument);
        }
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| FeedError::NotADocument)
    }

    /// When it was made.
    #[must_use]
    pub const fn issued(&self) -> UnixTime {
        UnixTime::from_secs(self.issued)
    }

    /// Whether there is nothing after it.
    #[must_use]
    pub const fn is_latest(&self) -> bool {
        self.number == self.latest
    }
}

#[cfg(test)]
mod tests;
