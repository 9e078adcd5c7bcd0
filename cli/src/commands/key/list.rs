//! `assay key list` and `public`. In: an opened store, or a running gateway. Out: what is known of keys, but for their
//! values.

use super::place::Place;
use crate::args::{KeyList, KeyStoreArg};
use crate::commands::gateway;
use crate::output::{End, Output, Stop};
use crate::words::moment;
use attest_core::time::{Clock, SystemClock, UnixTime};
use keystore::bounds::{Recipe, RecipeText};
use keystore::store::{Disabled, KeyInfo};
use serde::Deserialize;
use serde_json::{Value, json};

/// 32,768 versions of keys take some 16 MiB.
const MOST_ANSWER: usize = 32 * 1024 * 1024;

/// `assay key list`.
pub(super) async fn list(args: &KeyList, output: Output) -> Result<End, Stop> {
    if args.gateway.gateway.is_some() {
        return of_gateway(args, output).await;
    }
    let place = Place::of(&args.store).await?;
    let store = place.inspect().await?;
    let at = place.source.document().map_or_else(|_| String::new(), |document| document.place());
    let pending = store.pending().len();
    let answer = json!({
        "store": at, "id": store.id(), "generation": store.generation(), "kek": store.kek(), "pending": pending, "keys": store.list(),
    });
    output.answer(&answer, || {
        let mut lines: Vec<_> = store.list().iter().map(|key| show(key, &place.routes_of(&key.name))).collect();
        if lines.is_empty() {
            lines.push(format!("{at} holds no key; put one in with `assay key put`"));
        }
        if pending > 0 {
            lines.push(format!("{pending} pending; `assay key pending` shows them"));
        }
        lines.push(format!("generation {}", store.generation()));
        lines.join("\n")
    });
    Ok(End::Yes)
}

/// A key as a person reads it.
fn show(key: &KeyInfo, routes: &[&str]) -> String {
    let mut lines = vec![format!("{}{}", key.name, off(key.disabled))];
    if !routes.is_empty() {
        lines.push(format!("  routes    {}", routes.join(" ")));
    }
    for version in &key.versions {
        let bounds = &version.bounds;
        let recipe = as_written(&bounds.recipe);
        lines.push(format!("  version {} {:<9} fingerprint {}", version.version, version.state, version.fingerprint));
        lines.push(format!("    to      {} {}", bounds.schemes.join(","), bounds.hosts.join(" ")));
        lines.push(format!("    as      {recipe}"));
        lines.push(format!("    for     {} {}", bounds.methods.join(","), bounds.paths.join(" ")));
        lines.push(format!("    trust   {}", bounds.trust));
    }
    lines.join("\n")
}

/// A recipe in one line: what goes where.
pub(super) fn as_written(recipe: &RecipeText) -> String {
    match recipe {
        RecipeText::Header { name, template } => format!("{name}: {template}"),
        RecipeText::Query { name, template } => format!("?{name}={template}"),
        RecipeText::Basic { user, password } => format!("basic {user}:{password}"),
        RecipeText::Cookie { name, template } => format!("cookie {name}={template}"),
        RecipeText::PathSegment { at, template } => format!("path segment {at}: {template}"),
        RecipeText::JsonField { pointer, template } => format!("JSON field {pointer}: {template}"),
        RecipeText::FormField { name, template } => format!("form field {name}={template}"),
        other => Recipe::parse(other).map_or_else(|e| e.to_string(), |recipe| recipe.describe()),
    }
}

fn off(disabled: Option<Disabled>) -> String {
    let now = SystemClock.now();
    match disabled.filter(|disabled| disabled.is_in_force(now)) {
        None => String::new(),
        Some(Disabled { until: None }) => "  disabled until `assay key enable`".to_owned(),
        Some(Disabled { until: Some(until) }) => {
            format!("  disabled until `assay key enable`, at the latest {}", moment(until.secs(), now))
        }
    }
}

/// What a running gateway has and uses.
async fn of_gateway(args: &KeyList, output: Output) -> Result<End, Stop> {
    let answer = gateway::ask(&args.gateway, &args.store.config, "/keys", MOST_ANSWER).await?;
    let answer = answer.ok_or_else(|| Stop::unknown("this gateway is older: it has no list of keys"))?;
    let unreadable = |e: serde_json::Error| Stop::unknown(format!("the gateway's list of keys can't be read: {e}"));
    let whole: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
    let keys: Vec<Told> = serde_json::from_value(whole.get("keys").cloned().unwrap_or_default()).map_err(unreadable)?;
    output.answer(&whole, || match keys.as_slice() {
        [] => "this gateway has no keys".to_owned(),
        keys => keys.iter().map(Told::show).collect::<Vec<_>>().join("\n"),
    });
    Ok(End::Yes)
}

/// A key, as a gateway tells it.
#[derive(Deserialize)]
struct Told {
    name: String,
    disabled: Option<ToldDisabled>,
    routes: Vec<String>,
    versions: Vec<ToldVersion>,
}

/// Switched off; Unix seconds.
#[derive(Deserialize)]
struct ToldDisabled {
    until: Option<i64>,
}

#[derive(Deserialize)]
struct ToldVersion {
    version: u32,
    state: String,
    fingerprint: String,
    hosts: Vec<String>,
    uses: u64,
    last_use: Option<i64>,
    /// An older gateway does not count it.
    #[serde(default)]
    refused: u64,
    #[serde(default)]
    last_refused: Option<i64>,
}

impl Told {
    fn show(&self) -> String {
        let now: UnixTime = SystemClock.now();
        let routes = if self.routes.is_empty() { "none".to_owned() } else { self.routes.join(" ") };
        let disabled = self.disabled.as_ref().map(|off| Disabled { until: off.until.map(UnixTime::from_secs) });
        let mut lines = vec![format!("{}{}", self.name, off(disabled)), format!("  routes    {routes}")];
        for version in &self.versions {
            let used = match version.last_use {
                None => "not yet, since this gateway started".to_owned(),
                Some(last) => format!("{} times, last {}", version.uses, moment(last, now)),
            };
            lines.push(format!(
                "  version {} {:<9} fingerprint {}",
                version.version, version.state, version.fingerprint
            ));
            lines.push(format!("    to      {}", version.hosts.join(" ")));
            lines.push(format!("    used    {used}"));
            if let Some(last) = version.last_refused {
                lines.push(format!(
                    "    REFUSED {} times by the API (401), last {}",
                    version.refused,
                    moment(last, now)
                ));
            }
        }
        lines.join("\n")
    }
}

/// `assay key public`.
pub(super) async fn public(args: &KeyStoreArg, output: Output) -> Result<End, Stop> {
    let store = Place::of(args).await?.inspect().await?;
    let public = store.public_key().to_string();
    output.answer(&json!({ "public_key": public, "store": store.id() }), || public.clone());
    Ok(End::Yes)
}
