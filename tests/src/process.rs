//! A child process. In: a command. Out: its lines as they come, its end with a deadline. It is killed when it goes out of
//! scope.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use crate::wait::PATIENCE;

/// A running child and what it has said so far.
pub struct Program {
    name: String,
    child: Child,
    out: Arc<Lines>,
    err: Arc<Lines>,
}

/// The lines of one stream, and a bell that rings for each.
#[derive(Default)]
pub struct Lines {
    said: Mutex<Said>,
    bell: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

impl Program {
    /// Starts it with all three streams in our hands.
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        // Whatever the developer's shell says, the tests see the same.
        command.env_remove("ASSAY_CONFIG").env("NO_COLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let out = Lines::of(child.stdout.take());
        let err = Lines::of(child.stderr.take());
        Self { name, child, out, err }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says on stdout.
    pub fn out(&self) -> &Lines {
        &self.out
    }

    /// What it says on stderr.
    pub fn err(&self) -> &Lines {
        &self.err
    }

    /// The first JSON line on stdout that has this member.
    pub fn expect(&self, member: &str) -> Value {
        let found = self.out.after(0, |line| serde_json::from_str::<Value>(line).ok()?.get(member).cloned());
        found.unwrap_or_else(|| {
            panic!("{} did not say {member:?}; it said:\n{}\n{}", self.name, self.out.text(), self.err.text())
        })
    }

    /// Writes to its stdin and closes it.
    pub fn feed(&mut self, bytes: &[u8]) {
        // It may have ended without reading: that is for its exit code to tell.
        let _ = self.child.stdin.take().map(|mut pipe| pipe.write_all(bytes));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        if let Some(status) = self.child.try_wait().unwrap() {
            return Some(status);
        }
        let handle = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let mut fds = [PollFd::new(&handle, PollFlags::IN)];
        let timeout = Timespec::try_from(at_most).unwrap();
        poll(&mut fds, Some(&timeout)).unwrap();
        self.child.try_wait().unwrap()
    }

    /// Waits for its end: exit code, stdout, stderr.
    pub fn finish(mut self) -> (i32, String, String) {
        let status = self.wait(PATIENCE).unwrap_or_else(|| panic!("{} does not end", self.name));
        self.out.closed();
        self.err.closed();
        (status.code().unwrap_or(-1), self.out.text(), self.err.text())
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
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
    fn of(stream: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let writer = Arc::clone(&lines);
        let stream = stream.unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                writer.said().lines.push(String::from_utf8_lossy(&line).into_owned());
                writer.bell.notify_all();
            }
            writer.said().ended = true;
            writer.bell.notify_all();
        });
        lines
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines there are: a mark to look from later.
    pub fn mark(&self) -> usize {
        self.said().lines.len()
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.said().lines.join("\n")
    }

    /// The first line from `mark` on that `pick` takes, waited for.
    pub fn after<T>(&self, mark: usize, mut pick: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut next = mark;
        let mut said = self.said();
        loop {
            while let Some(line) = said.lines.get(next) {
                if let Some(found) = pick(line) {
                    return Some(found);
                }
                next += 1;
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if said.ended {
                return None;
            }
            said = self.bell.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn closed(&self) {
        self.after(usize::MAX, |_| None::<()>);
    }
}
