//! What a rule may do, and how urgent what it lets through is.

use std::fmt;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let through.
    Allow,
    /// Let through when there is capacity to spare.
    Deprioritize,
    /// Refused.
    Block,
}

impl Action {
    /// The word, as it stands in policies, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deprioritize => "deprioritize",
            Self::Block => "block",
        }
    }

    /// From refused (0) to let through (2): how well a request fares.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Block => 0,
            Self::Deprioritize => 1,
            Self::Allow => 2,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How urgent a request is when capacity is short; the greater goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// No token vouches for it.
    Unattested,
    /// Something vouches for it, and not enough.
    Partial,
    /// A genuine app.
    Attested,
    /// Before all others; only where a rule says so.
    Critical,
}

impl Class {
    /// All, from the least urgent.
    pub const ALL: [Self; 4] = [Self::Unattested, Self::Partial, Self::Attested, Self::Critical];

    /// The word, as it stands in policies, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unattested => "unattested",
            Self::Partial => "partial",
            Self::Attested => "attested",
            Self::Critical => "critical",
        }
    }

    /// The class of a request whose rule names none.
    ///
    /// What is not attested never gets `attested` or `critical` unless a rule writes it.
    pub(crate) const fn by_default(action: Action, attested: bool) -> Self {
        match (action, attested) {
            (Action::Allow, true) => Self::Attested,
            (Action::Allow, false) | (Action::Deprioritize, true) => Self::Partial,
            (Action::Deprioritize, false) | (Action::Block, _) => Self::Unattested,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
