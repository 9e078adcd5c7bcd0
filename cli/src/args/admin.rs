//! `assay admin` and `assay audit`: who may do what, and what was done.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArg, PageArg};
use crate::span::Span;

/// `assay admin …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Tokens of the admin API: who may do what from afar
    #[command(subcommand, after_help = "Example: assay admin token list -c gw/assay.yaml")]
    Token(AdminToken),
}

/// `assay admin token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminToken {
    /// Make a token; it is shown once
    #[command(after_help = "Examples:\n  assay admin token create anna --role admin --for 90d --out anna.token\n  \
        assay admin token create ci --role operator --app shop --for 30d > ci.token")]
    Create(AdminTokenCreate),
    /// Tokens and what they may do; never their texts
    #[command(after_help = "Example: assay admin token list")]
    List(AdminArg),
    /// Revoke a token
    #[command(after_help = "Example: assay admin token revoke ci")]
    Revoke(AdminTokenRevoke),
}

/// What a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// read
    Viewer,
    /// register, retire, ban, enrol, issue test tokens
    Operator,
    /// everything: forced passes, keys, tokens, audit
    Admin,
}

/// `assay admin token create`.
#[derive(Debug, Args)]
pub(crate) struct AdminTokenCreate {
    /// Its name, as it will stand in the audit log
    pub(crate) name: String,
    /// What it may do
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// An app that it is limited to; repeat for several
    #[arg(long = "app", value_name = "A")]
    pub(crate) apps: Vec<String>,
    /// For how long, at most 366d
    #[arg(long = "for", value_name = "SPAN", default_value = "90d")]
    pub(crate) span: Span,
    /// Write it to this new file, readable by you alone, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay admin token revoke`.
#[derive(Debug, Args)]
pub(crate) struct AdminTokenRevoke {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay audit …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Who changed what, the newest first
    #[command(after_help = "Example: assay audit list --limit 20")]
    List(AuditList),
    /// Whether an entry was changed, dropped or cut: 0 only if none was
    #[command(after_help = "Examples:\n  assay audit verify --checkpoint friday.checkpoint\n  \
        assay audit verify --checkpoint service.log       the service's own log, which has one each minute\n\n\
        Without checkpoints that were kept elsewhere a log that was cut at its end looks whole.")]
    Verify(AuditVerify),
    /// A signed checkpoint of what the log has come to; keep it elsewhere
    #[command(after_help = "Example: assay audit checkpoint > friday.checkpoint")]
    Checkpoint(AdminArg),
}

/// `assay audit list`.
#[derive(Debug, Args)]
pub(crate) struct AuditList {
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// A checkpoint that was kept, or the service's log; repeat for several
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub(crate) checkpoints: Vec<PathBuf>,
    /// Verify the audit log of keys instead of the service's: that of the configuration, or a copy of it in DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with_all = ["remote", "token_file", "ca_file"])]
    pub(crate) keys: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}
