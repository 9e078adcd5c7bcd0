//! A key-encryption key in a file, changed where it stands. In: the store, the file. Out: both with a new key; proven
//! between: at every instruction the key that the store is locked with is on disk, as `NAME` or as `NAME.next`.
//!
//! The new key is written to `NAME.next`, the store is replaced, then `NAME.next` becomes `NAME`. Killed anywhere, the same
//! call brings it to its end; meanwhile [`MasterKey::from_file_or_next`] finds the right one of the two.

use std::io;
use std::path::Path;

use attest_core::random::Random;

use super::{Keystore, StoreError};
use crate::atomic::{self, Lock};
use crate::document::SealedDocument;
use crate::generation::GenerationMemory;
use crate::kek::KekHeader;
use crate::master_key::{MasterKey, MasterKeyError, next_to};

/// What a rotation of the key-encryption key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekRotated {
    /// The id of the key that is in use now.
    pub id: String,
    /// The id of the one before; `None` when an interrupted rotation had replaced it in the store already.
    pub before: Option<String>,
    /// Whether an interrupted rotation was brought to its end.
    pub resumed: bool,
}

/// Rotates the key-encryption key that stands in `key_file`, or ends a rotation that was interrupted.
///
/// # Errors
/// As [`Keystore::edit_document`] and [`super::Editor::rotate_kek`]; `Master` when the key's file can't be read or written.
/// Until the store is replaced, nothing but `NAME.next` has changed.
pub fn rotate_kek_in_place(
    document: Box<dyn SealedDocument>,
    key_file: &Path,
    memory: &GenerationMemory,
    random: &dyn Random,
) -> Result<KekRotated, StoreError> {
    let io = |source| StoreError::Master(MasterKeyError::Io { path: key_file.to_path_buf(), source });
    // A link is followed once: the rename must replace the file, not the link.
    let key_file = std::fs::canonicalize(key_file).map_err(io)?;
    let _lock = Lock::take(&key_file).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => StoreError::Busy { place: key_file.display().to_string() },
        _ => io(source),
    })?;
    let next_file = next_to(&key_file);
    let locked_with = Keystore::head(document.as_ref())?.kek.id().to_owned();
    let current = MasterKey::from_file(&key_file)?;
    let left = match MasterKey::from_file(&next_file) {
        Ok(left) => Some(left),
        Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let resumed = left.is_some();
    let replaced = left.as_ref().is_some_and(|left| left.id() == locked_with);
    let next = match left {
        Some(next) if replaced => {
            // Only to prove that it opens: a head alone may say anything.
            Keystore::inspect_document(document.as_ref(), &next, memory)?;
            next
        }
        left => {
            let mut editor = Keystore::edit_document(document, &current, memory)?;
            let next = left.map_or_else(|| MasterKey::create_file(&next_file, random), Ok)?;
            let rewrapped = editor.rotate_kek(KekHeader::file(&next), &next, random);
            // Who reads the old key has to read the new one, before the store needs it. It is read again: a file that could
            // not be given to the old one's owner may be open to a group that only root's files may be open to.
            let ready = rewrapped.and_then(|()| {
                atomic::keep_readers(&key_file, &next_file).map_err(io)?;
                Ok(MasterKey::from_file(&next_file)?)
            });
            if ready.is_err() && !resumed {
                let _ = std::fs::remove_file(&next_file);
            }
            ready?;
            editor.commit(memory)?;
            next
        }
    };
    atomic::supersede(&next_file, &key_file).map_err(io)?;
    atomic::clear_temporary(&next_file);
    Ok(KekRotated { id: next.id(), before: (!replaced).then(|| current.id()), resumed })
}
