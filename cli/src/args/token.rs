//! `assay token` and `assay arc`: result tokens and their support codes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AdminArg, ConfigArg};
use crate::span::Span;

/// `assay token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Verdict, reason and claims of a token: 0 only for `attested`
    #[command(after_help = "Examples:\n  assay token check - --route api < token.txt\n  \
        assay token check - --jwks keys.json --issuer https://issuer.example.com < token.txt")]
    Check(Box<TokenCheck>),
    /// Issue a test token with the real key, marked: only routes with `allow_dev` take it
    #[command(
        after_help = "Example: assay token issue --app shop --route api --as failed | assay token check - --route api\n\n\
        It is written to the audit log. A route takes it only with token: { allow_dev: true }."
    )]
    Issue(Box<TokenIssue>),
}

/// `assay token check`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("keys").required(true).args(["secret_base64", "secret_base64url", "secret_file", "jwks", "pem", "route"]))]
pub(crate) struct TokenCheck {
    /// The token, or - for standard input (better: arguments can be seen by others)
    pub(crate) token: String,
    /// HMAC secret, base64; for published dummy secrets only
    #[arg(long, value_name = "S")]
    pub(crate) secret_base64: Option<String>,
    /// HMAC secret, base64url; for published dummy secrets only
    #[arg(long, value_name = "S")]
    pub(crate) secret_base64url: Option<String>,
    /// File with the raw HMAC secret
    #[arg(long, value_name = "F")]
    pub(crate) secret_file: Option<PathBuf>,
    /// File with a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks: Option<PathBuf>,
    /// File with a public key, PEM; needs --alg
    #[arg(long, value_name = "FILE", requires = "alg")]
    pub(crate) pem: Option<PathBuf>,
    /// The key's algorithm: HS256 … EdDSA (HMAC secrets: HS256 without it)
    #[arg(long, value_name = "A")]
    pub(crate) alg: Option<String>,
    /// Check as this route of the configuration would: its keys, audience and binding
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The time to check at, Unix seconds; without it now
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    pub(crate) at: Option<i64>,
    /// The issuer that `iss` has to name
    #[arg(long, value_name = "I")]
    pub(crate) issuer: Option<String>,
    /// The audience that `aud` has to hold
    #[arg(long, value_name = "A")]
    pub(crate) audience: Option<String>,
    /// A header that the token has to be bound to; several are taken in order
    #[arg(long, value_name = "'Name: value'")]
    pub(crate) bind: Vec<String>,
}

/// `assay token issue`.
#[derive(Debug, Args)]
pub(crate) struct TokenIssue {
    /// The app that it is to name
    #[arg(long)]
    pub(crate) app: String,
    /// The route that it is for; the configuration has to let test tokens in there
    #[arg(long, value_name = "R")]
    pub(crate) route: String,
    /// The version that it is to name; without it 0
    #[arg(long = "version", value_name = "V")]
    pub(crate) app_version: Option<String>,
    /// What gateways are to find out
    #[arg(long = "as", default_value = "attested", value_name = "VERDICT")]
    pub(crate) verdict: String,
    /// The header that it is to be bound to, on a route that binds
    #[arg(long, value_name = "'Name: value'")]
    pub(crate) bind: Option<String>,
    /// How long it is to live, such as 30s; without it as long as other tokens, which is the most
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Option<Span>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay arc …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Arc {
    /// What the service found, from the 26 characters of a token's `arc`
    #[command(after_help = "Example: assay arc decode KIKGMBQAQZRD4XWB2CO3ISWTTE")]
    Decode {
        /// The code
        code: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}
