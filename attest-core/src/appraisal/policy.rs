//! What an app must bring, and what each thing it brings is worth.

use crate::evidence_kind::{EvidenceKind, EvidenceKinds};
use crate::tier::Tier;
use crate::version::{self, Version};

/// What a finding does. It moves the tier down, never up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingCost {
    /// Nothing; it is still reported to the operator.
    Ignore,
    /// At most tier `warning`.
    Warn,
    /// The app fails.
    Fail,
}

/// What each finding costs. Clean findings count for nothing: they are the app's own testimony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingCosts {
    /// `tracer`: a debugger or tracer is attached.
    pub tracer: FindingCost,
    /// `injected-library`: a library that does not belong.
    pub injected_library: FindingCost,
    /// `repackaged`: the package is not the one that was built, or not signed by who built it.
    pub repackaged: FindingCost,
    /// `emulator`
    pub emulator: FindingCost,
    /// `root`: the device is rooted.
    pub root: FindingCost,
    /// Any finding that has no name here.
    pub other: FindingCost,
}

impl Default for FindingCosts {
    fn default() -> Self {
        Self {
            tracer: FindingCost::Fail,
            injected_library: FindingCost::Fail,
            repackaged: FindingCost::Fail,
            emulator: FindingCost::Warn,
            root: FindingCost::Warn,
            other: FindingCost::Warn,
        }
    }
}

/// The highest tier that each kind of Evidence can reach; `affirming` unless set. What is capped below `warning`
/// vouches for nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierCaps([Tier; EvidenceKind::ALL.len()]);

impl Default for TierCaps {
    fn default() -> Self {
        Self([Tier::Affirming; EvidenceKind::ALL.len()])
    }
}

impl TierCaps {
    /// These caps, and `tier` for `kind`.
    #[must_use]
    pub fn with(mut self, kind: EvidenceKind, tier: Tier) -> Self {
        if let Some(cap) = self.0.get_mut(kind as usize) {
            *cap = tier;
        }
        self
    }

    /// The cap of `kind`.
    #[must_use]
    pub fn of(&self, kind: EvidenceKind) -> Tier {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }
}

/// What an app must bring. The default accepts nothing, and so lets nobody pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidencePolicy {
    /// Kinds that must be there and hold; nothing outweighs one that does not.
    pub require: EvidenceKinds,
    /// Kinds that count where they come, beside those required. Any other is looked past.
    pub accept: EvidenceKinds,
    /// How much each kind is worth at most.
    pub caps: TierCaps,
    /// Let a measurement alone reach tier `affirming`, although whoever holds the app's file can compute it.
    pub danger_affirm_measurement_alone: bool,
    /// What findings cost.
    pub findings: FindingCosts,
    /// The oldest version that passes, where there is one. A request whose version can't be compared is older, and under
    /// a text that is no version here every one is.
    pub min_version: Option<String>,
}

impl EvidencePolicy {
    /// How much the Evidence that held is worth: the best of it. A device key that nobody vouches for is worth nothing:
    /// anyone can make one.
    pub(super) fn worth(&self, held: EvidenceKinds) -> Tier {
        let worth = |kind: EvidenceKind| {
            let most = match kind {
                EvidenceKind::DeviceKey => Tier::None,
                EvidenceKind::Measurement if !self.danger_affirm_measurement_alone => Tier::Warning,
                _ => Tier::Affirming,
            };
            most.min(self.caps.of(kind))
        };
        held.iter().map(worth).max().unwrap_or_default()
    }

    pub(super) fn is_below_min_version(&self, given: &str) -> bool {
        self.min_version
            .as_deref()
            .is_some_and(|least| !Version::parse(least).is_some_and(|least| version::at_least(given, &least)))
    }
}
