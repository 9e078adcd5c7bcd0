//! `lists:` named lists that policies refer to.

use std::path::PathBuf;

/// One list. Its entries are in [`Settings::lists`](super::Settings::lists), compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name in the file; what policies call it.
    pub name: String,
    /// What its entries are.
    pub kind: ListKind,
    /// The file that holds the entries; absent: they stand in the configuration itself.
    pub file: Option<PathBuf>,
}

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Networks and addresses.
    Networks,
    /// Device ids of our own tokens.
    Devices,
    /// Path patterns.
    Paths,
}

impl ListKind {
    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Devices => "devices",
            Self::Paths => "paths",
        }
    }
}
