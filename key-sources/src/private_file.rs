//! A file with a secret in it. In: a path. Out: its bytes, bounded; proven between: a regular file that nobody else may
//! read (mode 0600 or less, or a group of root's, as Kubernetes mounts secrets).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// Reads all of it: at most `most` bytes.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(refuse("not a regular file".to_owned()));
    }
    let file = File::open(path)?;
    // Of the opened file, not of the path: the path may lead elsewhere by now.
    let about = file.metadata()?;
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 && (about.uid() != 0 || mode & 0o037 != 0) {
        return Err(refuse(format!("mode {mode:04o} lets others read it; run: chmod 600 {}", path.display())));
    }
    // The whole room at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(u64::try_from(most + 1).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(refuse(format!("over {most} bytes")));
    }
    Ok(bytes)
}

/// The same as text of one line, without its line ending.
pub(crate) fn read_line(path: &Path, most: usize) -> io::Result<Zeroizing<String>> {
    let bytes = read(path, most)?;
    let text = std::str::from_utf8(&bytes).ok();
    let line = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
    let line = line.map(|line| line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.contains(['\n', '\r']));
    let line = line.filter(|line| !line.is_empty());
    line.map(|line| Zeroizing::new(line.to_owned()))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not one line of text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn refuses_what_others_may_read_what_is_too_long_and_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "0123456789").unwrap();
        for mode in [0o644, 0o604, 0o620, 0o606] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(read(&path, 100).unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path, 9).unwrap_err().to_string().contains("over 9 bytes"));
        assert_eq!(read(&path, 10).unwrap().as_slice(), b"0123456789");
        assert!(read(dir.path(), 10).is_err());
    }

    #[test]
    fn a_line_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (text, line) in
            [("a", Some("a")), ("a\n", Some("a")), ("a\r\n", Some("a")), ("", None), ("\n", None), ("a\nb\n", None)]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read_line(&path, 100).ok().as_deref().map(String::as_str), line, "{text:?}");
        }
    }
}
