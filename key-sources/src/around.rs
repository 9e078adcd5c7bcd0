//! What a machine has around a store, as arguments. In: nothing. Out: [`Around`], the system's or a test's.

use std::path::PathBuf;
use std::sync::Arc;

use attest_core::random::{Random, SystemRandom};
use attest_core::time::{Clock, SystemClock};
use outbound::Dialer;
use zeroize::Zeroizing;

/// Clock, randomness, environment and dialer.
#[derive(Clone)]
pub struct Around {
    /// The time that requests to AWS are signed with.
    pub clock: Arc<dyn Clock>,
    /// New keys and salts.
    pub random: Arc<dyn Random>,
    /// Environment variables by name.
    pub variable: fn(&str) -> Option<Zeroizing<String>>,
    /// How servers are found and dialled.
    pub dialer: Dialer,
}

impl Around {
    /// Those of this process.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            variable: |name| std::env::var(name).ok().map(Zeroizing::new),
            dialer: Dialer::system(),
        }
    }

    /// The folder that systemd has put credentials into.
    pub(crate) fn credentials_directory(&self) -> Option<PathBuf> {
        (self.variable)("CREDENTIALS_DIRECTORY").map(|path| PathBuf::from(path.as_str()))
    }
}
