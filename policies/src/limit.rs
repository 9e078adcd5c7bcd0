//! How much of what a rule lets through: declared here, counted by the gateway.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// So many requests in a window, counted for each of something. Past it the answer is 429, never the next rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Unique in its policy and the same after a reload, so that counts survive one. `RULE.1`, `RULE.2`… where the file gives none.
    pub name: Box<str>,
    /// How many in a window.
    pub requests: NonZeroU32,
    /// Counted for each of these.
    pub per: Per,
    /// From one second to 31 days.
    pub window: Duration,
}

/// What a limit is counted for, on this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// Each device; only in rules whose verdicts prove one. Tokens of issuers that name no device: their address.
    Device,
    /// Each client address (IPv6: each /64).
    Address,
    /// Each app; only in rules whose verdicts prove one.
    App,
    /// All requests of this route together.
    Route,
    /// All requests of this gateway together that this limit is named for.
    All,
}

impl Per {
    /// The word, as it stands in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Address => "address",
            Self::App => "app",
            Self::Route => "route",
            Self::All => "all",
        }
    }

    /// Whether many clients draw on the same count.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Route | Self::All)
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
