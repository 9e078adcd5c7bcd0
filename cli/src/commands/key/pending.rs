//! `assay key pending`, `accept`, `reject`, `operator`. In: records that somebody sealed with the public key alone. Out: the
//! same as versions of keys, once a person compared fingerprints or signed.

use super::key_name;
use super::list::as_written;
use super::place::{Entry, Place};
use crate::args::{KeyOperator, KeyPendingName, KeyStoreArg};
use crate::commands::confirm;
use crate::output::{End, Output, Stop};
use attest_core::random::SystemRandom;
use audit::Change;
use keystore::operator::{OperatorKey, OperatorPublicKey};
use keystore::pending::PendingFingerprint;
use keystore::store::PendingInfo;
use serde_json::json;

/// `assay key pending`.
pub(super) async fn pending(args: &KeyStoreArg, output: Output) -> Result<End, Stop> {
    let store = Place::of(args).await?.inspect().await?;
    let operators: Vec<_> =
        store.operators().iter().map(|(name, key)| json!({ "name": name, "public_key": key.to_string() })).collect();
    output.answer(&json!({ "pending": store.pending(), "operators": operators }), || {
        let mut lines: Vec<_> = store.pending().iter().map(show).collect();
        if lines.is_empty() {
            lines.push("nothing is pending".to_owned());
        }
        lines.extend(store.operators().iter().map(|(name, key)| format!("operator {name} {key}")));
        lines.join("\n")
    });
    Ok(End::Yes)
}

fn show(record: &PendingInfo) -> String {
    let bounds = &record.bounds;
    let mut lines = vec![
        format!("{}  fingerprint {}", record.name, record.fingerprint),
        format!("    to      {} {}", bounds.schemes.join(","), bounds.hosts.join(" ")),
        format!("    as      {}", as_written(&bounds.recipe)),
        format!("    for     {} {}", bounds.methods.join(","), bounds.paths.join(" ")),
        format!("    trust   {}", bounds.trust),
    ];
    lines.extend(record.signer.as_ref().map(|signer| format!("    signed  {signer}")));
    lines.push(format!("    state   {}", record.state));
    lines.join("\n")
}

/// `assay key accept`.
pub(super) async fn accept(args: &KeyPendingName, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    let fingerprint = compared(args, &place).await?;
    let put = place
        .change(|editor| {
            let put = editor.accept(&name, Some(fingerprint))?;
            let mut entry = Entry::of_key(Change::Accept, &name);
            entry.version = Some(put.version.get());
            entry.fingerprint = Some(put.fingerprint.to_string());
            Ok((put, entry))
        })
        .await?;
    let answer = json!({ "name": name.as_str(), "version": put.version, "state": put.state, "fingerprint": put.fingerprint.to_string() });
    output.answer(&answer, || {
        format!("accepted {name}: version {} is {} (fingerprint {})", put.version, put.state, put.fingerprint)
    });
    Ok(End::Yes)
}

/// `assay key reject`.
pub(super) async fn reject(args: &KeyPendingName, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store).await?;
    let fingerprint = compared(args, &place).await?;
    let gone = place
        .change(|editor| {
            let gone = editor.reject(&name, Some(fingerprint))?;
            let mut entry = Entry::of_key(Change::Reject, &name);
            entry.detail = Some(format!("pending {fingerprint}"));
            Ok((gone, entry))
        })
        .await?;
    output.answer(&json!({ "rejected": name.as_str(), "records": gone }), || format!("rejected {name}"));
    Ok(End::Yes)
}

/// The fingerprint that a person has compared: given, or typed at a prompt that shows none.
async fn compared(args: &KeyPendingName, place: &Place) -> Result<PendingFingerprint, Stop> {
    let wrong = || Stop::usage("--fingerprint: 32 hex digits, as `assay key seal` printed them");
    if let Some(text) = &args.fingerprint {
        return PendingFingerprint::parse(text).ok_or_else(wrong);
    }
    let store = place.inspect().await?;
    let mut of_name = store.pending().iter().filter(|record| record.name == args.name);
    let (one, more) = (of_name.next(), of_name.count());
    let one = one.ok_or_else(|| Stop::no(format!("no record of key \"{}\" is pending", args.name)))?;
    if more > 0 {
        return Err(Stop::usage(format!("{} records of key \"{}\" are pending", more + 1, args.name))
            .hint("say which with --fingerprint; `assay key pending` shows them"));
    }
    confirm::asked(false, &one.fingerprint, || {
        format!("{}\nAsk whoever sealed it for the fingerprint that was printed there, and type it:", show(one))
    })
    .map_err(|stop| stop.hint("off a terminal: --fingerprint, as whoever sealed it reads it out"))?;
    PendingFingerprint::parse(&one.fingerprint).ok_or_else(wrong)
}

/// `assay key operator …`.
pub(super) async fn operator(command: &KeyOperator, output: Output) -> Result<End, Stop> {
    match command {
        KeyOperator::Create { out } => {
            let key = OperatorKey::create_file(out, &SystemRandom).map_err(|e| Stop::usage(e.to_string()))?;
            let public = key.public().to_string();
            output.answer(&json!({ "file": out, "public_key": public }), || public.clone());
        }
        KeyOperator::Add { name, public_key, store } => {
            let name = key_name(name)?;
            let key = OperatorPublicKey::parse(public_key).map_err(|e| Stop::usage(e.to_string()))?;
            let place = Place::of(store).await?;
            place
                .change(|editor| {
                    editor.add_operator(&name, key)?;
                    let mut entry = Entry::of(Change::AddOperator);
                    entry.detail = Some(format!("{name} {key}"));
                    Ok(((), entry))
                })
                .await?;
            output.answer(&json!({ "operator": name.as_str(), "public_key": key.to_string() }), || {
                format!("{name} may seal keys for this store and sign them in")
            });
        }
        KeyOperator::Remove { name, store } => {
            let name = key_name(name)?;
            let place = Place::of(store).await?;
            place
                .change(|editor| {
                    editor.remove_operator(&name)?;
                    let mut entry = Entry::of(Change::RemoveOperator);
                    entry.detail = Some(name.to_string());
                    Ok(((), entry))
                })
                .await?;
            output.answer(&json!({ "removed_operator": name.as_str() }), || format!("{name} is no operator any more"));
        }
    }
    Ok(End::Yes)
}
