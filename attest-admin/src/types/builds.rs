//! Apps and the builds that are vouched for.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An app: named in the configuration, in the registry, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Whether the service's configuration names it; builds of one that it does not name can't be attested.
    pub configured: bool,
    /// The platforms that the configuration names.
    pub platforms: Vec<String>,
    /// Builds that are vouched for.
    pub live: u64,
    /// Builds that no longer are.
    pub retired: u64,
}

/// What identifies the package a build came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Package name (Android) or bundle identifier (iOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub id: Option<String>,
    /// Team identifier (iOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub team: Option<String>,
    /// SHA-256 of each signing certificate: `sha256:` and 64 hexadecimal digits.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub signers: Vec<String>,
}

/// Whether a build is vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// It is.
    Live,
    /// It was.
    Retired,
}

/// One registered build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Build {
    /// The registry's number of it, never used again.
    pub number: u32,
    /// Its app.
    pub app: String,
    /// The version that the app states.
    pub version: String,
    /// `linux`, `android` or `ios`.
    pub platform: String,
    /// Tells builds of one version apart, such as an ABI; may be empty.
    pub label: String,
    /// Whether it is vouched for.
    pub state: BuildState,
    /// What its image measures to, `sha256:` and 64 hexadecimal digits; absent where other Evidence vouches for it.
    pub measurement: Option<String>,
    /// The package it came in.
    pub package: Package,
    /// Libraries that were measured with it.
    pub libraries: Vec<String>,
    /// When it was registered.
    pub registered: i64,
    /// Whether the service's configuration names its app; builds of one that it does not name can't be attested.
    pub configured: bool,
}

/// Which builds of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BuildQuery {
    /// Of this app alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// In this state alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<BuildState>,
    /// Entries on the page: 1 to 500, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A build to vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBuild {
    /// The app, as the configuration names it.
    pub app: String,
    /// `linux`, `android` or `ios`.
    pub platform: String,
    /// The version that the app will state.
    pub version: String,
    /// Tells builds of one version apart; may be empty.
    #[serde(default)]
    pub label: String,
    /// What its image measures to, `sha256:` and 64 hexadecimal digits. Absent where other Evidence is to vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<String>,
    /// The package it came in. What the configuration says of the app has to agree with it.
    #[serde(default)]
    pub package: Package,
    /// Libraries that were measured with it.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub libraries: Vec<String>,
}

/// What registering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuildOutcome {
    /// It is new.
    Added,
    /// It was there, and the same.
    Unchanged,
    /// It had been retired, and is live again.
    Restored,
}

/// A build that was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// What that did.
    pub outcome: BuildOutcome,
    /// The build.
    pub build: Build,
}

/// A change of one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBuild {
    /// `retired`. To vouch for a retired build again, register it again.
    pub state: BuildState,
}

/// Which builds of an app to retire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// The version.
    pub version: String,
    /// One build of it; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What was retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retired {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Builds that were live and no longer are.
    pub retired: u64,
}
