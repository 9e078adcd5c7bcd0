//! `attestation.apps:` what is asked of each app.

use std::collections::BTreeMap;

use attest_core::{appraisal::EvidencePolicy, reference::Platform};

/// One app and the platforms it exists on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// At least one.
    pub platforms: BTreeMap<Platform, AppPlatform>,
}

/// What is asked of an app on one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPlatform {
    /// Who it is to the platform: the package name on Android, `TEAM.bundle` on iOS; absent: any. What is registered has
    /// to be it.
    pub id: Option<String>,
    /// SHA-256 of the certificates that may sign it (Android); empty: any. What is registered has to be signed by one.
    pub signers: Vec<[u8; 32]>,
    /// What it has to bring. On iOS nothing that can be brought is enough: only enrolled and forced devices pass.
    pub evidence: EvidencePolicy,
}
