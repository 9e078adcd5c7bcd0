//! `assay token check`: the verdict, reason and claims of one token.
//!
//! In: a token, and keys from an option or as a route of the configuration has them. Out: the same verdict that a
//! gateway would give, by the same code; 0 only for `attested`.

use crate::args::{Token, TokenCheck};
use crate::commands::config;
use crate::feed;
use crate::output::{End, Output, Stop, note};
use crate::verifier::stored;
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::token::Algorithm;
use attest_core::token::binding::{BindingStyle, BindingValue};
use attest_core::token::key_set::{KeySet, KeySetDraft, KeySetError, SignatureState, VerificationKey};
use attest_core::token::verify::{Expect, Verified, check, inspect};
use attest_core::verdict::Verdict;
use serde_json::json;
use settings::{AttestationSource, IssuerProfile, IssuerRef, Settings};
use std::sync::Arc;
use std::time::Duration;

mod input;

use input::{decode, ends_with_line, read, strip_bearer, token_text, warn_secret};

/// Runs one of the `token` commands.
pub(crate) async fn run(command: &Token, output: Output) -> Result<End, Stop> {
    match command {
        Token::Check(args) => check_token(args, output).await,
        Token::Issue(args) => super::token_issue::run(args, output).await,
    }
}

/// What a token is held against.
struct Against {
    keys: Result<Arc<KeySet>, KeySetError>,
    issuer: Option<String>,
    audience: Option<String>,
    max_lifetime: Option<Duration>,
    leeway: Option<Duration>,
    bind: Vec<http::HeaderName>,
    style: BindingStyle,
    pay_optional: bool,
    bearer_ok: bool,
    allow_dev: bool,
    bearer: bool,
}

async fn check_token(args: &TokenCheck, output: Output) -> Result<End, Stop> {
    let mut against = match &args.route {
        Some(route) => of_route(args, route).await?,
        None => Against {
            keys: keys(args)?,
            issuer: None,
            audience: None,
            max_lifetime: None,
            leeway: None,
            bind: Vec::new(),
            style: BindingStyle::Concatenated,
            pay_optional: false,
            bearer_ok: true,
            allow_dev: false,
            bearer: true,
        },
    };
    against.issuer = args.issuer.clone().or(against.issuer);
    against.audience = args.audience.clone().or(against.audience);
    let text = token_text(&args.token)?;
    let text = if against.bearer { strip_bearer(&text) } else { &text };
    let bound = bound_values(args, &against)?;
    let values: Vec<&[u8]> = bound.iter().flatten().map(String::as_bytes).collect();
    let binding = match &bound {
        None => None,
        Some(given) if given.is_empty() => Some(BindingValue::HeaderMissing),
        Some(_) => Some(BindingValue::Present { values: &values, style: against.style }),
    };
    let now = args.at.map_or_else(|| SystemClock.now(), UnixTime::from_secs);
    let defaults = Expect::valid_at(now);
    let expect = Expect {
        issuer: against.issuer.as_deref(),
        audience: against.audience.as_deref(),
        leeway: against.leeway.unwrap_or(defaults.leeway),
        max_lifetime: against.max_lifetime,
        binding,
        pay_optional: against.pay_optional,
        bearer_ok: against.bearer_ok,
        allow_dev: against.allow_dev,
        ..defaults
    };
    let (verified, signature, claims) = match &against.keys {
        _ if text.is_empty() => (Verified::missing(), SignatureState::Unchecked, None),
        Err(error) => {
            note(&format!("no usable key: {error}"));
            (Verified::unverifiable("no_usable_key"), SignatureState::Unchecked, None)
        }
        Ok(keys) => {
            let found = inspect(text.as_bytes(), keys);
            let verified = match &found.outcome {
                Ok(authenticated) => check(authenticated, &expect),
                Err((verdict, reason)) => Verified::refused(*verdict, reason, false),
            };
            (verified, found.signature, found.claims)
        }
    };
    let verdict = verified.verdict();
    if verdict == Verdict::BadSignature && args.secret_file.as_deref().is_some_and(ends_with_line) {
        note("note: the secret's file ends with a line break, which counts as part of the secret");
    }
    let signature = match signature {
        SignatureState::Genuine => "genuine",
        SignatureState::Decoy => "decoy",
        SignatureState::Bad => "bad",
        SignatureState::Unchecked => "unchecked",
    };
    let answer = json!({
        "verdict": verdict.as_str(),
        "reason": verified.reason(),
        "signature": signature,
        "tier": verified.tier().as_str(),
        "claims": claims,
    });
    output.answer(&answer, || {
        let claims = claims.as_ref().map(|c| format!("\n{c:#}")).unwrap_or_default();
        format!("{} ({}); signature {signature}{claims}", verdict.as_str(), verified.reason())
    });
    Ok((verdict == Verdict::Attested).into())
}

/// The keys that an option names.
fn keys(args: &TokenCheck) -> Result<Result<Arc<KeySet>, KeySetError>, Stop> {
    let alg = args.alg.as_deref().map(|text| {
        text.parse::<Algorithm>()
            .map_err(|_| Stop::usage(format!("--alg {text}: HS256, HS384, HS512, ES256, ES384, RS256, PS256 or EdDSA")))
    });
    let alg = alg.transpose()?;
    let secret = |bytes: &[u8]| -> Result<Arc<KeySet>, KeySetError> {
        let keys = match alg {
            Some(alg) => vec![VerificationKey::hmac(None, alg, bytes, None)?],
            None => vec![VerificationKey::hmac(None, Algorithm::HS256, bytes, None)?],
        };
        KeySet::new(KeySetDraft::imported("given", keys)).map(Arc::new)
    };
    if let Some(text) = &args.secret_base64 {
        warn_secret("--secret-base64");
        return Ok(secret(&decode(text, "--secret-base64", &[data_encoding::BASE64, data_encoding::BASE64_NOPAD])?));
    }
    if let Some(text) = &args.secret_base64url {
        warn_secret("--secret-base64url");
        return Ok(secret(&decode(
            text,
            "--secret-base64url",
            &[data_encoding::BASE64URL_NOPAD, data_encoding::BASE64URL],
        )?));
    }
    if let Some(path) = &args.secret_file {
        return Ok(secret(&read(path)?));
    }
    if let Some(path) = &args.jwks {
        return Ok(KeySet::from_jwks("given", &read(path)?).map(Arc::new));
    }
    if let Some(path) = &args.pem {
        let pem = read(path)?;
        let alg = alg.ok_or_else(|| Stop::usage("--pem needs --alg"))?;
        let key = VerificationKey::from_pem(None, alg, &pem);
        return Ok(key.and_then(|key| KeySet::new(KeySetDraft::imported("given", vec![key]))).map(Arc::new));
    }
    Err(Stop::usage("name the keys: --secret-file, --jwks, --pem, or --route with -c"))
}

/// Everything as this route of the configuration has it.
async fn of_route(args: &TokenCheck, name: &str) -> Result<Against, Stop> {
    let settings = config::load(&args.config)?;
    let route =
        settings.route(name).ok_or_else(|| Stop::usage(format!("no route {name:?} in {}", settings.path.display())))?;
    let token = &route.token;
    let mut against = match &token.issuer {
        IssuerRef::Named(name) => {
            let issuer = settings.issuers.get(name).ok_or_else(|| Stop::no(format!("no issuer {name:?}")))?;
            let approov = issuer.profile == IssuerProfile::Approov;
            Against {
                keys: Ok(Arc::clone(&issuer.key_set)),
                issuer: issuer.issuer.clone(),
                audience: issuer.audience.clone(),
                max_lifetime: Some(issuer.max_lifetime),
                leeway: Some(issuer.leeway),
                bind: Vec::new(),
                style: if approov { BindingStyle::Concatenated } else { BindingStyle::LengthPrefixed },
                pay_optional: false,
                bearer_ok: false,
                allow_dev: false,
                bearer: false,
            }
        }
        IssuerRef::Own => own(&settings).await?,
    };
    against.bind.clone_from(&token.bind);
    against.pay_optional = token.danger_pay_optional;
    against.bearer_ok = token.bearer_ok;
    against.allow_dev = token.allow_dev;
    against.bearer = token.optional_bearer_prefix;
    Ok(against)
}

/// Our own issuer: its key set from the service's state, or fetched as a gateway fetches it.
async fn own(settings: &Settings) -> Result<Against, Stop> {
    let attestation = settings.attestation.as_ref().ok_or_else(|| Stop::no("the configuration has no attestation:"))?;
    let keys = match &attestation.source {
        AttestationSource::Serve(_) => tokio::task::block_in_place(|| {
            let issuer = stored(settings)?.issuer();
            issuer.and_then(|issuer| issuer.key_set()).map_err(|e| Stop::unknown(e.to_string()))
        })?,
        AttestationSource::Remote(remote) => {
            let sets = feed::fetch(remote).await?.key_sets().map_err(|e| Stop::unknown(e.to_string()))?;
            let wanted = &attestation.token.key_set;
            sets.into_iter()
                .find(|set| set.name() == wanted)
                .ok_or_else(|| Stop::no(format!("the service has no key set {wanted:?}")))?
        }
    };
    Ok(Against {
        issuer: keys.issuer().map(str::to_owned),
        audience: keys.audience().map(str::to_owned),
        max_lifetime: keys.max_lifetime(),
        keys: Ok(Arc::new(keys)),
        leeway: Some(attestation.token.leeway),
        bind: Vec::new(),
        style: BindingStyle::LengthPrefixed,
        pay_optional: false,
        bearer_ok: false,
        allow_dev: false,
        bearer: false,
    })
}

/// The values that the token has to be bound to: `None` when nothing binds, empty when a bound header is missing.
fn bound_values(args: &TokenCheck, against: &Against) -> Result<Option<Vec<String>>, Stop> {
    let mut given = Vec::new();
    for text in &args.bind {
        let (name, value) =
            text.split_once(':').ok_or_else(|| Stop::usage(format!("--bind {text:?}: write 'Name: value'")))?;
        let name: http::HeaderName =
            name.trim().parse().map_err(|_| Stop::usage(format!("--bind {text:?}: not a header name")))?;
        given.push((name, value.trim().to_owned()));
    }
    if against.bind.is_empty() {
        let values: Vec<_> = given.into_iter().map(|(_, value)| value).collect();
        return Ok((!values.is_empty()).then_some(values));
    }
    let mut values = Vec::new();
    for wanted in &against.bind {
        let mut found = given.iter().filter(|(name, _)| name == wanted);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => values.push(value.clone()),
            _ => return Ok(Some(Vec::new())),
        }
    }
    Ok(Some(values))
}
