//! Messages of the long-running processes: JSON lines on stderr, from our own code; libraries from `warn` on.
//!
//! In: the level of the configuration. Out: one subscriber for the process. Debug and trace are compiled out (workspace
//! manifest): there the proxy library would print wire bytes, and with them injected keys.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts it; a second call changes nothing.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::new(format!(
        "warn,pingora_proxy=error,pingora_core=error,assay={level},proxy={level},attest_service={level},attest_admin={level},attest_store={level},shared_state={level}"
    ));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if std::io::stderr().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
