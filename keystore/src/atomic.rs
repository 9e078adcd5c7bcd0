//! Files that are whole or absent. In: a path and its new bytes. Out: the file replaced and on disk; a kill at any
//! instruction leaves the old content or the new one, and the next writer clears what was left lying beside it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Where a change of a file is, told before each step: a test ends the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    CreateTemporary,
    WriteFirstHalf,
    WriteSecondHalf,
    SyncTemporary,
    KeepReaders,
    Rename,
    Link,
    RemoveTemporary,
    SyncDirectory,
    Finished,
}

/// Replaces `path` by `bytes`, for the same readers as before: root may change what a service has to read. A new file
/// is readable by the owner alone. The caller holds the [`Lock`] of that path.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, "tmp");
    let written = write_new(&temporary, bytes).and_then(|()| {
        step(Step::KeepReaders);
        keep_readers(path, &temporary)?;
        step(Step::Rename);
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // A full disk must not keep what did not fit. The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    step(Step::SyncDirectory);
    sync_directory(path)?;
    step(Step::Finished);
    Ok(())
}

/// Creates `path` with `bytes`, readable by the owner alone; whole or not at all.
///
/// # Errors
/// `AlreadyExists` when there is something at `path`, which stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, "tmp");
    let linked = write_new(&temporary, bytes).and_then(|()| {
        step(Step::Link);
        fs::hard_link(&temporary, path)
    });
    step(Step::RemoveTemporary);
    let _ = fs::remove_file(&temporary);
    linked?;
    step(Step::SyncDirectory);
    sync_directory(path)?;
    step(Step::Finished);
    Ok(())
}

/// Moves the file at `from`, which is on disk already, over the one at `to` in the same directory, for the same readers.
pub(crate) fn supersede(from: &Path, to: &Path) -> io::Result<()> {
    step(Step::KeepReaders);
    keep_readers(to, from)?;
    step(Step::Rename);
    fs::rename(from, to)?;
    step(Step::SyncDirectory);
    sync_directory(to)?;
    step(Step::Finished);
    Ok(())
}

/// Removes what a writer that was killed may have left beside `path`. That it is still there harms nobody but the eye.
pub(crate) fn clear_temporary(path: &Path) {
    let _ = fs::remove_file(beside(path, "tmp"));
}

/// A lock against a second writer of `path`, held until it is dropped or its process dies.
///
/// The lock is on an empty file beside it, which stays: removing it would let two writers lock two different files.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or fails at once with `WouldBlock` when another writer holds it.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        Self::with(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock, waiting for the other writer, who holds it for the length of one small write.
    pub(crate) fn wait_for(path: &Path) -> io::Result<Self> {
        Self::with(path, FlockOperation::LockExclusive)
    }

    fn with(path: &Path, how: FlockOperation) -> io::Result<Self> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(beside(path, "lock"))?;
        flock(&file, how)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is being started has a copy of the descriptor until it runs.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Writes a new file through to the disk. Whatever a killed writer left under that name is cleared first.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    step(Step::CreateTemporary);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    // In two halves, so that a test can stop between them.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    step(Step::WriteFirstHalf);
    file.write_all(first)?;
    step(Step::WriteSecondHalf);
    file.write_all(second)?;
    step(Step::SyncTemporary);
    file.sync_all()
}

/// Gives the file at `new` the owner, group and permissions of the one at `old`, if there is one.
pub(crate) fn keep_readers(old: &Path, new: &Path) -> io::Result<()> {
    let about = match fs::metadata(old) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let own = fs::metadata(new)?;
    if (own.uid(), own.gid()) != (about.uid(), about.gid()) {
        // Only root can give a file away; for anybody else the file becomes his, as with any editor.
        match chown(new, Some(about.uid()), Some(about.gid())) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    fs::set_permissions(new, about.permissions())
}

/// Opens a file to be read. A pipe in its place is refused, and not waited on.
///
/// # Errors
/// `InvalidInput` for what is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    // Of the opened file, not of the path: the path may lead elsewhere by now.
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR)) }
}

/// What [`open_regular`] says of anything else.
const NOT_REGULAR: &str = "not a regular file";

/// A rename is on disk only once the directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// The directory a path lies in; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The hidden neighbour `.NAME.suffix`, on the same file system, as a rename needs it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(suffix);
    parent(path).join(name)
}

/// Tells a test where the process is. Outside tests it is nothing.
fn step(_at: Step) {
    #[cfg(test)]
    tests::reached(_at);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    type Hook = Box<dyn FnMut(Step)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// From now on `hook` is told of every step that this thread takes.
    pub(crate) fn on_step(hook: impl FnMut(Step) + 'static) {
        HOOK.set(Some(Box::new(hook)));
    }

    pub(super) fn reached(at: Step) {
        HOOK.with_borrow_mut(|hook| hook.iter_mut().for_each(|hook| hook(at)));
    }

    #[test]
    fn refuses_to_create_over_an_existing_file_and_leaves_it_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        create(&path, b"first").unwrap();
        assert_eq!(create(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_second_writer_is_turned_away_until_the_first_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let first = Lock::take(&path).unwrap();
        assert_eq!(Lock::take(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_replaced_file_keeps_its_readers_and_a_new_one_has_none_but_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"new").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Only root can try the other half; elsewhere the file is ours before and after.
        let owner = if fs::metadata(&path).unwrap().uid() == 0 { 12345 } else { fs::metadata(&path).unwrap().uid() };
        chown(&path, Some(owner), None).unwrap();
        replace(&path, b"newer").unwrap();
        assert_eq!(
            (mode(), fs::metadata(&path).unwrap().uid(), fs::read(&path).unwrap()),
            (0o644, owner, b"newer".to_vec())
        );
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"a file can't take a directory's place").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
