//! `attestation.apps:` checked: what each has to bring, and that it can be brought.

use std::collections::BTreeMap;

use attest_core::{
    appraisal::{EvidencePolicy, FindingCost, FindingCosts, TierCaps},
    evidence_kind::{EvidenceKind, EvidenceKinds},
    reference::Platform,
    tier::Tier,
};
use policies::yaml::Place;

use super::Check;
use crate::{
    file::apps::{AppId, EvidenceWord, FindingWord, RawApp, RawAppPlatform, RawFindings, Signer, TierWord},
    model::{AppPlatform, AppSettings},
    shape::{Fault, Field, Row},
};

impl Check<'_, '_> {
    pub(crate) fn app(&self, row: &Row<RawApp>) -> Option<AppSettings> {
        // What the envelope of an attestation can carry.
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        if row.name.is_empty() || row.name.len() > 64 || !row.name.chars().all(good) {
            let fault = Fault::new("this can't be the name of an app");
            self.refuse(
                row.at,
                "bad_name",
                fault.hint("letters, digits, `.`, `_`, `+`, `-`; at most 64: it is what the SDK sends as `app`"),
            );
        }
        let raw = row.value.as_ref()?;
        let min_version = raw.min_version.value.as_ref().map(|version| version.0.clone());
        let mut platforms = BTreeMap::new();
        let fields = [(Platform::Linux, &raw.linux), (Platform::Android, &raw.android), (Platform::Ios, &raw.ios)];
        for (platform, field) in fields {
            if let Some((raw, at)) = field.good()
                && let Some(mut settings) = self.app_platform(platform, raw, at)
            {
                settings.evidence.min_version = settings.evidence.min_version.or_else(|| min_version.clone());
                platforms.insert(platform, settings);
            }
        }
        if fields.iter().all(|(_, field)| field.is_absent()) {
            let fault = Fault::new(format!("`{}` exists on no platform", row.name));
            self.refuse(row.at, "missing_field", fault.hint("write linux: { require: [measurement] }"));
        }
        Some(AppSettings { platforms })
    }

    fn app_platform(&self, platform: Platform, raw: &RawAppPlatform, owner: Place) -> Option<AppPlatform> {
        self.refuse_on_the_wrong_platform(platform, raw);
        let id = raw.id.good().map(|(AppId(id), at)| {
            if platform == Platform::Ios && !starts_with_team(id) {
                let fault = Fault::new(format!("`{id}` does not begin with a team"));
                self.refuse(
                    at,
                    "invalid_value",
                    fault.hint(format!("write the ten characters of your team first: ABCDE12345.{id}")),
                );
            }
            id.clone()
        });
        if let Some((_, at)) = raw.signers.good().filter(|(signers, _)| signers.is_empty()) {
            self.refuse(
                at,
                "empty_list",
                Fault::new("`signers` is empty: nobody could sign it").hint("name one, or take the line out"),
            );
        }
        let signers =
            raw.signers.value.iter().flatten().filter_map(Field::good).map(|(Signer(digest), _)| *digest).collect();
        let require = self.require(platform, raw, owner)?;
        let danger = self.flag(&raw.danger_affirm_measurement_alone, false);
        let evidence = EvidencePolicy {
            require,
            accept: kinds(&raw.accept),
            caps: self.weigh(raw, danger),
            danger_affirm_measurement_alone: danger,
            findings: raw.findings.value.as_ref().map_or_else(FindingCosts::default, findings),
            min_version: raw.min_version.value.as_ref().map(|version| version.0.clone()),
        };
        Some(AppPlatform { id, signers, evidence })
    }

    /// What a platform has no use for.
    fn refuse_on_the_wrong_platform(&self, platform: Platform, raw: &RawAppPlatform) {
        let does_nothing = |at: Option<Place>, what: &str| {
            if let Some(at) = at {
                self.refuse(at, "does_nothing", Fault::new(what).hint("take the line out"));
            }
        };
        if platform == Platform::Linux {
            does_nothing(raw.id.at, "a program on Linux has no `id` of its platform");
        }
        if platform != Platform::Android {
            does_nothing(raw.signers.at, "`signers` are those of an Android package");
        }
        if platform == Platform::Ios {
            let encrypted = "evidence for iOS is planned: App Store binaries are encrypted, so that a measurement says nothing there";
            for at in [
                raw.require.at,
                raw.accept.at,
                raw.weigh.at,
                raw.findings.at,
                raw.min_version.at,
                raw.danger_affirm_measurement_alone.at,
            ] {
                does_nothing(at, encrypted);
            }
        }
    }

    fn require(&self, platform: Platform, raw: &RawAppPlatform, owner: Place) -> Option<EvidenceKinds> {
        if platform == Platform::Ios {
            let fault =
                Fault::new("no evidence from iOS is appraised: only devices that are enrolled or forced to pass do");
            self.warn(owner, "nobody_passes", fault.hint("for development: assay device enrol"));
            return Some(EvidenceKinds::EMPTY);
        }
        let (require, at) = self.need(&raw.require, owner, "require", "[measurement]")?;
        if require.is_empty() {
            self.refuse(
                at,
                "empty_list",
                Fault::new("`require` is empty: every device would pass").hint("write [measurement]"),
            );
            return None;
        }
        let kinds = kinds(&raw.require);
        if kinds == EvidenceKinds::EMPTY.with(EvidenceKind::DeviceKey) {
            let fault = Fault::new("a device key that nobody vouches for is worth nothing: no device would pass");
            self.refuse(at, "nobody_passes", fault.hint("write [measurement], or [measurement, device-key]"));
        }
        Some(kinds)
    }

    fn weigh(&self, raw: &RawAppPlatform, danger: bool) -> TierCaps {
        let caps = TierCaps::default();
        let Some((tier, at)) = raw.weigh.value.as_ref().and_then(|weigh| weigh.measurement.good()) else { return caps };
        match (tier, danger) {
            (TierWord::Affirming, false) => {
                let fault = Fault::new(
                    "a measurement vouches for nobody by itself: whoever holds the app's file can compute it",
                );
                self.refuse(
                    at,
                    "measurement_alone",
                    fault.hint("write warning; for a demonstration add danger_affirm_measurement_alone: true"),
                );
                caps
            }
            (TierWord::Warning, true) => {
                let fault = Fault::new("`weigh` takes back what `danger_affirm_measurement_alone` gives");
                self.refuse(at, "does_nothing", fault.hint("take one of the two lines out"));
                caps
            }
            (TierWord::Affirming, true) => caps,
            (TierWord::Warning, false) => caps.with(EvidenceKind::Measurement, Tier::Warning),
        }
    }
}

fn kinds(field: &Field<Vec<Field<EvidenceWord>>>) -> EvidenceKinds {
    field.value.iter().flatten().filter_map(Field::good).fold(EvidenceKinds::EMPTY, |kinds, (word, _)| {
        kinds.with(match word {
            EvidenceWord::Measurement => EvidenceKind::Measurement,
            EvidenceWord::DeviceKey => EvidenceKind::DeviceKey,
        })
    })
}

fn findings(raw: &RawFindings) -> FindingCosts {
    let default = FindingCosts::default();
    let cost = |field: &Field<FindingWord>, default| match field.value {
        Some(FindingWord::Fail) => FindingCost::Fail,
        Some(FindingWord::Warn) => FindingCost::Warn,
        Some(FindingWord::Ignore) => FindingCost::Ignore,
        None => default,
    };
    FindingCosts {
        tracer: cost(&raw.tracer, default.tracer),
        injected_library: cost(&raw.injected_library, default.injected_library),
        repackaged: cost(&raw.repackaged, default.repackaged),
        emulator: cost(&raw.emulator, default.emulator),
        root: cost(&raw.root, default.root),
        other: cost(&raw.other, default.other),
    }
}

/// Ten capital letters and digits: how Apple names a team.
fn starts_with_team(id: &str) -> bool {
    id.split_once('.').is_some_and(|(team, bundle)| {
        team.len() == 10
            && team.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && !bundle.is_empty()
    })
}
