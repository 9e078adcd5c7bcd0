//! `assay kek`: the key-encryption key. In: a store, and where another key comes from. Out: what it is locked with; or the
//! whole store wrapped anew, in one replacement, and words on what to back up and what this does not do.

use crate::args::{Kek, KekRotate, KeyStoreArg};
use crate::commands::config;
use crate::commands::key::place::{Entry, Log, Place, not_done, refused};
use crate::output::{End, Output, Stop, note};
use attest_core::random::SystemRandom;
use audit::{AuditKey, Change};
use key_sources::KeySource;
use keystore::kek::{KekHeader, KekProvider};
use keystore::store::rotate_kek_in_place;
use keystore::{Keystore, MasterKey, StoreError};
use serde_json::json;
use settings::{AttestationSource, KeysSettings, Settings, Unlock};
use std::path::{Path, PathBuf};

/// Runs one of the `kek` commands.
pub(crate) async fn run(command: &Kek, output: Output) -> Result<End, Stop> {
    match command {
        Kek::Show(args) => show(args, output).await,
        Kek::Rotate(args) => rotate(args, output).await,
    }
}

async fn show(args: &KeyStoreArg, output: Output) -> Result<End, Stop> {
    let place = Place::of(args).await?;
    let store = place.inspect().await?;
    let unlock = &place.source.settings().unlock;
    let answer = json!({
        "kek": store.kek(), "unlock": words(unlock), "back_up": back_up(unlock), "store": store.id(), "generation": store.generation(),
    });
    output.answer(&answer, || {
        let kek = store.kek();
        let mut lines = vec![format!("key-encryption key {} ({})", kek.id(), kek.provider().kind())];
        match kek.provider() {
            KekProvider::Passphrase { argon2id } => lines.push(format!(
                "argon2id: {} MiB, {} passes, {} lanes",
                argon2id.memory_kib / 1024,
                argon2id.passes,
                argon2id.lanes
            )),
            KekProvider::Vault { mount, key, .. } => lines.push(format!("wrapped by Vault: {mount}/{key}")),
            KekProvider::AwsKms { region, key_id, .. } => {
                lines.push(format!("wrapped by AWS KMS: {key_id} in {region}"))
            }
            _ => {}
        }
        lines.push(format!("opened by: unlock: {}", words(unlock)));
        lines.push(format!("back up: {}", back_up(unlock)));
        lines.join("\n")
    });
    Ok(End::Yes)
}

async fn rotate(args: &KekRotate, output: Output) -> Result<End, Stop> {
    let place = Place::of(&args.store).await?;
    let old = place.source.settings().unlock.clone();
    let new = match &args.to {
        Some(to) => to_unlock(to)?,
        None => old.clone(),
    };
    if let Some(path) = place.settings.as_ref().and_then(|settings| also_the_services(settings, &old)) {
        return Err(Stop::no(format!(
            "{} opens the attestation service's own secrets too, and they are not wrapped anew: nothing was changed",
            path.display()
        ))
        .hint("give the service a copy of it under another name first, and name that in attestation.serve.unlock"));
    }
    let before = match place.inspect().await {
        Ok(before) => before,
        Err(why) if args.to.is_some() => return done_before(&place, &new, why, output).await,
        Err(why) => return Err(why),
    };
    let log = place.log(AuditKey::new(before.audit_key()))?;
    let kek = match (&args.to, &old) {
        (None, Unlock::File(path)) => in_place(&place, path, &before, log)?,
        (None, Unlock::Vault(_) | Unlock::AwsKms(_)) => move_to(&place, &new, &before, log).await?,
        (None, Unlock::PassphraseFile(_) | Unlock::Environment(_) | Unlock::Systemd(_)) => {
            return Err(Stop::usage(format!("a new key can't be put into {} from here", words(&old)))
                .hint("write the new one somewhere and say where: --to file:NEW.key, --to passphrase_file:NEW.txt"));
        }
        (Some(_), _) if new == old => {
            return Err(Stop::usage(format!("the store is opened by {} already", words(&old)))
                .hint("without --to a new key is made in the same place"));
        }
        (Some(_), _) => move_to(&place, &new, &before, log).await?,
    };
    let names: Vec<&str> = before.list().iter().map(|key| key.name.as_str()).collect();
    let moved = new != old;
    let answer = json!({ "kek": kek, "before": before.kek().id(), "unlock": words(&new), "back_up": back_up(&new), "keys": names });
    output.answer(&answer, || {
        let mut lines = vec![format!("the store is locked with key-encryption key {kek} now")];
        if moved && place.settings.is_some() {
            lines.push(format!("write into the configuration: keys: {{ unlock: {} }}; until then gateways go on with what they have", words(&new)));
            lines.extend(old_file(&old).map(|path| format!("and when every gateway has it, delete the old one: {}", path.display())));
        }
        lines.push(format!("back up: {}", back_up(&new)));
        if !names.is_empty() {
            lines.push(format!(
                "who had the old key and an old store has the secrets in it. If that is why you rotate, put new keys at the vendors: {}",
                names.join(", ")
            ));
        }
        lines.join("\n")
    });
    Ok(End::Yes)
}

/// The store does not open as the configuration says. Where it opens with the new key, an interrupted command has come to its
/// end, and only its words are missing; else `why` is.
async fn done_before(place: &Place, new: &Unlock, why: Stop, output: Output) -> Result<End, Stop> {
    let settings = KeysSettings { unlock: new.clone(), ..place.source.settings().clone() };
    let opened = KeySource::new(&settings).inspect(&place.memory).await;
    let Ok(store) = opened.map(|opened| opened.store) else { return Err(why) };
    let kek = store.kek().id().to_owned();
    let answer = json!({ "kek": kek, "before": null, "unlock": words(new), "back_up": back_up(new), "keys": [] });
    output.answer(&answer, || {
        format!(
            "the store is locked with key-encryption key {kek} already; write into the configuration: keys: {{ unlock: {} }}\nback up: {}",
            words(new),
            back_up(new)
        )
    });
    Ok(End::Yes)
}

/// A new key in the same file; killed at any moment, the same command ends it.
fn in_place(place: &Place, path: &Path, before: &Keystore, mut log: Log) -> Result<String, Stop> {
    let mut entries = Entry::of_signed_in(before.signed_in());
    entries.push(Entry::of(Change::RotateKek));
    let document = place.source.document_to_write().map_err(|e| refused(&e))?;
    let rotated = log.first(entries, || rotate_kek_in_place(document, path, &place.memory, &SystemRandom))?;
    if rotated.resumed {
        note("a rotation that was interrupted has been brought to its end");
    }
    Ok(rotated.id)
}

/// To a key that comes from `unlock`.
async fn move_to(place: &Place, unlock: &Unlock, before: &Keystore, mut log: Log) -> Result<String, Stop> {
    if let Unlock::File(path) = unlock
        && !path.exists()
    {
        MasterKey::create_file(path, &SystemRandom).map_err(|e| Stop::unknown(e.to_string()))?;
        note(&format!("made a new key: {}", path.display()));
    }
    let mut editor = place.source.edit(&place.memory).await.map_err(|e| refused(&e))?;
    let (master, head): (MasterKey, KekHeader) = place.source.new_master_key(unlock).await.map_err(|e| refused(&e))?;
    match editor.rotate_kek(head, &master, &SystemRandom) {
        // What an interrupted command would have done is done.
        Err(StoreError::SameKek { id }) => {
            note("the store is locked with this key already");
            return Ok(id);
        }
        other => other.map_err(|e| not_done(&e))?,
    }
    let mut entry = Entry::of(Change::RotateKek);
    entry.detail = Some(format!("{} to {} ({})", before.kek(), master.id(), key_sources::unlock::kind(unlock)));
    let mut entries = Entry::of_signed_in(editor.signed_in());
    entries.push(entry);
    log.first(entries, || editor.commit(&place.memory))?;
    Ok(master.id())
}

/// Where `--to` says that the new key comes from.
fn to_unlock(to: &str) -> Result<Unlock, Stop> {
    let usage = || {
        Stop::usage(format!("--to {to}: not a place for a key")).hint(
            "file:PATH, passphrase_file:PATH, env:NAME, systemd:NAME, or config:FILE for `keys.unlock` of another file",
        )
    };
    let (kind, what) = to.split_once(':').filter(|(_, what)| !what.is_empty()).ok_or_else(usage)?;
    match kind {
        // As the configuration will name it, whatever the working directory is then.
        "file" => Ok(Unlock::File(absolute(what)?)),
        "passphrase_file" => Ok(Unlock::PassphraseFile(absolute(what)?)),
        "env" => Ok(Unlock::Environment(what.to_owned())),
        "systemd" if !what.contains('/') && what != ".." => Ok(Unlock::Systemd(what.to_owned())),
        "config" => {
            let settings = config::load(&crate::args::ConfigArg { config: Some(PathBuf::from(what)) })?;
            Ok(settings.keys.ok_or_else(|| Stop::no(format!("{what} has no `keys:`")))?.unlock)
        }
        _ => Err(usage()),
    }
}

fn absolute(path: &str) -> Result<PathBuf, Stop> {
    std::path::absolute(path).map_err(|e| Stop::usage(format!("{path}: {e}")))
}

/// The old key's file, where the attestation service is opened by it too: without the key that is in it now, all that the
/// service has signed and stored would be lost.
fn also_the_services<'a>(settings: &Settings, old: &'a Unlock) -> Option<&'a Path> {
    let Unlock::File(path) = old else { return None };
    let AttestationSource::Serve(service) = &settings.attestation.as_ref()?.source else { return None };
    let file = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    (file(&service.unlock) == file(path)).then_some(path.as_path())
}

/// A file that holds the old key, or the words that it was stretched from.
fn old_file(old: &Unlock) -> Option<&Path> {
    match old {
        Unlock::File(path) | Unlock::PassphraseFile(path) => Some(path),
        Unlock::Environment(_) | Unlock::Systemd(_) | Unlock::Vault(_) | Unlock::AwsKms(_) => None,
    }
}

/// As `unlock:` is written.
fn words(unlock: &Unlock) -> String {
    match unlock {
        Unlock::File(path) => format!("{{ file: {} }}", path.display()),
        Unlock::PassphraseFile(path) => format!("{{ passphrase_file: {} }}", path.display()),
        Unlock::Environment(name) => format!("{{ env: {name} }}"),
        Unlock::Systemd(name) => format!("{{ systemd: {name} }}"),
        Unlock::Vault(vault) => format!("{{ vault: {{ url: …, mount: {}, key: {}, … }} }}", vault.mount, vault.key),
        Unlock::AwsKms(kms) => format!("{{ aws_kms: {{ key_id: {}, region: {}, … }} }}", kms.key_id, kms.region),
    }
}

/// What has to be kept so that the store opens again on another machine.
pub(crate) fn back_up(unlock: &Unlock) -> String {
    match unlock {
        Unlock::File(path) => format!("{}, elsewhere than the store", path.display()),
        Unlock::PassphraseFile(_) => "the passphrase, and the store: salt and costs stand in it".to_owned(),
        Unlock::Environment(name) => format!("the value of ${name}, elsewhere than the store"),
        Unlock::Systemd(name) => format!("the credential {name}, elsewhere than the store"),
        Unlock::Vault(vault) => format!("Vault's key {}, and the store: the wrapped key stands in it", vault.key),
        Unlock::AwsKms(kms) => {
            format!("the store: the wrapped key stands in it; never schedule {} for deletion", kms.key_id)
        }
    }
}
