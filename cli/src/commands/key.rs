//! `assay key`: seal, list, rotate and remove third-party API keys.
//!
//! In: a secret from standard input, a file or a prompt, and the bounds it may be used in. Out: names, versions,
//! states, fingerprints and bounds; never a value. The store is the configuration's, or named with its unlock file.

use crate::args::{Key, KeyName as NameArg, KeyPut, KeyRemove, KeyStoreArg};
use crate::commands::config;
use crate::output::{End, Output, Stop, note};
use attest_core::random::SystemRandom;
use keystore::bounds::RecipeText;
use keystore::store::{KeyInfo, VersionState};
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey, StoreError, Trust};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest secret plus what an editor may put after it; the store itself draws the line.
const MOST_INPUT: u64 = 16 * 1024;

/// Runs one of the `key` commands.
pub(crate) fn run(command: &Key, output: Output) -> Result<End, Stop> {
    match command {
        Key::Put(args) => put(args, output),
        Key::List(args) => list(args, output),
        Key::Rotate(args) => rotate(args, output),
        Key::Remove(args) => remove(args, output),
    }
}

/// Makes an empty store, for `init`.
pub(crate) fn create_store(path: &Path, unlock: &Path) -> Result<(), Stop> {
    let master = MasterKey::from_file(unlock).map_err(|e| Stop::unknown(e.to_string()))?;
    Keystore::create(path, &master, &GenerationMemory::in_process(), &SystemRandom)
        .map_err(|e| Stop::unknown(e.to_string()))?;
    Ok(())
}

fn put(args: &KeyPut, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let bounds = bounds(args)?;
    let place = Place::of(&args.store)?;
    let master = place.master()?;
    // Everything that can be refused without the secret has been, before anybody types it.
    let secret = read_secret(args)?;
    let secret =
        ApiKey::parse(trim_line_end(&secret)).map_err(|e| Stop::no(format!("this secret can't be sealed: {e}")))?;
    if !place.store.exists() {
        Keystore::create(&place.store, &master, &place.memory, &SystemRandom).map_err(|e| refused(&e))?;
        note(&format!("made a new key store: {}", place.store.display()));
    }
    let mut editor = Keystore::edit(&place.store, &master, &place.memory).map_err(|e| refused(&e))?;
    let put = editor.put(&name, &secret, bounds, &SystemRandom).map_err(|e| refused(&e))?;
    editor.commit(&place.memory).map_err(|e| refused(&e))?;
    let waiting = put.state == VersionState::Next;
    let answer = json!({ "name": name.as_str(), "version": put.version, "state": put.state, "fingerprint": put.fingerprint.to_string() });
    output.answer(&answer, || {
        let state = if waiting {
            format!("waits as next; `assay key rotate {name}` makes it current")
        } else {
            "is current".to_owned()
        };
        format!("sealed {name}: version {} {state} (fingerprint {})", put.version, put.fingerprint)
    });
    Ok(End::Yes)
}

fn list(args: &KeyStoreArg, output: Output) -> Result<End, Stop> {
    let place = Place::of(args)?;
    let store = Keystore::inspect(&place.store, &place.master()?, &place.memory).map_err(|e| refused(&e))?;
    let answer = json!({ "store": place.store, "generation": store.generation(), "keys": store.list() });
    output.answer(&answer, || match store.list() {
        [] => format!("{} holds no key; put one in with `assay key put`", place.store.display()),
        keys => keys.iter().map(show).collect::<Vec<_>>().join("\n"),
    });
    Ok(End::Yes)
}

/// A key as a person reads it.
fn show(key: &KeyInfo) -> String {
    let mut lines = vec![key.name.clone()];
    for version in &key.versions {
        let RecipeText::Header { name, template } = &version.bounds.recipe else { continue };
        let state =
            serde_json::to_value(version.state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        lines.push(format!("  version {} {state:<9} fingerprint {}", version.version, version.fingerprint));
        lines.push(format!("    to      {} {}", version.bounds.schemes.join(","), version.bounds.hosts.join(" ")));
        lines.push(format!("    as      {name}: {template}"));
        lines.push(format!("    for     {} {}", version.bounds.methods.join(","), version.bounds.paths.join(" ")));
        lines.push(format!("    trust   {}", version.bounds.trust));
    }
    lines.join("\n")
}

fn rotate(args: &NameArg, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let place = Place::of(&args.store)?;
    let mut editor = Keystore::edit(&place.store, &place.master()?, &place.memory).map_err(|e| refused(&e))?;
    let rotated = editor.rotate(&name).map_err(|e| refused(&e))?;
    editor.commit(&place.memory).map_err(|e| refused(&e))?;
    let answer = json!({ "name": name.as_str(), "current": rotated.current, "previous": rotated.previous, "dropped": rotated.dropped });
    output.answer(&answer, || {
        format!(
            "{name}: version {} is current, {} is kept to be scrubbed from answers",
            rotated.current, rotated.previous
        )
    });
    Ok(End::Yes)
}

fn remove(args: &KeyRemove, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    if !args.yes && !confirmed(&name)? {
        return Err(Stop::no("nothing was removed"));
    }
    let place = Place::of(&args.store)?;
    let mut editor = Keystore::edit(&place.store, &place.master()?, &place.memory).map_err(|e| refused(&e))?;
    editor.remove(&name).map_err(|e| refused(&e))?;
    editor.commit(&place.memory).map_err(|e| refused(&e))?;
    output.answer(&json!({ "removed": name.as_str() }), || format!("removed {name}, all its versions"));
    Ok(End::Yes)
}

fn confirmed(name: &KeyName) -> Result<bool, Stop> {
    if !std::io::stdin().is_terminal() {
        return Err(Stop::usage("removing a key off a terminal needs --yes"));
    }
    note(&format!("Remove {name} with all its versions? Routes that use it will not load. Type its name to go on:"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Stop::usage(e.to_string()))?;
    Ok(line.trim() == name.as_str())
}

/// Where the store is, what opens it, and what remembers its generation.
struct Place {
    store: PathBuf,
    unlock: PathBuf,
    memory: GenerationMemory,
}

impl Place {
    fn of(args: &KeyStoreArg) -> Result<Self, Stop> {
        if let (Some(store), Some(unlock)) = (&args.store, &args.unlock) {
            return Ok(Self { store: store.clone(), unlock: unlock.clone(), memory: GenerationMemory::in_process() });
        }
        let settings = config::load(&args.config)?;
        let keys = settings.keys.as_ref().ok_or_else(|| {
            Stop::no(format!("{} has no `keys:`", settings.path.display()))
                .hint("add keys: { store: keys.sealed, unlock: { file: … } }")
        })?;
        let memory = config::generation_memory(&settings)?;
        Ok(Self { store: keys.store.clone(), unlock: keys.unlock.clone(), memory })
    }

    fn master(&self) -> Result<MasterKey, Stop> {
        MasterKey::from_file(&self.unlock).map_err(|e| Stop::usage(e.to_string()))
    }
}

fn refused(error: &StoreError) -> Stop {
    match error {
        StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => Stop::no(error.to_string())
            .hint("`assay key put NAME …` makes the store; a lost one comes back from a backup or from Git"),
        StoreError::Busy { .. } => Stop::unknown(error.to_string()),
        _ => Stop::no(error.to_string()),
    }
}

fn key_name(text: &str) -> Result<KeyName, Stop> {
    KeyName::parse(text).map_err(|e| Stop::usage(format!("{text:?}: {e}")))
}

fn bounds(args: &KeyPut) -> Result<Bounds, Stop> {
    let mut schemes = Vec::new();
    let mut hosts = Vec::new();
    for to in &args.to {
        let (scheme, rest) = to
            .split_once("://")
            .ok_or_else(|| Stop::usage(format!("--to {to}: no scheme")).hint(format!("write https://{to}")))?;
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains('/') {
            return Err(Stop::usage(format!("--to {to}: only scheme, host and port")).hint("paths go into --path"));
        }
        schemes.push(scheme.to_owned());
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        hosts.push(match (scheme, has_port) {
            ("http", false) => format!("{host}:80"),
            ("https", false) => format!("{host}:443"),
            _ => host.to_owned(),
        });
    }
    let methods =
        if args.methods.is_empty() { vec!["GET".to_owned(), "POST".to_owned()] } else { args.methods.clone() };
    let trust = match &args.roots {
        None => Trust::PublicRoots,
        Some(path) => private_roots(path)?,
    };
    let text = BoundsText {
        schemes,
        hosts,
        methods,
        paths: args.paths.clone(),
        recipe: RecipeText::Header { name: args.header.clone(), template: args.template.clone() },
        trust: trust.to_string(),
    };
    Bounds::parse(&text).map_err(|e| Stop::usage(e.to_string()))
}

/// The hash of a file of root certificates. One that holds none would be a bound that nothing can meet.
fn private_roots(path: &Path) -> Result<Trust, Stop> {
    let file = std::fs::read(path).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))?;
    let mut roots = CertificateDer::pem_slice_iter(&file).peekable();
    let readable = roots.peek().is_some() && roots.all(|root| root.is_ok());
    let wrong = || Stop::usage(format!("--roots {}: not a file of PEM certificates", path.display()));
    readable.then(|| Trust::in_private_roots(&file)).ok_or_else(wrong)
}

fn read_secret(args: &KeyPut) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let mut secret = Zeroizing::new(Vec::new());
    if let Some(path) = &args.from_file {
        let file = std::fs::File::open(path).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))?;
        file.take(MOST_INPUT).read_to_end(&mut secret).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))?;
        return Ok(secret);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        note("Type or paste the key, then Enter (it shows on your screen; `assay key put … < key.txt` does not):");
        let mut line = Zeroizing::new(String::new());
        stdin.read_line(&mut line).map_err(|e| Stop::usage(e.to_string()))?;
        secret.extend_from_slice(line.as_bytes());
    } else {
        stdin.lock().take(MOST_INPUT).read_to_end(&mut secret).map_err(|e| Stop::usage(e.to_string()))?;
    }
    Ok(secret)
}

/// One trailing line end is an editor's, not the key's.
fn trim_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
