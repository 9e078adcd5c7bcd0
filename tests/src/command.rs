//! One run of `assay`. In: words, perhaps standard input. Out: exit code, stdout, stderr.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::files::random;
use crate::process::Program;
use crate::programs;

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// The words, for messages.
    pub words: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// `assay WORDS`, with nothing on standard input.
pub fn assay(words: &[&dyn AsRef<OsStr>]) -> Ran {
    assay_fed(words, b"")
}

/// `assay WORDS`, with `input` on standard input.
pub fn assay_fed(words: &[&dyn AsRef<OsStr>], input: &[u8]) -> Ran {
    let mut command = Command::new(programs::assay());
    command.args(words);
    run(&mut command, input)
}

/// `assay WORDS` in a folder.
pub fn assay_in(folder: &Path, words: &[&dyn AsRef<OsStr>]) -> Ran {
    let mut command = Command::new(programs::assay());
    command.args(words).current_dir(folder);
    run(&mut command, b"")
}

/// Any command, to its end.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut program = Program::start(command);
    program.feed(input);
    let (code, out, err) = program.finish();
    Ran { words: words.join(" "), code, out, err }
}

/// Runs a command and kills it after a random part of `longest`; whether it had ended well before.
pub fn run_and_kill(command: &mut Command, input: &[u8], longest: Duration) -> bool {
    let mut program = Program::start(command);
    program.feed(input);
    let moment = longest * u32::from(random::<1>()[0]) / 255;
    let ended = program.wait(moment);
    program.kill();
    ended.is_some_and(|status| status.success())
}

/// How long a command takes here and now, and half as long again: killed within that it is stopped in every stage, and
/// sometimes not at all.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn one_and_a_half(command: &mut Command, input: &[u8]) -> Duration {
    let start = Instant::now();
    assert_eq!(run(command, input).code, 0);
    start.elapsed() * 3 / 2
}

impl Ran {
    /// Demands an exit code.
    ///
    /// # Panics
    /// With all that was said, when it was another.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "assay {}\n--- stdout\n{}\n--- stderr\n{}", self.words, self.out, self.err);
        self
    }

    /// Demands that stderr has all of these.
    ///
    /// # Panics
    /// With all that was said, when one is not there.
    #[track_caller]
    pub fn complains(self, of: &[&str]) -> Self {
        for part in of {
            assert!(self.err.contains(part), "assay {} does not say {part:?}:\n{}", self.words, self.err);
        }
        self
    }

    /// The one JSON document on stdout.
    ///
    /// # Panics
    /// When stdout is anything else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("assay {}: stdout is not one JSON document ({e}):\n{}", self.words, self.out))
    }
}
