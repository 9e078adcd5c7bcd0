//! `assay panic` and `assay fleet`: orders to all gateways, and how they are.

use clap::{Args, Subcommand};

use super::{AdminArg, PageArg};
use crate::span::Span;

/// `assay panic …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Panic {
    /// Let only attested requests through, and callers that a rule names
    #[command(
        after_help = "Examples:\n  assay panic lockdown --route shop-api --for 2h --reason 'credential stuffing'\n  \
        assay panic lockdown --all --for 30m --reason 'incident 71'\n\n\
        Takes the role operator. Requests that go on do so by the policy's own rules."
    )]
    Lockdown(OrderArg),
    /// Let refusals take no effect: everything passes but what a key would be opened for
    #[command(
        after_help = "Example: assay panic monitor --route shop-api --for 1h --reason 'a bad rule refuses customers'\n\n\
        Takes the role admin. Limits still count. A route that adds a key goes on refusing; `unverifiable` stays 503."
    )]
    Monitor(OrderArg),
    /// Let tokens that the service signed live longer, where apps can't get new ones
    #[command(
        after_help = "Example: assay panic extend-tokens --route shop-api --by 1h --for 4h --reason 'the service is down'\n\n\
        Takes the role admin. Never beyond a revocation; a token that lives on so opens a key only on routes whose own\n\
        our_faults name service_down: { accept_expired }. Orders reach gateways from the service: give this one\n\
        before it goes away."
    )]
    ExtendTokens(Extend),
    /// Orders in force
    #[command(
        after_help = "Examples:\n  assay panic list\n  assay panic list --over        those of the last 30 days, too"
    )]
    List(OrderList),
    /// End an order before its time
    #[command(after_help = "Example: assay panic end 7 --reason 'the attack is over'")]
    End(OrderEnd),
}

/// `assay panic lockdown`, `monitor`.
#[derive(Debug, Args)]
#[group(id = "which", args = ["routes", "all"], required = true, multiple = false)]
pub(crate) struct OrderArg {
    /// A route that it is about, by name; repeat for several
    #[arg(long = "route", value_name = "ROUTE")]
    pub(crate) routes: Vec<String>,
    /// All routes of all gateways
    #[arg(long)]
    pub(crate) all: bool,
    /// For how long: 30m, 2h; at most 7d
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Span,
    /// Why, for those who read it later; it is in the audit log and in gateways' own logs
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay panic extend-tokens`.
#[derive(Debug, Args)]
pub(crate) struct Extend {
    /// How much longer tokens live: 30m, 2h; at most 24h
    #[arg(long, value_name = "SPAN")]
    pub(crate) by: Span,
    #[command(flatten)]
    pub(crate) order: OrderArg,
}

/// `assay panic list`.
#[derive(Debug, Args)]
pub(crate) struct OrderList {
    /// Those that are over, too
    #[arg(long)]
    pub(crate) over: bool,
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay panic end`.
#[derive(Debug, Args)]
pub(crate) struct OrderEnd {
    /// Its number, in `panic list`
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) number: u64,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay fleet`.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}
