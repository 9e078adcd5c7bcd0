//! How much of what a rule lets through: declared here, counted by the gateway.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// So much in a window, counted for each of something. Past it the answer is 429, never the next rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Unique in its policy and the same after a reload, so that counts survive one. `RULE.1`, `RULE.2`… where the file gives none.
    pub name: Box<str>,
    /// How much in a window. Of requests at most [`u32::MAX`], of bytes and tokens at most 2^53.
    pub amount: NonZeroU64,
    /// Of what.
    pub unit: Unit,
    /// Counted for each of these.
    pub per: Per,
    /// From one second to 31 days. With [`Count::Fixed`] it divides a day, or is a number of whole days: windows begin at
    /// multiples of it since 1970-01-01T00:00:00Z.
    pub window: Duration,
    /// With [`Count::Sliding`]: how many may come at once, at most `amount`. Absent: `amount`.
    pub burst: Option<NonZeroU32>,
    /// How it is counted.
    pub count: Count,
    /// What one request takes before it is known what it uses: 1 for requests; never 0, never over `amount`.
    pub reserve: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Bytes of bodies, of request and response together.
    Bytes,
    /// Tokens of a language model, as the upstream's `usage` tells them.
    Tokens,
}

impl Unit {
    /// The word, as it stands in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }
}

/// How it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// Evenly: what was used flows back over the window (GCRA).
    Sliding,
    /// A budget for each whole window in UTC, right to the unit.
    Fixed,
}

impl Count {
    /// The word, as it stands in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Fixed => "fixed",
        }
    }
}

/// What a limit is counted for, on this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// Each device; only in rules whose verdicts prove one. Tokens of issuers that name no device: their address.
    Device,
    /// Each client address (IPv6: each /64).
    Address,
    /// Each user; only in rules that ask for one.
    User,
    /// Each caller that is not an app; only in rules that ask for one.
    Caller,
    /// Each app; only in rules whose verdicts prove one.
    App,
    /// All requests of this route together.
    Route,
    /// Each token, by its `jti`; only in rules whose verdicts prove one.
    Token,
    /// All that is done with the key of the route, on whatever route it is done.
    Key,
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
            Self::User => "user",
            Self::Caller => "caller",
            Self::App => "app",
            Self::Route => "route",
            Self::Token => "token",
            Self::Key => "key",
            Self::All => "all",
        }
    }

    /// Whether many clients draw on the same count.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Route | Self::Key | Self::All)
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
