//! `assay revocation`: what gateways refuse although its signature is genuine.

use crate::args::{Revocation, RevocationAdd, RevocationKindArg, RevocationLift, RevocationList};
use crate::output::{End, Output, Stop};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, maybe_moment, moment, more};
use attest_admin::types::{self, Lift, NewRevocation, PageQuery, RevocationKind};
use attest_core::time::{Clock, SystemClock};
use serde_json::json;

/// Runs one of the `revocation` commands.
pub(crate) async fn run(command: &Revocation, output: Output) -> Result<End, Stop> {
    match command {
        Revocation::List(args) => list(args, output).await,
        Revocation::Add(args) => add(args, output).await,
        Revocation::Lift(args) => lift(args, output).await,
    }
}

async fn list(args: &RevocationList, output: Output) -> Result<End, Stop> {
    let query = PageQuery { limit: Some(args.page.limit), after: args.page.after.clone() };
    let page = Verifier::open(&args.admin)?.revocations(&query).await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&page, || {
        if page.items.is_empty() {
            return "nothing is revoked".to_owned();
        }
        let row = |entry: &types::Revocation| {
            let ends = if entry.lifted { "lifted".to_owned() } else { maybe_moment(entry.until, now) };
            [word(entry.kind).to_owned(), entry.value.clone(), moment(entry.since, now), ends, entry.reason.clone()]
        };
        let rows: Vec<_> = page.items.iter().map(row).collect();
        let table = columns(["KIND", "WHICH", "SINCE", "ENDS", "REASON"], &rows);
        format!("{table}{}", more(page.next.as_deref()))
    });
    Ok(End::Yes)
}

async fn add(args: &RevocationAdd, output: Output) -> Result<End, Stop> {
    let (kind, value) = (kind(args.kind), &args.value);
    let revocation = NewRevocation { kind, value: value.clone(), reason: args.reason.clone() };
    Verifier::open(&args.admin)?.revoke(&revocation).await.map_err(stop)?;
    output.answer(&json!({ "revoked": { "kind": kind, "value": value } }), || {
        format!(
            "{} {value}: revoked; gateways refuse its tokens within seconds\n  take it back: assay revocation lift {} {value} --reason …",
            word(kind),
            word(kind)
        )
    });
    Ok(End::Yes)
}

async fn lift(args: &RevocationLift, output: Output) -> Result<End, Stop> {
    let (kind, value) = (kind(args.kind), &args.value);
    let lift = Lift { kind, value: value.clone(), reason: args.reason.clone() };
    Verifier::open(&args.admin)?.lift(&lift).await.map_err(stop)?;
    output.answer(&json!({ "lifted": { "kind": kind, "value": value } }), || {
        format!("{} {value}: lifted; gateways take its tokens again within seconds", word(kind))
    });
    Ok(End::Yes)
}

const fn kind(argument: RevocationKindArg) -> RevocationKind {
    match argument {
        RevocationKindArg::Device => RevocationKind::Device,
        RevocationKindArg::App => RevocationKind::App,
        RevocationKindArg::Build => RevocationKind::Build,
        RevocationKindArg::Kid => RevocationKind::Kid,
        RevocationKindArg::IssuedBefore => RevocationKind::IssuedBefore,
    }
}

const fn word(kind: RevocationKind) -> &'static str {
    match kind {
        RevocationKind::Device => "device",
        RevocationKind::App => "app",
        RevocationKind::Build => "build",
        RevocationKind::Kid => "kid",
        RevocationKind::IssuedBefore => "issued-before",
    }
}
