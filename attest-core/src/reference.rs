//! Reference Values: the builds that we vouch for.

use std::fmt;
use std::str::FromStr;

use crate::measurement::Measurement;

/// A platform that an app runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// A program on Linux.
    Linux,
    /// An Android app.
    Android,
    /// An iOS app.
    Ios,
}

impl Platform {
    /// All platforms.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Android, Self::Ios];

    /// The name on the wire and in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Android => "android",
            Self::Ios => "ios",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The name is no platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a platform: one of linux, android, ios")]
pub struct NotAPlatform;

impl FromStr for Platform {
    type Err = NotAPlatform;

    fn from_str(name: &str) -> Result<Self, NotAPlatform> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == name).ok_or(NotAPlatform)
    }
}

/// What the app's package says of itself, read when the build was registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFacts {
    /// Package name (Android) or bundle identifier (iOS).
    pub id: Option<String>,
    /// Team identifier (iOS).
    pub team: Option<String>,
    /// SHA-256 of each signing certificate (Android).
    pub signers: Vec<[u8; 32]>,
}

/// One registered build of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The registry's number of it; at least 1, and never given to another build.
    pub number: u32,
    /// The app.
    pub app: String,
    /// Its version.
    pub version: String,
    /// The platform.
    pub platform: Platform,
    /// Tells builds of one version apart, such as an ABI; may be empty.
    pub label: String,
    /// What its image measures to; `None` where other Evidence vouches for it.
    pub measurement: Option<Measurement>,
    /// What its package says.
    pub package: PackageFacts,
    /// The libraries that `measurement` covers beside the program, by name.
    pub libraries: Vec<String>,
    /// Whether it was retired: known, and no longer good.
    pub retired: bool,
}
