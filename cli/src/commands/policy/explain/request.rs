//! A request that is made up from options.

use super::Source;
use crate::args::PolicyExplain;
use crate::output::Stop;
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::token::asv::{DeviceState, annotations};
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderName, HeaderValue};
use policies::yaml::scalar;
use policies::{Cause, Explanation, Mode, RequestFacts, Subject, User};
use serde_json::{Map, Value};

/// Explains what the policy does with it.
pub(super) fn explain(args: &PolicyExplain, source: &Source) -> Result<Explanation, Stop> {
    let method = args.method.parse().map_err(|_| Stop::usage(format!("--method {}: not a method", args.method)))?;
    let path = args.path.as_deref().unwrap_or_default();
    let path = path.parse().map_err(|_| Stop::usage(format!("--path {path}: not a path")))?;
    let target = Target::parse(&method, Scheme::Https, &args.host, &path, TargetOptions::default())
        .map_err(|e| Stop::no(format!("the gateway answers this target with 400 before any policy: {e}")))?;
    let headers = headers(&args.headers)?;
    let who = subject(args)?;
    let user = args.user.as_ref().map(|user| user_of(user, &args.user_claims)).transpose()?;
    let facts = RequestFacts {
        target: &target,
        route: args.route.as_deref().unwrap_or(""),
        address: args.address,
        headers: &headers,
        injects: source.injects,
        fail_safe: source.fail_safe,
        now: args.at.map_or_else(|| SystemClock.now(), UnixTime::from_secs),
        caller: args.caller.as_deref(),
        user: user.as_ref().map(|(issuer, subject, claims)| User { issuer, subject, claims }),
        mode: mode(&args.mode)?,
    };
    Ok(policies::explain(&source.policy, &who, &facts))
}

fn subject(args: &PolicyExplain) -> Result<Subject<'_>, Stop> {
    let word = args.verdict.as_deref().unwrap_or_default();
    let verdict: Verdict = word.parse().map_err(|_| {
        let all = Verdict::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ");
        Stop::usage(format!("--verdict {word}: not a verdict")).hint(format!("one of {all}"))
    })?;
    let mut who = Subject::supposed(verdict);
    who.app = args.app.as_deref();
    who.version = args.app_version.as_deref();
    if let Some(tier) = &args.tier {
        who.tier = tier
            .parse()
            .map_err(|_| Stop::usage(format!("--tier {tier}: none, contraindicated, warning or affirming")))?;
    }
    let mut kinds = EvidenceKinds::EMPTY;
    for kind in &args.evidence {
        kinds.insert(
            kind.parse::<EvidenceKind>()
                .map_err(|_| Stop::usage(format!("--evidence {kind}: not a kind of Evidence")))?,
        );
    }
    who.kinds = kinds;
    let time = |option: &str, text: &Option<String>| {
        let read = text.as_ref().map(|text| scalar::duration(text)).transpose();
        read.map_err(|hint| Stop::usage(format!("{option}: not a length of time")).hint(hint))
    };
    who.expired_for = time("--expired-for", &args.expired_for)?;
    who.device_age = time("--device-age", &args.device_age)?;
    who.device = args.device.as_deref();
    who.own_device = args.device.as_deref().map(str::as_bytes);
    if let Some(state) = &args.device_state {
        let found = DeviceState::ALL.into_iter().find(|one| one.as_str() == state);
        who.device_state =
            found.ok_or_else(|| Stop::usage(format!("--device-state {state}: normal or forced_pass")))?;
    }
    who.annotations = if args.dev { annotations::DEV.into() } else { 0 };
    Ok(who)
}

fn mode(word: &str) -> Result<Mode, Stop> {
    let all = [Mode::Normal, Mode::Lockdown, Mode::Monitor(Cause::Panic), Mode::Monitor(Cause::Guard)];
    let found = all.into_iter().find(|mode| mode.as_str() == word);
    found.ok_or_else(|| Stop::usage(format!("--mode {word}: normal, lockdown, monitor or guard")))
}

fn user_of(text: &str, claims: &[String]) -> Result<(String, String, Map<String, Value>), Stop> {
    let (issuer, subject) =
        text.split_once(':').ok_or_else(|| Stop::usage(format!("--user {text}: write ISSUER:SUBJECT")))?;
    let mut all = Map::new();
    for claim in claims {
        let (name, value) =
            claim.split_once('=').ok_or_else(|| Stop::usage(format!("--user-claim {claim}: write NAME=VALUE")))?;
        all.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    all.insert("sub".to_owned(), subject.into());
    Ok((issuer.to_owned(), subject.to_owned(), all))
}

fn headers(given: &[String]) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::new();
    for text in given {
        let wrong = || Stop::usage(format!("--header {text:?}: write 'Name: value'"));
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}
