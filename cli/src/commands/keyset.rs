//! `assay keyset`: the keys that tokens are signed with, and how one takes over from another.
//!
//! In: which key. Out: what happens when, and whom it locks out.

use crate::args::{AdminArg, KeySet, KeySetRetire, KeySetRotate};
use crate::commands::confirm;
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, moment};
use attest_admin::types::{self, KeyState, Rotate, RotateWhen};
use attest_core::time::{Clock, SystemClock, UnixTime};
use serde_json::json;

/// Runs one of the `keyset` commands.
pub(crate) async fn run(command: &KeySet, output: Output) -> Result<End, Stop> {
    match command {
        KeySet::List(args) => list(args, output).await,
        KeySet::Rotate(args) => rotate(args, output).await,
        KeySet::Retire(args) => retire(args, output).await,
    }
}

async fn list(args: &AdminArg, output: Output) -> Result<End, Stop> {
    let sets = Verifier::open(args)?.key_sets().await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&sets, || sets.items.iter().map(|set| told(set, now)).collect::<Vec<_>>().join("\n\n"));
    Ok(End::Yes)
}

fn told(set: &types::KeySet, now: UnixTime) -> String {
    let row = |key: &types::SigningKey| {
        let state = match key.state {
            KeyState::Next => "next",
            KeyState::Active => "active",
            KeyState::Retiring => "retiring",
            KeyState::Retired => "retired",
        };
        let then = match (key.activates, key.ends) {
            (Some(at), _) => format!("signs {}", moment(at, now)),
            (None, Some(at)) if key.state == KeyState::Retiring => format!("is over {}", moment(at, now)),
            _ if key.revoked => "its tokens are revoked".to_owned(),
            _ => String::new(),
        };
        [state.to_owned(), key.kid.clone(), key.algorithm.clone(), moment(key.created, now), then]
    };
    let rows: Vec<_> = set.keys.iter().map(row).collect();
    let table = columns(["STATE", "KID", "ALGORITHM", "MADE", "THEN"], &rows);
    let safe = match set.safe_from {
        Some(at) if at > now.secs() => format!("\nevery gateway knows the next key {}", moment(at, now)),
        Some(_) => "\nevery gateway knows the next key: `assay keyset rotate` takes effect at once".to_owned(),
        None => String::new(),
    };
    let differs = set.differs.as_ref().map(|said| format!("\n{said}")).unwrap_or_default();
    format!("key set {} ({})\n{table}{safe}{differs}", set.name, set.concealment)
}

async fn rotate(args: &KeySetRotate, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let types::KeySet { name, differs, .. } = verifier.key_set().await?;
    if args.now {
        confirm::asked(args.yes, &name, || {
            let hand = if differs.is_some() { " Every token in hand is refused from then on." } else { "" };
            format!(
                "Rotate {name} now?{hand} Until a gateway has fetched the next key it refuses every token of it: whoever \
                 attests meanwhile is locked out there. Type the key set's name to go on:"
            )
        })?;
    }
    let when = if args.now { RotateWhen::Now } else { RotateWhen::Safe };
    let rotation = verifier.rotate(&name, &Rotate { when }).await.map_err(stop)?;
    warn(&rotation);
    let now = SystemClock.now();
    output.answer(&rotation, || {
        let (from, to) = (&rotation.from, &rotation.to);
        if rotation.scheduled {
            format!(
                "{to} takes over from {from} {}: by then every gateway knows it. Nobody is locked out; nothing is left to do.",
                moment(rotation.at, now)
            )
        } else {
            // Keys of another concealment don't stay in the set: they are wiped.
            let tokens = if differs.is_some() { "refused from now on" } else { "taken until they expire" };
            format!("{to} signs now. {from} signs no more; its tokens are {tokens}.")
        }
    });
    Ok(End::Yes)
}

async fn retire(args: &KeySetRetire, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let types::KeySet { name, .. } = verifier.key_set().await?;
    let kid = &args.kid;
    confirm::asked(args.yes, kid, || {
        format!(
            "Retire {kid}? Gateways refuse every token that it signed: whoever holds one attests anew. Type its kid to go on:"
        )
    })?;
    let rotation = verifier.retire_key(&name, kid).await.map_err(stop)?;
    warn(&rotation);
    output.answer(&json!({ "key_set": name, "retired": kid, "rotation": rotation }), || {
        format!("{kid}: retired; gateways refuse its tokens within seconds, apps attest anew. {} signs.", rotation.to)
    });
    Ok(End::Yes)
}

fn warn(rotation: &types::Rotation) {
    if let Some(warning) = &rotation.warning {
        note(&format!("warning: {warning}"));
    }
}
