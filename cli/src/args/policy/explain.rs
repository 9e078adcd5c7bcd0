//! `assay policy explain`: a request that is made up, or one that was.

use std::path::PathBuf;

use clap::Args;

use super::GatewayArg;
use crate::args::ConfigArg;

/// `assay policy explain`.
#[derive(Debug, Args)]
pub(crate) struct PolicyExplain {
    /// The policy file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["route", "log_line", "decision"], conflicts_with = "route")]
    pub(crate) policy: Option<PathBuf>,
    /// A route of the configuration, instead of a file
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// A request that was: a line of the gateway's access log; `-` reads it from stdin
    #[arg(long, value_name = "LINE", conflicts_with_all = ["decision", "verdict", "path"])]
    pub(crate) log_line: Option<String>,
    /// A request that was: the id of a decision that the gateway still remembers
    #[arg(long, value_name = "ID", conflicts_with_all = ["verdict", "path"])]
    pub(crate) decision: Option<String>,
    #[command(flatten)]
    pub(crate) gateway: GatewayArg,
    /// The verdict, as in the access log
    #[arg(long, required_unless_present_any = ["log_line", "decision"])]
    pub(crate) verdict: Option<String>,
    /// The request's method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The request's path, with or without query
    #[arg(long, required_unless_present_any = ["log_line", "decision"])]
    pub(crate) path: Option<String>,
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
    /// For how long the token has been expired: 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) expired_for: Option<String>,
    /// The device that the token names
    #[arg(long, value_name = "ID")]
    pub(crate) device: Option<String>,
    /// What an operator said about the device: normal or `forced_pass`
    #[arg(long, value_name = "STATE")]
    pub(crate) device_state: Option<String>,
    /// How long ago the device was first seen: 3d
    #[arg(long, value_name = "TIME")]
    pub(crate) device_age: Option<String>,
    /// The token is one for development
    #[arg(long)]
    pub(crate) dev: bool,
    /// A caller that is no app and has proven who it is
    #[arg(long, value_name = "NAME")]
    pub(crate) caller: Option<String>,
    /// A user whose own token was verified: the issuer's name, then the subject
    #[arg(long, value_name = "ISSUER:SUBJECT")]
    pub(crate) user: Option<String>,
    /// A further claim of the user's token, as JSON or text; repeat for several
    #[arg(long = "user-claim", value_name = "NAME=VALUE", requires = "user")]
    pub(crate) user_claims: Vec<String>,
    /// What an order, or the guard, has put the route into: normal, lockdown, monitor, guard
    #[arg(long, default_value = "normal")]
    pub(crate) mode: String,
    /// The time to decide at, Unix seconds; without it now
    #[arg(long, value_name = "UNIX")]
    pub(crate) at: Option<i64>,
}
