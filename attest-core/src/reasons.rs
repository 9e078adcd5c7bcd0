//! Why an appraisal ended as it did: a set of flags that fits the support code ([`crate::token::arc`]).

use std::fmt;

/// The reasons against an app, 48 flags of which the low ones are named.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reasons(u64);

macro_rules! reasons {
    ($($bit:literal $constant:ident $name:literal: $doc:literal;)*) => {
        impl Reasons {
            $(#[doc = $doc] pub const $constant: Self = Self(1 << $bit);)*

            const NAMES: &'static [(u64, &'static str)] = &[$((1 << $bit, $name)),*];
        }
    };
}

// A number is never given to another meaning: codes read out years later must still be right.
reasons! {
    0 UNKNOWN_APP "unknown_app": "No app of this name is registered.";
    1 UNKNOWN_BUILD "unknown_build": "No build with this version, platform and label is registered.";
    2 RETIRED_BUILD "retired_build": "The build was retired.";
    3 VERSION_MISMATCH "version_mismatch": "The measurement is that of another registered version.";
    4 MEASUREMENT_MISMATCH "measurement_mismatch": "The measurement is that of no registered build.";
    5 MEASUREMENT_MISSING "measurement_missing": "No measurement came, and the build is known by one.";
    6 REQUIRED_KIND_MISSING "required_kind_missing": "A kind of Evidence that must be there is absent or did not hold.";
    7 BAD_DEVICE_SIGNATURE "bad_device_signature": "The device key did not sign the transcript.";
    8 EVIDENCE_MALFORMED "evidence_malformed": "A piece of Evidence could not be read.";
    9 EVIDENCE_NOT_BOUND "evidence_not_bound": "A piece of Evidence was made for another transcript.";
    10 TRACER "tracer": "A debugger or tracer was attached.";
    11 INJECTED_LIBRARY "injected_library": "A library that does not belong was loaded.";
    12 EMULATOR "emulator": "It runs in an emulator.";
    13 ROOT "root": "The device is rooted.";
    14 OTHER_FINDING "other_finding": "The app reported something that this service has no name for.";
    15 BANNED "banned": "The device is banned.";
    16 FORCED_FAIL "forced_fail": "An operator made this device fail.";
    17 FORCED_PASS "forced_pass": "An operator made this device pass.";
    18 BELOW_MIN_VERSION "below_min_version": "The version is older than the app's oldest good one.";
    19 REPACKAGED "repackaged": "The app was packed or signed by somebody else.";
    20 ENROLLED_DEV "enrolled_dev": "The device is enrolled for development and passes whatever its build.";
    21 KIND_NOT_ACCEPTED "kind_not_accepted": "A kind of Evidence came that does not count for this app.";
}

impl Reasons {
    /// Nothing against it.
    pub const NONE: Self = Self(0);

    /// The set whose low 48 bits these are; higher ones are dropped.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << 48) - 1))
    }

    /// The low 48 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// This set and `other`, when `condition` holds; without a branch on it.
    #[must_use]
    pub const fn and_if(self, condition: bool, other: Self) -> Self {
        Self(self.0 | (other.0 * condition as u64))
    }

    /// Names of the known flags in it, from the lowest bit. Flags of a newer version have no name.
    pub fn iter_names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, name)| *name)
    }
}

impl std::ops::BitOr for Reasons {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter_names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_bit_of_its_own_below_48() {
        let mut seen = 0_u64;
        for (bit, name) in Reasons::NAMES {
            assert!(bit.is_power_of_two() && *bit < 1 << 48 && seen & bit == 0, "{name}");
            seen |= bit;
        }
    }

    #[test]
    fn high_bits_are_dropped_and_unknown_ones_kept_without_a_name() {
        let set = Reasons::from_bits(u64::MAX);
        assert_eq!(set.bits(), (1 << 48) - 1);
        assert_eq!(set.iter_names().count(), Reasons::NAMES.len());
        assert_eq!((Reasons::TRACER | Reasons::ROOT).iter_names().collect::<Vec<_>>(), ["tracer", "root"]);
        assert_eq!(Reasons::NONE.and_if(false, Reasons::ROOT), Reasons::NONE);
        assert_eq!(Reasons::NONE.and_if(true, Reasons::ROOT), Reasons::ROOT);
    }
}
