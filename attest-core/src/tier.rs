//! How much an appraisal vouches for (EAR's trustworthiness tiers).

use std::fmt;
use std::str::FromStr;

/// The trustworthiness tier of an appraisal.
///
/// # Source
/// draft-ietf-rats-ear, section 2 (`ear.status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Tier {
    /// Nothing was appraised, as with another issuer's token.
    #[default]
    None = 0,
    /// Reason to believe that it is not what it claims.
    Contraindicated = 1,
    /// Nothing against it, and not enough for it.
    Warning = 2,
    /// Vouched for.
    Affirming = 3,
}

impl Tier {
    /// All, from nothing known to vouched for.
    pub const ALL: [Self; 4] = [Self::None, Self::Contraindicated, Self::Warning, Self::Affirming];

    /// The word, as it stands in policies, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Contraindicated => "contraindicated",
            Self::Warning => "warning",
            Self::Affirming => "affirming",
        }
    }

    /// The tier with this number; `None` for a number that no tier has.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| *tier as u8 == number)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The word is no tier.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a tier: one of none, contraindicated, warning, affirming")]
pub struct NotATier;

impl FromStr for Tier {
    type Err = NotATier;

    fn from_str(word: &str) -> Result<Self, NotATier> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == word).ok_or(NotATier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_and_number_reads_back_and_no_other_does() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse(), Ok(tier));
            assert_eq!(Tier::from_number(tier as u8), Some(tier));
        }
        assert_eq!(Tier::from_number(4), None);
        assert_eq!("".parse::<Tier>(), Err(NotATier));
    }
}
