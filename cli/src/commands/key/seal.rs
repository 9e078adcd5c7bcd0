//! `assay key put` and `seal`. In: a secret and its bounds. Out: a version of a key in the store; or, from somebody who can't
//! read the store, a record that is pending.

use super::place::{Entry, Place, not_done, refused};
use super::{bounds, key_name};
use crate::args::{KeyBounds, KeyPut, KeySeal};
use crate::commands::config;
use crate::commands::kek::back_up;
use crate::output::{End, Output, Stop, note};
use attest_core::random::SystemRandom;
use audit::Change;
use key_sources::KeySource;
use keystore::document::{FileDocument, SealedDocument};
use keystore::operator::OperatorKey;
use keystore::store::VersionState;
use keystore::{ApiKey, Keystore, PublicKey, seal_to};
use serde_json::json;
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// Longest secret plus what an editor may put after it; the store itself draws the line.
const MOST_INPUT: u64 = 16 * 1024;

/// `assay key put`.
pub(super) async fn put(args: &KeyPut, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let bounds = bounds::of(&args.bounds)?;
    let place = Place::of(&args.store).await?;
    let made = !place.source.exists().map_err(|e| refused(&e))?;
    if !made {
        // Everything that can be refused without the secret has been, before anybody types it.
        place.inspect().await?;
    }
    let secret = secret(&args.bounds)?;
    if made {
        create(&place).await?;
    }
    let put = place
        .change(|editor| {
            let put = editor.put(&name, &secret, bounds, &SystemRandom)?;
            let mut entry = Entry::of_key(Change::Put, &name);
            entry.version = Some(put.version.get());
            entry.fingerprint = Some(put.fingerprint.to_string());
            Ok((put, entry))
        })
        .await?;
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

/// A store for the first key.
async fn create(place: &Place) -> Result<(), Stop> {
    let opened = place.source.create(&place.memory).await.map_err(|e| refused(&e))?;
    // Made first: its audit log has a key only then. An empty store gives nothing away.
    place.log(opened.audit)?.first(vec![Entry::of(Change::CreateStore)], || Ok(()))?;
    let at = place.source.document().map_or_else(|_| String::new(), |document| document.place());
    let keep = back_up(&place.source.settings().unlock);
    note(&format!("made a new key store: {at}\nback up: {keep}; without it every key has to be put again"));
    Ok(())
}

/// `assay key seal`.
pub(super) fn seal(args: &KeySeal, output: Output) -> Result<End, Stop> {
    let name = key_name(&args.name)?;
    let public = PublicKey::parse(&args.public_key).map_err(|e| Stop::usage(format!("--public-key: {e}")))?;
    let bounds = bounds::of(&args.bounds)?;
    let operator = args.operator_key.as_deref().map(OperatorKey::from_file).transpose();
    let operator = operator.map_err(|e| Stop::usage(format!("--operator-key: {e}")))?;
    let document = document(args)?;
    let head = Keystore::head(&*document).map_err(|e| not_done(&e))?;
    if head.public_key != public {
        return Err(Stop::no(format!("{} has another public key: {}", document.place(), head.public_key)).hint(
            "it was given to you by whoever keeps the store; ask whether its key-encryption key was rotated since",
        ));
    }
    let secret = secret(&args.bounds)?;
    let record =
        seal_to(&public, &name, &secret, bounds).map_err(|e| Stop::no(format!("key {name} can't be sealed: {e}")))?;
    let record = match &operator {
        Some(operator) => record.signed(operator, &head),
        None => record,
    };
    let fingerprint = record.fingerprint();
    Keystore::append_pending(&*document, record).map_err(|e| not_done(&e))?;
    let signer = operator.map(|operator| operator.public().to_string());
    let answer =
        json!({ "name": name.as_str(), "pending": true, "fingerprint": fingerprint.to_string(), "signer": signer });
    output.answer(&answer, || {
        let next = match &signer {
            Some(_) => "A store that lists you takes it as it is.".to_owned(),
            None => {
                format!("Read the fingerprint out to whoever runs: assay key accept {name} --fingerprint {fingerprint}")
            }
        };
        format!("sealed {name}, pending (fingerprint {fingerprint})\n{next}")
    });
    Ok(End::Yes)
}

/// The store that a record is added to: nothing of it is opened.
fn document(args: &KeySeal) -> Result<Box<dyn SealedDocument>, Stop> {
    if let Some(path) = &args.store {
        let document = FileDocument::to_write(path);
        return Ok(Box::new(document.map_err(|e| Stop::unknown(format!("{}: {e}", path.display())))?));
    }
    let settings =
        config::load(&args.config).map_err(|stop| stop.hint("without a configuration name the store: --store FILE"))?;
    let keys = settings.keys.as_ref().ok_or_else(|| Stop::no(format!("{} has no `keys:`", settings.path.display())))?;
    KeySource::new(keys).document_to_write().map_err(|e| refused(&e))
}

/// The secret, from a file, a prompt or standard input.
fn secret(args: &KeyBounds) -> Result<ApiKey, Stop> {
    let mut secret = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST_INPUT).unwrap_or_default()));
    let stdin = std::io::stdin();
    if let Some(path) = &args.from_file {
        let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", path.display()));
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MOST_INPUT).read_to_end(&mut secret).map_err(unreadable)?;
    } else if stdin.is_terminal() {
        note("Type or paste the key, then Enter (it shows on your screen; `assay key put … < key.txt` does not):");
        let mut line = Zeroizing::new(String::new());
        stdin.read_line(&mut line).map_err(|e| Stop::usage(e.to_string()))?;
        secret.extend_from_slice(line.as_bytes());
    } else {
        stdin.lock().take(MOST_INPUT).read_to_end(&mut secret).map_err(|e| Stop::usage(e.to_string()))?;
    }
    ApiKey::parse(&secret).map_err(|e| Stop::no(format!("this secret can't be sealed: {e}")))
}
