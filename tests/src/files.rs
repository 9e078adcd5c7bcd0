//! A temporary folder with an operator's files in it. In: names and contents. Out: paths. It goes when its owner goes.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The folder.
pub struct Files(TempDir);

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("assay-e2e-").tempdir().unwrap())
    }

    /// A path in it.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file as a careful editor does: beside it, then renamed over it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_file_name(format!("{}.new", path.file_name().unwrap().to_str().unwrap()));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &path).unwrap();
        path
    }

    /// Writes a file with a secret: mode 0600.
    pub fn private(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        path
    }

    /// A new key-encryption key, as `openssl rand -base64 32` writes it.
    pub fn unlock_key(&self, name: &str) -> PathBuf {
        self.private(name, data_encoding::BASE64.encode(&random::<32>()))
    }

    /// Every file in it and below: path and bytes.
    #[must_use]
    pub fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        below(self.0.path())
    }
}

/// Every file below a folder: path and bytes, in the order of the paths.
#[must_use]
pub fn below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

/// Random bytes.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    use attest_core::random::{Random, SystemRandom};
    let mut bytes = [0; N];
    SystemRandom.fill(&mut bytes).unwrap();
    bytes
}
