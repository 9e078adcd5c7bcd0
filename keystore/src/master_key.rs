//! The key-encryption key. In: a file, or the bytes that a provider gave. Out: [`MasterKey`], and the keys derived from
//! it; proven between: 32 bytes; a file is a regular one that nobody but its owner (or a mounted secret's group) may read.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use attest_core::random::{NoRandomness, Random};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::atomic;
use crate::crypto::{Key256, hkdf32};

/// A key-encryption key: 256 bits that wrap data keys and nothing else. Wiped when dropped; `Debug` prints its id alone.
pub struct MasterKey(Key256);

impl MasterKey {
    /// Reads a key from a file: 32 raw bytes, or their base64 (either alphabet) on one line.
    ///
    /// # Errors
    /// The file can't be read, is no regular file, may be read by others, or does not hold exactly 32 bytes.
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        read_secret_file(path).map(Self)
    }

    /// Reads the key with this id: from the file at `path`, or from `NAME.next` beside it, where a rotation that was
    /// interrupted after the store was replaced has left it. When neither is the one, the key at `path`: the store then
    /// refuses it by name.
    ///
    /// # Errors
    /// As [`MasterKey::from_file`].
    pub fn from_file_or_next(path: &Path, id: &str) -> Result<Self, MasterKeyError> {
        let key = Self::from_file(path)?;
        if key.id() != id {
            // Beside the file itself, where `path` is a link to it.
            let file =
                fs::canonicalize(path).map_err(|source| MasterKeyError::Io { path: path.to_path_buf(), source })?;
            match Self::from_file(&next_to(&file)) {
                Ok(next) if next.id() == id => return Ok(next),
                // Between the two reads a rotation may have come to its end.
                _ => return Self::from_file(path),
            }
        }
        Ok(key)
    }

    /// A key from text that a provider holds, such as an environment variable or a credential: 32 raw bytes, or their
    /// base64 (either alphabet) on one line.
    ///
    /// # Errors
    /// [`NotAKey`] for anything else.
    pub fn from_text(text: &[u8]) -> Result<Self, NotAKey> {
        decode(text).filter(|key| !is_one_byte(key)).map(Self).ok_or(NotAKey)
    }

    /// A key of these bytes: stretched from a passphrase, or unwrapped by a service.
    ///
    /// # Errors
    /// [`NotAKey`] when all of them are the same.
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Result<Self, NotAKey> {
        if is_one_byte(&bytes) { Err(NotAKey) } else { Ok(Self(bytes)) }
    }

    /// Makes a new random key and writes it to a new file, mode 0600, as one line of base64.
    ///
    /// # Errors
    /// `Exists` when there is a file at `path` already, which stays as it is; the file can't be written; no randomness.
    pub fn create_file(path: &Path, random: &dyn Random) -> Result<Self, MasterKeyError> {
        create_secret_file(path, random).map(Self)
    }

    /// Makes a new random key that is kept nowhere: for stores that live as long as a process.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate(random: &dyn Random) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// A public name of this key, to tell "another key" from "a changed file": 8 derived bytes, as 16 hex digits.
    pub fn id(&self) -> String {
        let id = self.derive(&[], "assay-kek-id-v1");
        HEXLOWER.encode(id.first_chunk::<8>().unwrap_or(&[0; 8]))
    }

    /// A key for one purpose, named by `label`; `salt` tells stores and envelopes apart.
    pub(crate) fn derive(&self, salt: &[u8], label: &str) -> Key256 {
        hkdf32(self.0.as_slice(), salt, label)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Why there is no key-encryption key. Says nothing of the file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The file can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{}: not a regular file", .path.display())]
    NotAFile {
        /// Which path.
        path: PathBuf,
    },
    /// Group or others may read it.
    #[error("{}: mode {mode:04o} lets others read the key; run: chmod 600 {}", .path.display(), .path.display())]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 32 bytes, raw or in base64.
    #[error("{}: not a key: 32 bytes are needed, raw or as one line of base64 (44 characters)", .path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// One byte, repeated.
    #[error("{}: not a key: all of its bytes are the same", .path.display())]
    NotRandom {
        /// Which file.
        path: PathBuf,
    },
    /// There is one already.
    #[error("{}: exists already; a key that sealed something must not be replaced", .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A text is not a key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: 32 random bytes are needed, raw or as one line of base64 (44 characters)")]
pub struct NotAKey;

/// Where a rotation puts the new key of the file at `path` until the store is rewritten: `NAME.next`, beside it.
pub fn next_to(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

/// Reads 32 secret bytes from a file that nobody else may read.
pub(crate) fn read_secret_file(path: &Path) -> Result<Key256, MasterKeyError> {
    let at = || path.to_path_buf();
    let mut file = atomic::open_regular(path).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidInput => MasterKeyError::NotAFile { path: at() },
        _ => MasterKeyError::Io { path: at(), source },
    })?;
    // Of the opened file, not of the path: the path may lead elsewhere by now.
    let about = file.metadata().map_err(|source| MasterKeyError::Io { path: at(), source })?;
    let mode = about.mode() & 0o777;
    if !is_private(mode, about.uid()) {
        return Err(MasterKeyError::TooOpen { path: at(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
    let limit = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    Read::take(&mut file, limit).read_to_end(&mut text).map_err(|source| MasterKeyError::Io { path: at(), source })?;
    let bytes = decode(&text).ok_or(MasterKeyError::NotAKey { path: at() })?;
    if is_one_byte(&bytes) {
        return Err(MasterKeyError::NotRandom { path: at() });
    }
    Ok(bytes)
}

/// Makes 32 random bytes and writes them to a new file, mode 0600, as one line of base64.
pub(crate) fn create_secret_file(path: &Path, random: &dyn Random) -> Result<Key256, MasterKeyError> {
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut_slice())?;
    let mut line = Zeroizing::new(BASE64.encode(key.as_slice()));
    line.push('\n');
    match atomic::create(path, line.as_bytes()) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(MasterKeyError::Exists { path: path.to_path_buf() })
        }
        Err(source) => Err(MasterKeyError::Io { path: path.to_path_buf(), source }),
    }
}

/// No generator makes such a key; a placeholder does.
fn is_one_byte(key: &[u8; 32]) -> bool {
    key.iter().all(|byte| key.first() == Some(byte))
}

/// A base64 line of 44 characters with its line ending is the longest form.
const MAX_FILE: usize = 46;

/// Owner alone; or owned by root and readable, not writable, by one group, as Kubernetes mounts a secret with fsGroup.
fn is_private(mode: u32, owner: u32) -> bool {
    mode & 0o077 == 0 || (owner == 0 && mode & 0o037 == 0)
}

/// 32 raw bytes, or their base64. The lengths differ, so no text has two readings.
fn decode(text: &[u8]) -> Option<Key256> {
    let raw = match text.len() {
        32 => Zeroizing::new(text.to_vec()),
        _ => {
            let line = text.trim_ascii_end();
            let plain =
                BASE64.decode(line).or_else(|_| BASE64URL_NOPAD.decode(line.strip_suffix(b"=").unwrap_or(line)));
            Zeroizing::new(plain.ok()?)
        }
    };
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(raw.first_chunk::<32>().filter(|_| raw.len() == 32)?);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;
    use std::os::unix::fs::PermissionsExt;

    fn written(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    const KEY: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

    #[test]
    fn refuses_a_key_that_others_may_read_and_says_how_to_mend_it() {
        for mode in [0o644, 0o604, 0o660, 0o606, 0o601, 0o620, 0o666] {
            let (_dir, path) = written(KEY, mode);
            let error = MasterKey::from_file(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
        let (_dir, path) = written(KEY, 0o400);
        assert!(MasterKey::from_file(&path).is_ok());
    }

    #[test]
    fn group_may_read_only_what_root_owns() {
        assert!(is_private(0o440, 0) && is_private(0o640, 0) && is_private(0o600, 1000) && is_private(0o400, 1000));
        assert!(!is_private(0o440, 1000) && !is_private(0o640, 1000) && !is_private(0o660, 0) && !is_private(0o444, 0));
    }

    #[test]
    fn refuses_what_is_not_32_bytes() {
        for bad in
            [&b""[..], b"short", &[7; 31], &[7; 33], &[b'A'; 43], BASE64.encode(&[1; 31]).as_bytes(), &[b'x'; 4000]]
        {
            let (_dir, path) = written(bad, 0o600);
            assert!(
                matches!(
                    MasterKey::from_file(&path),
                    Err(MasterKeyError::NotAKey { .. } | MasterKeyError::NotRandom { .. })
                ),
                "{bad:?}"
            );
        }
        let (_dir, path) = written(&[0; 32], 0o600);
        assert!(matches!(MasterKey::from_file(&path), Err(MasterKeyError::NotRandom { .. })));
    }

    #[test]
    fn refuses_a_directory_and_an_absent_file_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = MasterKey::from_file(dir.path()).unwrap_err();
        assert!(matches!(error, MasterKeyError::NotAFile { .. } | MasterKeyError::Io { .. }));
        let pipe = dir.path().join("pipe.key");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(MasterKey::from_file(&pipe), Err(MasterKeyError::NotAFile { .. })), "and nobody waits");
        let absent = dir.path().join("absent.key");
        assert!(MasterKey::from_file(&absent).unwrap_err().to_string().contains("absent.key"));
    }

    #[test]
    fn raw_and_base64_are_the_same_key() {
        let line = format!("{}\n", BASE64.encode(KEY));
        let forms = [KEY.to_vec(), line.into_bytes(), BASE64URL_NOPAD.encode(KEY).into_bytes()];
        let files = forms.map(|form| written(&form, 0o600));
        let ids = files.each_ref().map(|(_dir, path)| MasterKey::from_file(path).unwrap().id());
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_created_key_can_be_read_again_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        let made = MasterKey::create_file(&path, &SystemRandom).unwrap();
        assert_eq!(MasterKey::from_file(&path).unwrap().id(), made.id());
        assert!(matches!(MasterKey::create_file(&path, &SystemRandom), Err(MasterKeyError::Exists { .. })));
        assert_eq!(MasterKey::from_file(&path).unwrap().id(), made.id());
        assert_eq!(format!("{made:?}"), format!("MasterKey({})", made.id()));
    }

    #[test]
    fn text_and_bytes_of_a_provider_are_held_to_the_same_rules() {
        let same = MasterKey::from_text(KEY).unwrap().id();
        for text in [BASE64.encode(KEY), format!("{}\n", BASE64.encode(KEY)), BASE64URL_NOPAD.encode(KEY)] {
            assert_eq!(MasterKey::from_text(text.as_bytes()).unwrap().id(), same, "{text}");
        }
        assert_eq!(MasterKey::from_bytes(Zeroizing::new(*KEY)).unwrap().id(), same);
        for bad in [&b""[..], &[0; 32], &[b'x'; 33], b"changeme", BASE64.encode(&[7; 32]).as_bytes()] {
            assert_eq!(MasterKey::from_text(bad).unwrap_err(), NotAKey, "{bad:?}");
        }
        assert_eq!(MasterKey::from_bytes(Zeroizing::new([0; 32])).unwrap_err(), NotAKey);
    }

    #[test]
    fn the_next_key_is_taken_only_where_it_is_the_one_that_is_asked_for() {
        let (dir, path) = written(KEY, 0o600);
        let next = MasterKey::create_file(&next_to(&path), &SystemRandom).unwrap();
        let first = MasterKey::from_file(&path).unwrap();
        let asked = |id: &str| MasterKey::from_file_or_next(&path, id).unwrap().id();
        assert_eq!((asked(&first.id()), asked(&next.id())), (first.id(), next.id()));
        assert_eq!(asked("0000000000000000"), first.id(), "the store says which key is wrong");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(MasterKey::from_file_or_next(&link, &next.id()).unwrap().id(), next.id());
        fs::set_permissions(next_to(&path), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(asked(&next.id()), first.id(), "nor one that others may read");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
