//! The file that sampled records go to: lines of JSON, bounded in size.
//!
//! In come whole lines, many at once, from the one thread that writes them; out goes a file that only its owner can read. At its bound it becomes
//! `<file>.1`, in place of an older one. A disk that is full loses lines, which are counted, and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A file that begins anew when it is full.
pub(super) struct Rotating {
    path: PathBuf,
    most: u64,
    /// Nothing while it can't be opened.
    file: Option<File>,
    size: u64,
    lost: Arc<AtomicU64>,
    told: bool,
}

impl Rotating {
    /// Opens or makes the file. `lost` counts lines that could not be written.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn open(path: PathBuf, most: u64, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, most, file: Some(file), size, lost, told: false })
    }

    fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.file.is_none() || self.size.saturating_add(more) > self.most {
            if self.file.take().is_some() && self.size > 0 {
                std::fs::rename(&self.path, older(&self.path))?;
            }
            let file = append(&self.path)?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(lines);
        match written {
            Ok(()) => self.size = self.size.saturating_add(more),
            // Half a line may be there: what comes next begins a new one, and readers pass over what is no record.
            Err(_) => {
                let _ = file.write_all(b"\n");
                self.size = file.metadata().map_or(self.size, |meta| meta.len());
            }
        }
        written
    }
}

impl Write for Rotating {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match self.add(lines) {
            Ok(()) => self.told = false,
            Err(why) => {
                let lines = lines.iter().filter(|byte| **byte == b'\n').count();
                self.lost.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Relaxed);
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(file = %self.path.display(), "records are lost: {why}");
                }
            }
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn older(path: &std::path::Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_is_kept_within_its_bound_and_whole_lines_are_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.ndjson");
        let lost = Arc::new(AtomicU64::new(0));
        let mut file = Rotating::open(path.clone(), 100, lost.clone()).unwrap();
        for n in 0..50 {
            file.write_all(format!("{{\"line\":{n:02}}}\n").as_bytes()).unwrap();
        }
        let (new, old) = (std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(older(&path)).unwrap());
        assert!(new.len() <= 100 && old.len() <= 100, "{new} {old}");
        assert!(old.ends_with("}\n") && new.starts_with('{') && new.ends_with("{\"line\":49}\n"), "{old} {new}");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(lost.load(Relaxed), 0);
        // It goes on where an earlier process ended.
        let mut again = Rotating::open(path.clone(), 100, lost).unwrap();
        again.write_all(b"{}\n").unwrap();
        let now = std::fs::read_to_string(&path).unwrap();
        assert!(now.ends_with("{\"line\":49}\n{}\n") || now == "{}\n", "{now}");
    }

    #[test]
    fn a_disk_that_takes_nothing_loses_lines_counts_them_and_heals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("records.ndjson");
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let lost = Arc::new(AtomicU64::new(0));
        let mut file = Rotating::open(path.clone(), 10, lost.clone()).unwrap();
        file.write_all(b"{\"a\":1}\n").unwrap();
        std::fs::remove_dir_all(folder.path().join("sub")).unwrap();
        file.write_all(b"{\"b\":1}\n{\"c\":1}\n").unwrap();
        file.write_all(b"{\"d\":1}\n").unwrap();
        assert_eq!(lost.load(Relaxed), 3);
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        file.write_all(b"{\"e\":1}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"e\":1}\n");
    }
}
