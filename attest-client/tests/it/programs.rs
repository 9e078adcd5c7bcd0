//! Small C programs: built once for a test, started, and paused where their memory can be looked at.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Says that it is ready, waits for a line, and ends.
pub(crate) const WAITS: &str = r#"
    #include <stdio.h>
    const char text[] = "a place to patch";
    int main(void) { puts(text); fflush(stdout); getchar(); return 0; }
"#;

/// Compiles `source` into `folder/name`. `None` where there is no such compiler, which is said.
pub(crate) fn build(folder: &TempDir, name: &str, source: &str, compiler: &str, arguments: &[&str]) -> Option<PathBuf> {
    let code = folder.path().join(format!("{name}.c"));
    std::fs::write(&code, source).unwrap();
    let out = folder.path().join(name);
    let run = Command::new(compiler).args(["-O1", "-o"]).arg(&out).arg(&code).args(arguments).output();
    match run {
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {name} needs {compiler}");
            None
        }
        run => {
            let run = run.unwrap();
            assert!(run.status.success(), "{compiler} {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
            Some(out)
        }
    }
}

/// A program that has said that it is ready, and waits.
pub(crate) struct Paused(Child);

impl Paused {
    pub(crate) fn start(program: &Path, arguments: &[&Path]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the program ended early");
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Where `file`'s first byte lies.
    pub(crate) fn base(&self, file: &str) -> u64 {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.id())).unwrap();
        let line = maps.lines().find(|line| line.ends_with(file)).unwrap();
        u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = self.0.stdin.take().unwrap().write_all(b"\n");
        let _ = self.0.wait();
    }
}
