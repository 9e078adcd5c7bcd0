//! In: a command that runs a server in the foreground. Out: its process, which ends with the owner, and also when the
//! test process is killed or ends without dropping its statics.
//!
//! A watchdog, a shell, holds the read end of a pipe from this process. When the pipe closes without a word, this
//! process is gone: the shell ends the server and removes its folder. A word on the pipe says that the server has ended.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the server.
pub(crate) struct Server {
    child: Child,
    watchdog: Child,
    leash: Option<ChildStdin>,
}

impl Server {
    /// Starts `command`, its output going to `log`; `folder` is what the watchdog removes.
    pub(crate) fn start(command: &mut Command, log: &Path, folder: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            // Ctrl-C at the terminal ends the tests; the server is ended by them or by the watchdog.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let leash = watchdog.stdin.take();
        Self { child, watchdog, leash }
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether the server has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(self.id(), signal);
    }

    /// Sends `signal` and waits for the end; kills what does not end in time.
    pub(crate) fn end(&mut self, signal: Signal) {
        if !self.has_ended() {
            self.signal(signal);
            self.signal(Signal::CONT);
            if !wait_for(|| self.child.try_wait().unwrap().is_some()) {
                self.signal(Signal::KILL);
                let _ = self.child.wait();
            }
        }
        if let Some(mut leash) = self.leash.take() {
            let _ = leash.write_all(b"ended\n");
        }
        let _ = self.watchdog.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// Waits for `condition`, at most [`PATIENCE`].
#[expect(
    clippy::disallowed_methods,
    reason = "polls a condition with a deadline; nothing tells when a server is ready"
)]
pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// QUIT is PostgreSQL's immediate shutdown, which takes its children along and leaves no shared memory; a paused server
/// is continued first, so that it hears it.
const WATCHDOG: &str = r#"
read -r word && exit 0
kill -CONT "$1"
pkill -CONT -P "$1"
kill -QUIT "$1"
sleep 1
kill -KILL "$1"
rm -rf "$2"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_and_its_folder_go_when_the_process_that_started_it_is_gone() {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut server = Server::start(Command::new("sleep").arg("1000"), &folder.join("log"), &folder);
        assert!(!server.has_ended());
        // What the kernel does when this process dies: the pipe closes without a word.
        drop(server.leash.take());
        assert!(wait_for(|| server.has_ended()), "the server outlives its owner");
        assert!(wait_for(|| !folder.exists()), "the folder stays");
    }
}
