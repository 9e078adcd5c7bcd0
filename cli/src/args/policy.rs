//! `assay policy`: result policies.

mod explain;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigArg;

pub(crate) use explain::PolicyExplain;

/// `assay policy …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// All errors and warnings of policy files, with places
    #[command(after_help = "Examples:\n  assay policy check policies/api.yaml\n  \
        assay policy check policies/*.yaml --format github\n  assay policy check policies/api.yaml --route api -c gw/assay.yaml\n\n\
        With --route the lists, callers and the key of that route are known. Files that are included are read from beside the policy.")]
    Check(PolicyCheck),
    /// Try a policy on cases, or on recorded traffic
    #[command(after_help = "Examples:\n  assay policy test tests/api.cases.yaml --policy policies/api.yaml\n  \
        assay policy test tests/*.yaml --route api -c gw/assay.yaml --min-coverage 100\n  \
        assay policy test --replay recorded.ndjson --candidate policies/api-next.yaml --route api -c gw/assay.yaml\n\n\
        Exit codes: 0 as expected · 1 something differs, or too few rules are reached · 2 a file can't be read · 3 the records can't tell")]
    Test(PolicyTest),
    /// Why this answer: each rule tried, and why it did or didn't match
    #[command(after_help = "Examples:\n  assay policy explain --route api --verdict missing --path /v1/items\n  \
        assay policy explain --policy policies/api.yaml --verdict attested --app shop --app-version 3.2 --path /v1/items\n  \
        tail -1 access.log | assay policy explain --log-line - -c gw/assay.yaml\n  \
        assay policy explain --decision 01J8… --gateway http://127.0.0.1:9901 -c gw/assay.yaml")]
    Explain(Box<PolicyExplain>),
    /// What enforcing a route's policy now would do, from what its gateway has seen
    #[command(after_help = "Examples:\n  assay policy advise api -c gw/assay.yaml\n  \
        assay policy advise api --gateway http://127.0.0.1:9901 --token-file admin.token --days 2\n\n\
        Exit codes: 0 enforce · 1 don't, or not all at once · 3 too little is known")]
    Advise(PolicyAdvise),
}

/// In what form problems are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text with the line and a caret
    Human,
    /// One JSON document, as with --json
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// A SARIF 2.1.0 log, for code hosts
    Sarif,
}

/// `assay check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// In what form problems are told
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// `assay policy check`.
#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// Policy files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Check as a policy of a route that injects a key
    #[arg(long, conflicts_with = "route")]
    pub(crate) injects: bool,
    /// Check as a policy of this route of the configuration
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// In what form problems are told
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// `assay policy test`.
#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// Files of cases
    #[arg(required_unless_present = "replay")]
    pub(crate) cases: Vec<PathBuf>,
    /// The policy file; without it and --route, the one that each file of cases names
    #[arg(long, value_name = "FILE", conflicts_with = "route")]
    pub(crate) policy: Option<PathBuf>,
    /// The policy of this route of the configuration
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    /// Another policy file in that route's place
    #[arg(long, value_name = "FILE", requires = "route")]
    pub(crate) candidate: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Recorded decisions (`log.record` of a gateway), one a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// How many percent of the rules the cases must reach
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100), requires = "cases")]
    pub(crate) min_coverage: Option<u8>,
    /// In what form differences are told
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Where a running gateway is asked.
#[derive(Debug, Args)]
pub(crate) struct GatewayArg {
    /// The gateway's admin listener, instead of the configuration's
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// The file with the admin listener's token, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// `assay policy advise`.
#[derive(Debug, Args)]
pub(crate) struct PolicyAdvise {
    /// The route
    pub(crate) route: String,
    #[command(flatten)]
    pub(crate) gateway: GatewayArg,
    /// What `GET /observations` of a gateway said, instead of asking one; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "gateway")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// How many days to look at (UTC, today's part included)
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) days: u8,
}
