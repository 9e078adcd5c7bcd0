//! `assay keyset` and `assay revocation`: what gateways take, and what no more.

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArg, PageArg};

/// `assay keyset …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeySet {
    /// The keys that tokens are signed with: which signs now, which is next
    #[command(after_help = "Example: assay keyset list")]
    List(AdminArg),
    /// Let the next key take over, as soon as every gateway knows it
    #[command(after_help = "Examples:\n  assay keyset rotate          nobody is locked out; says when it happens\n  \
        assay keyset rotate --now    at once, also at gateways that don't know the next key yet\n  \
        assay keyset retire KID      a key leaked: its tokens are refused from now on")]
    Rotate(KeySetRotate),
    /// Stop taking a key at once: every token that it signed is refused
    #[command(after_help = "Example: assay keyset retire BcQYn_xm57jd --yes      the kid is in `assay keyset list`")]
    Retire(KeySetRetire),
}

/// `assay keyset rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeySetRotate {
    /// At once, whether gateways know the next key or not
    #[arg(long)]
    pub(crate) now: bool,
    /// Don't ask; needed off a terminal with --now
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay keyset retire`.
#[derive(Debug, Args)]
pub(crate) struct KeySetRetire {
    /// The key's id
    // base64url: one in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    pub(crate) kid: String,
    /// Don't ask; needed off a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay revocation …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Revocation {
    /// What gateways refuse although its signature is genuine
    #[command(after_help = "Example: assay revocation list --limit 20")]
    List(RevocationList),
    /// Revoke tokens out there; `device ban`, `app retire` and `keyset retire` do it for what they are about
    #[command(after_help = "Examples:\n  assay revocation add app shop --reason 'leaked signing key'\n  \
        assay revocation add issued-before \"$(date -d 03:00 +%s)\" --reason 'all tokens of last night'")]
    Add(RevocationAdd),
    /// Take a revocation back
    #[command(after_help = "Example: assay revocation lift app shop --reason 'mended'")]
    Lift(RevocationLift),
}

/// `assay revocation list`.
#[derive(Debug, Args)]
pub(crate) struct RevocationList {
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// What a revocation names.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RevocationKindArg {
    /// a device, by its id
    Device,
    /// all tokens of an app, by its name
    App,
    /// all tokens of a build, by its number
    Build,
    /// all tokens of a signing key, by its kid
    Kid,
    /// all tokens issued before a moment, Unix seconds
    IssuedBefore,
}

/// `assay revocation add`.
#[derive(Debug, Args)]
pub(crate) struct RevocationAdd {
    /// What it names
    #[arg(value_enum)]
    pub(crate) kind: RevocationKindArg,
    /// Which one
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay revocation lift`.
#[derive(Debug, Args)]
pub(crate) struct RevocationLift {
    /// What it names
    #[arg(value_enum)]
    pub(crate) kind: RevocationKindArg,
    /// Which one
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}
