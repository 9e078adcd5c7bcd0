//! A set of verdicts, one bit each.

use attest_core::verdict::Verdict;

/// A set of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Verdicts(u16);

impl Verdicts {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// All that a rule can see: everything but `unverifiable`.
    pub(crate) const ANY: Self = Self(((1 << Verdict::ALL.len()) - 1) & !(1 << Verdict::Unverifiable as u16));
    /// The group `invalid`.
    pub(crate) const INVALID: Self = Self(
        1 << Verdict::Malformed as u16
            | 1 << Verdict::UnknownKey as u16
            | 1 << Verdict::BadSignature as u16
            | 1 << Verdict::WrongIssuer as u16
            | 1 << Verdict::WrongAudience as u16
            | 1 << Verdict::BindingMismatch as u16
            | 1 << Verdict::ProofInvalid as u16
            | 1 << Verdict::Replayed as u16,
    );
    /// Those after which nothing in the token can be believed, because no signature was found genuine.
    pub(crate) const UNPROVEN: Self = Self(
        1 << Verdict::Missing as u16
            | 1 << Verdict::Malformed as u16
            | 1 << Verdict::Unverifiable as u16
            | 1 << Verdict::UnknownKey as u16
            | 1 << Verdict::BadSignature as u16,
    );

    /// Just this one.
    pub(crate) const fn one(verdict: Verdict) -> Self {
        Self(1 << verdict as u16)
    }

    pub(crate) const fn has(self, verdict: Verdict) -> bool {
        self.0 & (1 << verdict as u16) != 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Verdict> {
        Verdict::ALL.into_iter().filter(move |verdict| self.has(*verdict))
    }

    /// The words for it, groups before members: "`invalid` and `failed`".
    pub(crate) fn listed(self) -> String {
        if self == Self::ANY {
            return "`any`".to_owned();
        }
        let mut words = Vec::new();
        let mut rest = self;
        if Self::INVALID.without(self).is_empty() {
            words.push("invalid");
            rest = self.without(Self::INVALID);
        }
        words.extend(rest.iter().map(Verdict::as_str));
        crate::yaml::listed(&words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_one_of_the_core() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdicts::INVALID.has(verdict), verdict.is_invalid(), "{verdict}");
            assert_eq!(Verdicts::ANY.has(verdict), verdict != Verdict::Unverifiable, "{verdict}");
        }
    }

    #[test]
    fn is_told_in_the_words_of_the_language() {
        assert_eq!(Verdicts::ANY.listed(), "`any`");
        assert_eq!(Verdicts::INVALID.with(Verdicts::one(Verdict::Failed)).listed(), "`invalid` and `failed`");
    }
}
