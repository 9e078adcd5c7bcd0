//! `assay key`: third-party API keys, sealed.
//!
//! In: a secret from standard input, a file or a prompt, and the bounds it may be used in. Out: names, versions,
//! states, fingerprints and bounds; never a value. What changes a store is written to the audit log first, and not done
//! where that can't be written.
//!
//! | file | commands |
//! | --- | --- |
//! | `key/seal.rs` | `put`, `seal` |
//! | `key/bounds.rs` | what of a command line becomes bounds |
//! | `key/list.rs` | `list`, `public` |
//! | `key/pending.rs` | `pending`, `accept`, `reject`, `operator` |
//! | `key/change.rs` | `rotate`, `remove`, `disable`, `enable` |
//! | `key/place.rs` | which store it is, what opens it, its audit log |

pub(crate) mod bounds;
mod change;
mod list;
mod pending;
pub(crate) mod place;
mod seal;

use crate::args::Key;
use crate::output::{End, Output, Stop};
use attest_core::random::SystemRandom;
use keystore::{GenerationMemory, KeyName, Keystore, MasterKey};
use std::path::Path;

/// Runs one of the `key` commands.
pub(crate) async fn run(command: &Key, output: Output) -> Result<End, Stop> {
    match command {
        Key::Put(args) => seal::put(args, output).await,
        Key::Seal(args) => seal::seal(args, output),
        Key::Public(args) => list::public(args, output).await,
        Key::Pending(args) => pending::pending(args, output).await,
        Key::Accept(args) => pending::accept(args, output).await,
        Key::Reject(args) => pending::reject(args, output).await,
        Key::List(args) => list::list(args, output).await,
        Key::Rotate(args) => change::rotate(args, output).await,
        Key::Remove(args) => change::remove(args, output).await,
        Key::Disable(args) => change::disable(args, output).await,
        Key::Enable(args) => change::enable(args, output).await,
        Key::Operator(args) => pending::operator(args, output).await,
    }
}

/// Makes an empty store, for `init`.
pub(crate) fn create_store(path: &Path, unlock: &Path) -> Result<(), Stop> {
    let master = MasterKey::from_file(unlock).map_err(|e| Stop::unknown(e.to_string()))?;
    Keystore::create(path, &master, &GenerationMemory::in_process(), &SystemRandom)
        .map_err(|e| Stop::unknown(e.to_string()))?;
    Ok(())
}

fn key_name(text: &str) -> Result<KeyName, Stop> {
    KeyName::parse(text).map_err(|e| Stop::usage(format!("{text:?}: {e}")))
}
