//! The files that a configuration names.
//!
//! In: a path from the configuration. Out: the file's bytes, read once; from the disk, or for a text from a kept [`Bundle`].
//! Proven: it is a regular file of bounded size, a file with a secret in it can't be read by others, and none is a text
//! beside: what a text says stands in reports, in kept configurations, and where it is a refusal's body in answers. Every
//! file that was asked for is remembered, also those that are not there: a reload watcher wants to know when they appear.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::{
    bundle::{Bundle, MAX_FILES},
    shape::Fault,
};

/// The files read for one configuration.
pub(crate) struct Files {
    base: PathBuf,
    /// Where texts come from, instead of the disk: by their names beside the configuration.
    kept: Option<BTreeMap<PathBuf, Arc<[u8]>>>,
    asked: RefCell<Asked>,
}

#[derive(Default)]
struct Asked {
    order: Vec<PathBuf>,
    /// What a bundle is made of.
    texts: BTreeSet<PathBuf>,
    /// What holds a secret, and may be no text.
    private: BTreeSet<PathBuf>,
    /// Read once, so that a file that is being replaced can't be two things in one configuration.
    contents: BTreeMap<PathBuf, Result<Rc<Content>, String>>,
}

/// The bytes of a file (wiped when dropped: it may hold a secret) and who may read it.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    mode: u32,
    owner: u32,
    /// Device and inode: one file under two names is one. Nothing for what comes from a bundle.
    id: Option<(u64, u64)>,
}

impl Files {
    /// Paths will be relative to the folder of `configuration`.
    pub(crate) fn beside(configuration: &Path) -> Self {
        Self {
            base: configuration.parent().unwrap_or_else(|| Path::new("")).to_path_buf(),
            kept: None,
            asked: RefCell::default(),
        }
    }

    /// The same, with every text from `kept`.
    pub(crate) fn kept(configuration: &Path, kept: &Bundle) -> Self {
        Self { kept: Some(kept.by_name()), ..Self::beside(configuration) }
    }

    /// Whether texts come from a bundle.
    pub(crate) fn are_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Where `path` of the configuration leads.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// What a bundle calls the file of a resolved path.
    pub(crate) fn name<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.base).unwrap_or(path)
    }

    /// Reads a text that belongs to the configuration and that anybody may read, by its resolved path; at most `max` bytes.
    pub(crate) fn read(&self, path: &Path, max: usize) -> Result<Rc<Content>, Fault> {
        let content = self.take(path, max, || match &self.kept {
            None => read(path),
            Some(kept) => match kept.get(self.name(path)) {
                Some(bytes) => Ok(Content { bytes: Zeroizing::new(bytes.to_vec()), mode: 0, owner: 0, id: None }),
                None => Err("is not part of the kept configuration".to_owned()),
            },
        })?;
        let mut asked = self.asked.borrow_mut();
        if asked.has(&asked.private, path, &content) {
            return Err(both(path));
        }
        asked.texts.insert(path.to_path_buf());
        drop(asked);
        Ok(content)
    }

    /// The same as text.
    pub(crate) fn read_text(&self, path: &Path, max: usize) -> Result<String, Fault> {
        let content = self.read(path, max)?;
        String::from_utf8(content.bytes.to_vec())
            .map_err(|_| Fault::new(format!("`{}` is not UTF-8 text", path.display())))
    }

    /// Reads a file as it is now, wherever texts come from: one that is opened again by its path, or that no bundle holds.
    pub(crate) fn read_live(&self, path: &Path, max: usize) -> Result<Rc<Content>, Fault> {
        self.take(path, max, || read(path))
    }

    fn take(
        &self,
        path: &Path,
        max: usize,
        read: impl FnOnce() -> Result<Content, String>,
    ) -> Result<Rc<Content>, Fault> {
        let mut asked = self.asked.borrow_mut();
        let Asked { order, contents, .. } = &mut *asked;
        let content = contents.entry(path.to_path_buf()).or_insert_with(|| {
            order.push(path.to_path_buf());
            if order.len() > MAX_FILES {
                return Err(format!("is one file too many: {MAX_FILES} are read"));
            }
            read().map(Rc::new)
        });
        match content {
            Ok(content) if content.bytes.len() > max => {
                Err(Fault::new(format!("`{}` has more than the {max} bytes that are read", path.display())))
            }
            Ok(content) => Ok(Rc::clone(content)),
            Err(why) => Err(Fault::new(format!("`{}` {why}", path.display()))),
        }
    }

    /// Reads a file with a secret in it.
    pub(crate) fn read_private(&self, path: &Path, max: usize) -> Result<Rc<Content>, Fault> {
        let content = self.read_live(path, max)?;
        let mut asked = self.asked.borrow_mut();
        asked.private.insert(path.to_path_buf());
        if asked.has(&asked.texts, path, &content) {
            return Err(both(path));
        }
        drop(asked);
        match content.readable_by_others() {
            None => Ok(content),
            Some(who) => Err(Fault::new(format!("`{}` holds a secret and {who} can read it", path.display()))
                .hint(format!("chmod 600 {} (mounted secrets: owned by root, mode 0440 or 0640)", path.display()))),
        }
    }

    /// Every file that was asked for, in that order.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        self.asked.borrow().order.clone()
    }

    /// Every text that was read, by its name beside the configuration.
    pub(crate) fn bundle(&self) -> Bundle {
        let asked = self.asked.borrow();
        let texts = asked.order.iter().filter(|path| asked.texts.contains(*path));
        Bundle::new(
            texts
                .filter_map(|path| {
                    let content = asked.contents.get(path)?.as_ref().ok()?;
                    Some((self.name(path).to_path_buf(), Arc::from(content.bytes.as_slice())))
                })
                .collect(),
        )
    }

    /// Bytes of all texts together.
    pub(crate) fn text_bytes(&self) -> usize {
        let asked = self.asked.borrow();
        let contents = asked.texts.iter().filter_map(|path| asked.contents.get(path)?.as_ref().ok());
        contents.fold(0, |sum, content| sum.saturating_add(content.bytes.len()))
    }

    /// SHA-256 over names and contents of all files, in the order in which they were asked for.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let asked = self.asked.borrow();
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"assay-settings-v1\0");
        for path in &asked.order {
            let name = path.as_os_str().as_encoded_bytes();
            hash.update(&(name.len() as u64).to_be_bytes());
            hash.update(name);
            match asked.contents.get(path) {
                // Of the hash, not the content: a digest that is shown must not tell a short secret.
                Some(Ok(content)) => hash.update(digest::digest(&digest::SHA256, &content.bytes).as_ref()),
                _ => hash.update(&[0; 32]),
            }
        }
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        out
    }
}

impl Asked {
    /// Whether `among` has this file, by this name or another.
    fn has(&self, among: &BTreeSet<PathBuf>, path: &Path, content: &Content) -> bool {
        let id_of = |path: &PathBuf| self.contents.get(path)?.as_ref().ok()?.id;
        among.contains(path) || content.id.is_some() && among.iter().any(|other| id_of(other) == content.id)
    }
}

/// A file that is named as a text and as a secret.
fn both(path: &Path) -> Fault {
    Fault::new(format!("`{}` is named here as a text, and holds a secret of this configuration", path.display()))
        .hint("name another file: what a text says can be read by others")
}

impl Content {
    /// Who else can read it. Mode 0600 or less is private; a group may read (not write) what root owns, because that is how
    /// Kubernetes mounts secrets.
    fn readable_by_others(&self) -> Option<&'static str> {
        if self.mode & 0o007 != 0 {
            Some("everybody on this machine")
        } else if self.mode & 0o070 != 0 && (self.owner != 0 || self.mode & 0o030 != 0) {
            Some("its group")
        } else {
            None
        }
    }

    /// The text without one line end at its end.
    pub(crate) fn line(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Some(text.strip_suffix('\r').unwrap_or(text))
    }
}

fn read(path: &Path) -> Result<Content, String> {
    let why = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("can't be read: {error}"),
    };
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(why)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let file = File::open(path).map_err(why)?;
    let about = file.metadata().map_err(why)?;
    // The whole room at once: a vector that grows leaves copies behind, and this may be a secret.
    let room = usize::try_from(about.len()).unwrap_or(LARGEST).min(LARGEST) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    // One more than the most: whoever asked sees that it is too long.
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(why)?;
    Ok(Content { bytes, mode: about.mode() & 0o777, owner: about.uid(), id: Some((about.dev(), about.ino())) })
}

/// No file of a configuration is larger: as large as a key store can be.
pub(crate) const LARGEST: usize = keystore::document::MAX_DOCUMENT_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn content(mode: u32, owner: u32) -> Content {
        Content { bytes: Zeroizing::default(), mode, owner, id: None }
    }

    #[test]
    fn a_secret_is_private_by_mode_and_owner() {
        for (mode, owner) in [(0o600, 1000), (0o400, 1000), (0o600, 0), (0o440, 0), (0o640, 0)] {
            assert_eq!(content(mode, owner).readable_by_others(), None, "{mode:o} {owner}");
        }
        for (mode, owner) in
            [(0o640, 1000), (0o440, 1000), (0o660, 0), (0o620, 0), (0o644, 0), (0o604, 0), (0o601, 0), (0o602, 0)]
        {
            assert!(content(mode, owner).readable_by_others().is_some(), "{mode:o} {owner}");
        }
    }

    #[test]
    fn refuses_folders_missing_long_and_readable_files_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::beside(&dir.path().join("assay.yaml"));
        let secret = files.resolve(Path::new("s"));
        std::fs::write(&secret, b"0123456789").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
        let told = files.read_private(&secret, 100).err().unwrap();
        assert!(told.message.contains("everybody") && told.hint.unwrap().contains("chmod 600"));
        assert!(files.read(&secret, 9).err().unwrap().message.contains("more than"));
        assert!(files.read(dir.path(), 9).err().unwrap().message.contains("not a file"));
        assert!(files.read(&files.resolve(Path::new("none")), 9).err().unwrap().message.contains("does not exist"));
        assert_eq!(files.sources().len(), 3);
    }

    #[test]
    fn the_digest_follows_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let digest_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let files = Files::beside(&path);
            files.read(&path, 100).unwrap();
            files.digest()
        };
        let (one, two) = (digest_of("one"), digest_of("two"));
        assert_ne!(one, two);
        assert_eq!(one, digest_of("one"));
    }
}
