//! The kinds of Evidence, and sets of them.

use std::fmt;
use std::str::FromStr;

/// One kind of Evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// The running image measured in memory.
    Measurement,
    /// Apple App Attest, a fresh key.
    AppleAppAttest,
    /// Apple App Attest, an assertion by a key attested before.
    AppleAssertion,
    /// Google Play Integrity.
    PlayIntegrity,
    /// Android hardware key attestation.
    AndroidKey,
    /// The device key's signature over the transcript, renewing an `android-key`.
    DeviceKey,
}

impl EvidenceKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Measurement,
        Self::AppleAppAttest,
        Self::AppleAssertion,
        Self::PlayIntegrity,
        Self::AndroidKey,
        Self::DeviceKey,
    ];

    /// The name on the wire and in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measurement => "measurement",
            Self::AppleAppAttest => "apple-app-attest",
            Self::AppleAssertion => "apple-assertion",
            Self::PlayIntegrity => "play-integrity",
            Self::AndroidKey => "android-key",
            Self::DeviceKey => "device-key",
        }
    }

    /// Its bit in [`EvidenceKinds`].
    #[must_use]
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Whether the vendor of the platform vouches for it (and with it for the device key). A device key alone is one that
    /// anybody can make.
    #[must_use]
    pub const fn is_platform(self) -> bool {
        !matches!(self, Self::Measurement | Self::DeviceKey)
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The name is no kind of Evidence.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a kind of Evidence")]
pub struct NotAnEvidenceKind;

impl FromStr for EvidenceKind {
    type Err = NotAnEvidenceKind;

    fn from_str(name: &str) -> Result<Self, NotAnEvidenceKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(NotAnEvidenceKind)
    }
}

/// A set of kinds of Evidence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EvidenceKinds(u16);

impl EvidenceKinds {
    /// No kind.
    pub const EMPTY: Self = Self(0);

    /// The set whose bits these are; `None` if a bit belongs to no kind.
    #[must_use]
    pub fn from_bits(bits: u16) -> Option<Self> {
        let known = EvidenceKind::ALL.iter().fold(0, |all, kind| all | kind.bit());
        (bits & !known == 0).then_some(Self(bits))
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: EvidenceKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds `kind`.
    pub const fn insert(&mut self, kind: EvidenceKind) {
        self.0 |= kind.bit();
    }

    /// Whether `kind` is in it.
    #[must_use]
    pub const fn contains(self, kind: EvidenceKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the two have a kind in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the vendor of the platform vouched for anything in it.
    #[must_use]
    pub fn has_platform(self) -> bool {
        self.iter().any(EvidenceKind::is_platform)
    }

    /// Its kinds, in the order of [`EvidenceKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = EvidenceKind> {
        EvidenceKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<EvidenceKind> for EvidenceKinds {
    fn from_iter<I: IntoIterator<Item = EvidenceKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for EvidenceKinds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter().map(EvidenceKind::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_read_back_and_are_distinct() {
        let mut seen = EvidenceKinds::EMPTY;
        for kind in EvidenceKind::ALL {
            assert!(!seen.contains(kind));
            seen.insert(kind);
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!(EvidenceKinds::from_bits(seen.bits()), Some(seen));
        assert_eq!(EvidenceKinds::from_bits(1 << 6), None);
        assert_eq!(seen.iter().count(), 6);
    }

    #[test]
    fn a_measurement_and_a_device_key_are_not_platform_evidence() {
        let alone = EvidenceKinds::EMPTY.with(EvidenceKind::Measurement);
        assert!(!alone.has_platform());
        assert!(!alone.with(EvidenceKind::DeviceKey).has_platform());
        assert!(alone.with(EvidenceKind::AndroidKey).has_platform());
        assert!(!alone.contains_all(alone.with(EvidenceKind::DeviceKey)));
    }
}
