//! `lists:` named lists that policies refer to.

use std::path::PathBuf;

pub use policies::lists::Kind as ListKind;

/// One list. Its entries are in [`Settings::lists`](super::Settings::lists), by the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name in the file; what policies call it.
    pub name: String,
    /// What its entries are.
    pub kind: ListKind,
    /// The file that holds the entries; absent: they stand in the configuration itself.
    pub file: Option<PathBuf>,
}
