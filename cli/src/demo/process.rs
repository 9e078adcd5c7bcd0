//! A program of the demo as a child process: its output read line by line, ended when it goes out of scope.
//!
//! In: a command. Out: lines as they come, found by what they say; never more of them kept than a demo makes.

use super::Trouble;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A running child and what it has said so far.
pub(super) struct Program {
    name: &'static str,
    child: Child,
    out: Arc<Lines>,
    err: Arc<Lines>,
}

/// The lines of one stream, and a bell that rings for each.
#[derive(Default)]
pub(super) struct Lines {
    said: Mutex<(Vec<String>, bool)>,
    bell: Condvar,
}

/// What one stream may say before the rest is thrown away: a flood makes some 100,000 access-log lines.
const MOST_LINES: usize = 2_000_000;

impl Program {
    /// Starts `command` with its output piped to us.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self, Trouble> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Trouble::new(format!("{name} can't be started: {e}")))?;
        let out = Lines::reader(child.stdout.take());
        let err = Lines::reader(child.stderr.take());
        Ok(Self { name, child, out, err })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says on stdout.
    pub(super) fn out(&self) -> &Arc<Lines> {
        &self.out
    }

    /// The first stdout line that `pick` takes, or why there is none.
    pub(super) fn expect<T>(&self, what: &str, pick: impl FnMut(&str) -> Option<T>) -> Result<T, Trouble> {
        self.out.wait(0, PATIENCE, pick).ok_or_else(|| {
            let last = self.err.all().into_iter().rev().take(8).collect::<Vec<_>>();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n    ");
            Trouble::new(format!("{} did not say {what}; its last words:\n    {last}", self.name))
        })
    }

    /// Writes one line to its stdin.
    pub(super) fn tell(&mut self, line: &str) -> Result<(), Trouble> {
        let name = self.name;
        let told = self.child.stdin.as_mut().map(|pipe| writeln!(pipe, "{line}").and_then(|()| pipe.flush()));
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(e)) => Err(Trouble::new(format!("{name} does not listen: {e}"))),
            None => Err(Trouble::new(format!("{name} has no standard input"))),
        }
    }

    /// Waits for it to end by itself; true when it ended with 0.
    pub(super) fn finish(mut self) -> Result<(bool, Vec<String>), Trouble> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(|e| Trouble::new(format!("{}: {e}", self.name)))?;
        self.out.drained(PATIENCE);
        Ok((status.success(), self.out.all()))
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

impl Lines {
    fn reader(stream: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let Some(stream) = stream else { return lines };
        let writer = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut said = writer.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.0.len() < MOST_LINES {
                    said.0.push(line);
                }
                drop(said);
                writer.bell.notify_all();
            }
            writer.said.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            writer.bell.notify_all();
        });
        lines
    }

    /// How many lines there are: a mark to look from later.
    pub(super) fn mark(&self) -> usize {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// All lines so far.
    pub(super) fn all(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The first line after `mark` that `pick` takes; waits for it at most `patience`.
    pub(super) fn wait<T>(
        &self,
        mark: usize,
        patience: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut next = mark;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(line) = said.0.get(next) {
                if let Some(found) = pick(line) {
                    return Some(found);
                }
                next += 1;
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if said.1 {
                return None;
            }
            said = self.bell.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn drained(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        while !said.1 {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            said = self.bell.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How long a program may take to say what it always says.
const PATIENCE: Duration = Duration::from_secs(20);
