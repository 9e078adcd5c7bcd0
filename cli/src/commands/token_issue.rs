//! `assay token issue`: a test token, signed with the real key and marked `dev`.
//!
//! In: an app and the route it is for. Out: the token on standard output; the audit log says who took it. What is proven:
//! where the configuration knows the route, it lets such tokens in; gateways check it in any case.

use crate::args::TokenIssue;
use crate::commands::config;
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::moment;
use attest_admin::types::NewTestToken;
use attest_core::time::{Clock, SystemClock};
use attest_core::token::binding::{BindingStyle, binding_hash};

/// Issues it.
pub(crate) async fn run(args: &TokenIssue, output: Output) -> Result<End, Stop> {
    check_route(args)?;
    let new = NewTestToken {
        app: args.app.clone(),
        version: args.app_version.clone(),
        verdict: Some(args.verdict.clone()),
        binding: args.bind.as_deref().map(binding).transpose()?,
        seconds: args.span.map(|span| u32::try_from(span.seconds()).unwrap_or(u32::MAX)),
    };
    let issued = Verifier::open(&args.admin)?.test_token(&new).await.map_err(stop)?;
    note(&format!(
        "a test token for {}, over {}; the audit log says who took it",
        args.app,
        moment(issued.until, SystemClock.now())
    ));
    output.answer(&issued, || issued.token.clone());
    Ok(End::Yes)
}

/// The route has to take test tokens. From afar without a configuration, only the gateway can tell.
fn check_route(args: &TokenIssue) -> Result<(), Stop> {
    let known = args.admin.remote.is_none() || args.admin.config.config.is_some();
    if !known {
        note("note: without a configuration (-c) it was not checked whether the route takes test tokens");
        return Ok(());
    }
    let settings = config::load(&args.admin.config)?;
    let route = settings
        .route(&args.route)
        .ok_or_else(|| Stop::usage(format!("no route {:?} in {}", args.route, settings.path.display())))?;
    if route.token.allow_dev {
        return Ok(());
    }
    Err(Stop::no(format!("the route {} takes no test tokens", args.route)).hint(format!(
        "routes: {{ {}: {{ token: {{ allow_dev: true }} }} }}, on a route that is for tests alone",
        args.route
    )))
}

/// The hash of one bound header's value.
fn binding(header: &str) -> Result<String, Stop> {
    let (_, value) =
        header.split_once(':').ok_or_else(|| Stop::usage(format!("--bind {header:?}: write 'Name: value'")))?;
    Ok(attest_core::b64u::encode(&binding_hash(&[value.trim().as_bytes()], BindingStyle::LengthPrefixed)))
}
