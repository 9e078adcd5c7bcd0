//! Where the Verifier's state is, for every command that asks or changes it.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArg;

/// Where the Verifier's state is: opened here, or asked of a running service.
#[derive(Debug, Args, Clone)]
pub(crate) struct AdminArg {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Ask the admin API of a running service: https://host:port, or http on loopback
    #[arg(long, env = "ASSAY_ADMIN_URL", value_name = "URL", help_heading = "Remote")]
    pub(crate) remote: Option<String>,
    /// File with the admin token (`assay admin token create` makes one)
    #[arg(long, env = "ASSAY_ADMIN_TOKEN_FILE", value_name = "FILE", help_heading = "Remote")]
    pub(crate) token_file: Option<PathBuf>,
    /// Roots for the service's certificate, PEM, instead of the system's
    #[arg(long, env = "ASSAY_ADMIN_CA_FILE", value_name = "FILE", help_heading = "Remote")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Which page of a list.
#[derive(Debug, Args, Clone)]
pub(crate) struct PageArg {
    /// How many, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) limit: u16,
    /// Go on after the page that ended with this
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}
