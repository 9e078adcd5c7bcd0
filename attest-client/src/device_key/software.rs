//! A device key in software. Comes in: a file, or nothing. Goes out: a key that signs.
//! Proven between: the file is this user's alone, holds one whole key, and is never replaced unseen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use attest_core::b64u;
use attest_core::device_key::DevicePrivateKey;
use attest_core::random::{self, SystemRandom};
use attest_core::transcript::TranscriptHash;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{DeviceKey, DeviceKeyError};

/// A P-256 key in this process's memory, kept in a file or not at all.
///
/// It proves that one *installation* asks, not that one *device* does: whoever can read the file can move it.
pub struct SoftwareKey {
    key: DevicePrivateKey,
    public: [u8; 65],
    /// A renewal: the file it is in, and the one it will take the place of.
    settles: Option<(PathBuf, PathBuf)>,
}

impl SoftwareKey {
    /// A new key that ends with the process: a new device id at each start.
    ///
    /// # Errors
    /// [`DeviceKeyError::Unusable`] when the system has no randomness.
    pub fn in_memory() -> Result<Self, DeviceKeyError> {
        Self::from_private(DevicePrivateKey::generate().map_err(unusable)?)
    }

    /// The key in the file at `path` (PKCS#8), made with mode 0600 where there is none, its folder with 0700.
    ///
    /// Two processes that start at once end up with the same key.
    ///
    /// # Errors
    /// [`DeviceKeyError`] naming the file. A damaged or exposed file is never replaced by itself: the device id
    /// would change unseen.
    pub fn in_file(path: impl Into<PathBuf>) -> Result<Self, DeviceKeyError> {
        let path = path.into();
        match Self::load(&path) {
            Err(DeviceKeyError::File { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => {
                Self::create(&path)?;
                // Read back rather than kept: another process may have been first.
                Self::load(&path)
            }
            loaded => loaded,
        }
    }

    /// The key that shall take the place of the one in the file at `path`: made in `path` + `.next`, moved over `path`
    /// when the service has taken it. One that was left there by a renewal that failed is used again: the service
    /// may have taken it, and only the answer was lost.
    ///
    /// # Errors
    /// As [`SoftwareKey::in_file`].
    pub fn renewal_of(path: impl Into<PathBuf>) -> Result<Self, DeviceKeyError> {
        let path = path.into();
        let next = path.with_added_extension("next");
        let key = Self::in_file(&next)?;
        Ok(Self { settles: Some((next, path)), ..key })
    }

    fn load(path: &Path) -> Result<Self, DeviceKeyError> {
        let failed = |problem| DeviceKeyError::File { path: path.to_owned(), problem };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(DeviceKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut pkcs8 = Zeroizing::new(Vec::with_capacity(MAX_PKCS8));
        file.take(MAX_PKCS8 as u64).read_to_end(&mut pkcs8).map_err(failed)?;
        let key =
            DevicePrivateKey::from_pkcs8(&pkcs8).map_err(|_| DeviceKeyError::Damaged { path: path.to_owned() })?;
        Self::from_private(key)
    }

    fn from_private(key: DevicePrivateKey) -> Result<Self, DeviceKeyError> {
        let public = *key.public_key().map_err(unusable)?.as_bytes();
        Ok(Self { key, public, settles: None })
    }

    /// Writes a new key beside `path` and moves it into place: `path` never holds half a key, and the first wins.
    fn create(path: &Path) -> Result<(), DeviceKeyError> {
        let failed = |problem| DeviceKeyError::File { path: path.to_owned(), problem };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let fresh = Self::in_memory()?;
        let pkcs8 = fresh.key.to_pkcs8().map_err(unusable)?;
        let salt: [u8; 9] = random::array(&SystemRandom).map_err(unusable)?;
        let draft = path.with_added_extension(format!("{}.new", b64u::encode(&salt)));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(&pkcs8).and_then(|()| file.sync_all()))
            .and_then(|()| settle(&draft, path));
        // Where it was moved it is gone already, and a draft that was never made is the error above.
        let _ = fs::remove_file(&draft);
        written.map_err(failed)
    }
}

impl DeviceKey for SoftwareKey {
    fn public_key(&self) -> Result<[u8; 65], DeviceKeyError> {
        Ok(self.public)
    }

    fn sign(&self, transcript: &[u8; 32]) -> Result<[u8; 64], DeviceKeyError> {
        self.key.sign(&TranscriptHash::from_bytes(*transcript)).map_err(unusable)
    }

    fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        self.key.sign_message(message).map_err(unusable)
    }

    fn settled(&self) -> Result<(), DeviceKeyError> {
        let Some((from, to)) = &self.settles else { return Ok(()) };
        let failed = |problem| DeviceKeyError::File { path: to.clone(), problem };
        fs::rename(from, to).map_err(failed)?;
        // The name is what changed: without this a crash can bring the old key back, and with it the old device id.
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SoftwareKey([redacted])")
    }
}

fn unusable(problem: impl std::fmt::Display) -> DeviceKeyError {
    DeviceKeyError::Unusable(problem.to_string())
}

/// Gives `draft` its final name, unless that is taken. Hard links serve where the file system can't move without
/// replacing (NFS); they are not the first choice because Android forbids them to apps.
fn settle(draft: &Path, path: &Path) -> io::Result<()> {
    let moved = match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::hard_link(draft, path),
        moved => moved.map_err(io::Error::from),
    };
    match moved {
        Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        moved => moved,
    }
}

/// A PKCS#8 P-256 key takes 138 bytes; more than this is something else.
const MAX_PKCS8: usize = 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn refuses_a_file_that_others_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        SoftwareKey::in_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SoftwareKey::in_file(&path), Err(DeviceKeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn refuses_a_damaged_file_and_leaves_it_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        fs::write(&path, b"not a key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(SoftwareKey::in_file(&path), Err(DeviceKeyError::Damaged { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"not a key");
    }

    #[test]
    fn names_a_place_that_cannot_be_used() {
        let problem = SoftwareKey::in_file("/proc/nowhere/device.key").unwrap_err();
        assert!(problem.to_string().starts_with("/proc/nowhere/device.key: "), "{problem}");
    }

    #[test]
    fn the_same_file_gives_the_same_key_0600_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app/device.key");
        let first = SoftwareKey::in_file(&path).unwrap();
        let second = SoftwareKey::in_file(&path).unwrap();
        assert_eq!(first.public_key().unwrap(), second.public_key().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn two_that_start_at_once_share_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8).map(|_| scope.spawn(|| SoftwareKey::in_file(&path))).collect();
            started.into_iter().map(|thread| thread.join().unwrap().unwrap().public_key().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_renewal_waits_beside_the_key_until_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let old = SoftwareKey::in_file(&path).unwrap().public;
        let next = SoftwareKey::renewal_of(&path).unwrap();
        assert_ne!(next.public, old);
        assert_eq!(SoftwareKey::in_file(&path).unwrap().public, old, "not settled");
        assert_eq!(SoftwareKey::renewal_of(&path).unwrap().public, next.public, "a lost answer costs no third key");
        next.settled().unwrap();
        assert_eq!(SoftwareKey::in_file(&path).unwrap().public, next.public);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(next.settled(), Err(DeviceKeyError::File { .. })), "only once");
    }
}
