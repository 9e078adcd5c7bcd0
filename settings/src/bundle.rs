//! The text of a whole configuration, to be kept and loaded again.
//!
//! In: what the loader read, or bytes that were kept. Out: a [`Bundle`], from which [`load_bundle`](crate::load_bundle())
//! makes settings through the same loader and the same checks. Proven when it is read back: nothing is missing and no bit
//! is changed. It is not a proof of who wrote it: keep it where nobody else may write.
//!
//! A bundle never holds a secret. Private keys, tokens, passwords and webhook secrets are read from where they are, each
//! time; so are the sealed keystore and the certificates that are opened again by their path.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;

/// Bytes of text that one configuration may have in all its files.
pub const MAX_TEXT_BYTES: usize = 64 << 20;
/// Files that one configuration may have.
pub(crate) const MAX_FILES: usize = 4096;
/// Bytes of a file's name.
const MAX_NAME: usize = 4096;
const MAGIC: &[u8; 8] = b"assaycfg";
const VERSION: u16 = 1;
const DIGEST: usize = 32;

/// The text of a configuration file and of all that it names, without secrets. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The configuration file first; names relative to its folder where they can be.
    files: Arc<[(PathBuf, Arc<[u8]>)]>,
}

/// Bytes that are no bundle, or not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// They begin otherwise.
    NotABundle,
    /// Another version of Assay wrote it.
    Version(u16),
    /// The digest is that of other bytes: cut off, or changed.
    Changed,
    /// More than a configuration may have.
    TooLarge,
    /// The digest holds, and still it is not well formed: no Assay wrote this.
    Malformed,
}

impl Bundle {
    pub(crate) fn new(files: Vec<(PathBuf, Arc<[u8]>)>) -> Self {
        Self { files: files.into() }
    }

    /// The configuration file's name, without its folder.
    #[must_use]
    pub fn main(&self) -> &Path {
        self.files.first().map_or(Path::new(""), |(name, _)| name)
    }

    /// Names and contents, the configuration file first. A relative name is relative to the folder of that file.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&Path, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_path(), &**bytes))
    }

    pub(crate) fn by_name(&self) -> BTreeMap<PathBuf, Arc<[u8]>> {
        self.files.iter().cloned().collect()
    }

    /// The bytes to keep: magic, version, files, and SHA-256 over all of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.files.iter().map(|(name, bytes)| name.as_os_str().len() + bytes.len() + 8).sum());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&length(self.files.len()));
        for (name, bytes) in &*self.files {
            let name = name.as_os_str().as_bytes();
            out.extend_from_slice(&length(name.len()));
            out.extend_from_slice(name);
            out.extend_from_slice(&length(bytes.len()));
            out.extend_from_slice(bytes);
        }
        let digest = digest::digest(&digest::SHA256, &out);
        out.extend_from_slice(digest.as_ref());
        out
    }

    /// What [`Bundle::to_bytes`] wrote.
    ///
    /// # Errors
    /// Anything else, by one bit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BundleError::NotABundle)?;
        let (version, _) = rest.split_first_chunk().ok_or(BundleError::Changed)?;
        match u16::from_be_bytes(*version) {
            VERSION => {}
            other => return Err(BundleError::Version(other)),
        }
        let (body, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(BundleError::Changed)?;
        if digest::digest(&digest::SHA256, body).as_ref() != digest {
            return Err(BundleError::Changed);
        }
        let mut reader = Reader(body.get(MAGIC.len() + size_of::<u16>()..).ok_or(BundleError::Malformed)?);
        let count = reader.length()?;
        if count > MAX_FILES {
            return Err(BundleError::TooLarge);
        }
        let (mut files, mut names, mut total) = (Vec::new(), BTreeSet::new(), 0_usize);
        for _ in 0..count {
            let name = reader.piece()?;
            let content = reader.piece()?;
            total = total.saturating_add(content.len());
            if name.len() > MAX_NAME || total > MAX_TEXT_BYTES {
                return Err(BundleError::TooLarge);
            }
            if name.is_empty() || name.contains(&0) || !names.insert(name) {
                return Err(BundleError::Malformed);
            }
            files.push((PathBuf::from(OsStr::from_bytes(name)), Arc::from(content)));
        }
        if files.is_empty() || !reader.0.is_empty() {
            return Err(BundleError::Malformed);
        }
        Ok(Self::new(files))
    }
}

/// A length as it is written. No file that is read is as long as 4 GiB.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn length(&mut self) -> Result<usize, BundleError> {
        let (length, rest) = self.0.split_first_chunk().ok_or(BundleError::Malformed)?;
        self.0 = rest;
        usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BundleError::TooLarge)
    }

    fn piece(&mut self) -> Result<&'a [u8], BundleError> {
        let length = self.length()?;
        let (piece, rest) = self.0.split_at_checked(length).ok_or(BundleError::Malformed)?;
        self.0 = rest;
        Ok(piece)
    }
}

/// Names and sizes.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.files.iter().map(|(name, bytes)| (name, bytes.len()))).finish()
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABundle => f.write_str("this is no kept configuration"),
            Self::Version(version) => {
                write!(f, "this kept configuration has format {version}; this version of Assay reads format {VERSION}")
            }
            Self::Changed => f.write_str("this kept configuration is not whole: it was cut off or changed"),
            Self::TooLarge => f.write_str("this kept configuration is larger than a configuration may be"),
            Self::Malformed => f.write_str("this kept configuration is not well formed"),
        }
    }
}

impl std::error::Error for BundleError {}

#[cfg(test)]
mod tests;
