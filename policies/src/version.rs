//! An app version as policies write it: [`attest_core::version::Version`], under a name of our own that can have a schema.

use std::fmt;

use attest_core::version;

/// A version that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(version::Version);

impl Version {
    /// `None` when it is no version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        version::Version::parse(text).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
