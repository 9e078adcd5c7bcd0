//! In: the apps of the configuration. Out: the Evidence policy of an app on a platform, and whether the configuration
//! names it at all. An app that it does not name has no Reference Values, whatever is registered: it fails like any
//! other, after the same work.

use std::collections::{BTreeMap, HashMap};

use attest_core::{
    appraisal::EvidencePolicy,
    evidence_kind::{EvidenceKind, EvidenceKinds},
    reference::Platform,
};
use settings::AppSettings;

/// What each app has to bring.
pub(crate) struct EvidencePolicies {
    by_app: HashMap<String, BTreeMap<Platform, EvidencePolicy>>,
    /// What an unknown app is appraised by, against no builds.
    of_strangers: EvidencePolicy,
}

impl EvidencePolicies {
    /// The policies of `apps`.
    pub(crate) fn of(apps: &BTreeMap<String, AppSettings>) -> Self {
        let policies = |app: &AppSettings| {
            let policy = |(platform, app): (&Platform, &settings::AppPlatform)| (*platform, app.evidence.clone());
            app.platforms.iter().map(policy).collect()
        };
        Self {
            by_app: apps.iter().map(|(name, app)| (name.clone(), policies(app))).collect(),
            of_strangers: EvidencePolicy {
                require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
                ..EvidencePolicy::default()
            },
        }
    }

    /// The policy of `app` on `platform`, and whether the configuration names them.
    pub(crate) fn policy(&self, app: &str, platform: Platform) -> (&EvidencePolicy, bool) {
        match self.by_app.get(app).and_then(|platforms| platforms.get(&platform)) {
            Some(policy) => (policy, true),
            None => (&self.of_strangers, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_never_named_and_still_has_to_bring_something() {
        let policies = EvidencePolicies::of(&BTreeMap::new());
        let (policy, named) = policies.policy("shop", Platform::Linux);
        assert!(!named && !policy.require.is_empty() && !policy.danger_affirm_measurement_alone);
    }

    #[test]
    fn an_app_is_known_on_the_platforms_that_the_configuration_names() {
        let evidence = EvidencePolicy {
            require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            danger_affirm_measurement_alone: true,
            ..EvidencePolicy::default()
        };
        let platform = settings::AppPlatform { evidence, ..settings::AppPlatform::default() };
        let app = AppSettings { platforms: BTreeMap::from([(Platform::Linux, platform)]) };
        let policies = EvidencePolicies::of(&BTreeMap::from([("shop".to_owned(), app)]));
        assert!(policies.policy("shop", Platform::Linux).1);
        assert!(policies.policy("shop", Platform::Linux).0.danger_affirm_measurement_alone);
        assert!(!policies.policy("shop", Platform::Ios).1);
        assert!(!policies.policy("shopp", Platform::Linux).1);
    }
}
