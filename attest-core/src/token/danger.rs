//! What weakens a check, by name: each door here is opened by a `danger_` key of the configuration and by nothing else.

use super::verify::UnsealRight;

/// The operator wrote `danger_inject_unattested: true` on this route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DangerInjectUnattested(());

impl DangerInjectUnattested {
    /// To be made by the code that read the key from the route's configuration, and nowhere else.
    #[must_use]
    pub const fn read_from_configuration() -> Self {
        Self(())
    }
}

/// The right to open a key for a request that is not attested, on a route whose operator asked for it.
#[must_use]
pub const fn unseal_unattested(_asked_for: DangerInjectUnattested) -> UnsealRight {
    UnsealRight::from_danger()
}
