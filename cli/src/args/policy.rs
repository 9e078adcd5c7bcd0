//! `assay policy`: result policies.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArg;

/// `assay policy …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// All errors and warnings of policy files, with places
    #[command(after_help = "Example: assay policy check policies/api.yaml")]
    Check {
        /// Policy files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Check as a policy of a route that injects a key
        #[arg(long)]
        injects: bool,
    },
    /// Why this answer: each rule tried, and why it did or didn't match
    #[command(after_help = "Examples:\n  assay policy explain --route api --verdict missing --path /v1/items\n  \
        assay policy explain --policy policies/api.yaml --verdict attested --app shop --app-version 3.2 --path /v1/items")]
    Explain(Box<PolicyExplain>),
}

/// `assay policy explain`.
#[derive(Debug, Args)]
pub(crate) struct PolicyExplain {
    /// The policy file
    #[arg(long, value_name = "FILE", required_unless_present = "route")]
    pub(crate) policy: Option<PathBuf>,
    /// A route of the configuration, instead of a file
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The verdict, as in the access log
    #[arg(long)]
    pub(crate) verdict: String,
    /// The request's method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The request's path, with or without query
    #[arg(long)]
    pub(crate) path: String,
    /// The request's host
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// A request header; repeat for several
    #[arg(long = "header", value_name = "'N: v'")]
    pub(crate) headers: Vec<String>,
    /// The client's address
    #[arg(long, default_value = "192.0.2.1")]
    pub(crate) address: std::net::IpAddr,
    /// The app that the token names
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// The app version that the token names
    #[arg(long = "app-version", value_name = "V")]
    pub(crate) app_version: Option<String>,
    /// The tier that the token carries
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// Kinds of Evidence that were accepted; repeat for several
    #[arg(long = "evidence", value_name = "KIND")]
    pub(crate) evidence: Vec<String>,
    /// The time to decide at, Unix seconds; without it now
    #[arg(long, value_name = "UNIX")]
    pub(crate) at: Option<i64>,
}
