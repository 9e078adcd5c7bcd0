//! In: nothing. Out: a Redis (or Valkey) server of one test, empty, on a port of its own, that can fail in every way a
//! real one does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{Server, wait_for};
use crate::program;

/// A server without persistence: whatever it held is gone after [`Redis::kill`], [`Redis::restart`] or [`Redis::flush`].
pub struct Redis {
    program: PathBuf,
    port: u16,
    extra: Vec<String>,
    server: Mutex<Option<Server>>,
    folder: TempDir,
}

impl Redis {
    /// A server that answers, or `None` and one line where no redis-server is installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// As [`Redis::start`], with further words on the server's command line (`["--replicaof", "127.0.0.1 7000"]`).
    pub fn start_with(extra: &[&str]) -> Option<Self> {
        let Some(program) = program::find(&["redis-server", "valkey-server"], &[]) else {
            program::say_skipped("redis-server");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("assay-redis-").tempdir().unwrap();
        let extra: Vec<String> = extra.iter().map(|word| (*word).to_owned()).collect();
        for _ in 0..5 {
            let port = program::free_port();
            if let Some(server) = launch(&program, port, &extra, &folder) {
                return Some(Self { program, port, extra, server: Mutex::new(Some(server)), folder });
            }
        }
        panic!("redis-server does not start:\n{}", program::tail(&folder.path().join("log")));
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, which stays the same across restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&self) {
        if let Some(mut server) = self.lock().take() {
            server.end(Signal::KILL);
        }
    }

    /// Ends it if it runs, and starts it again on the same port, empty.
    pub fn restart(&self) {
        self.kill();
        let server = launch(&self.program, self.port, &self.extra, &self.folder).unwrap_or_else(|| {
            panic!("redis-server does not restart:\n{}", program::tail(&self.folder.path().join("log")))
        });
        *self.lock() = Some(server);
    }

    /// Forgets everything, without a restart.
    pub fn flush(&self) {
        self.command(&["FLUSHALL"]);
    }

    /// Stops it in its tracks: connections stay open and nothing answers.
    pub fn pause(&self) {
        if let Some(server) = self.lock().as_ref() {
            server.signal(Signal::STOP);
        }
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        if let Some(server) = self.lock().as_ref() {
            server.signal(Signal::CONT);
        }
    }

    /// Sends one command on a connection of its own; the answer as the server writes it (RESP2), without its last line
    /// break (`+OK`, `:3`; a bulk string is its text alone).
    pub fn command(&self, words: &[&str]) -> String {
        send(self.port, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap()
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Starts the server; `None` when it ended before it answered (the port was taken).
fn launch(program: &PathBuf, port: u16, extra: &[String], folder: &TempDir) -> Option<Server> {
    let mut command = Command::new(program);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "local", "--repl-diskless-sync-delay", "0"])
        .args(extra)
        .arg("--dir")
        .arg(folder.path());
    let mut server = Server::start(&mut command, &folder.path().join("log"), folder.path());
    let mut ended = false;
    let answered = wait_for(|| {
        ended = server.has_ended();
        ended || send(port, &["PING"]).is_ok_and(|answer| answer == "+PONG" || answer.starts_with("-NOAUTH"))
    });
    // Another server may answer on a port that ours did not get: ours must still be there.
    (answered && !ended && !server.has_ended()).then_some(server)
}

fn send(port: u16, words: &[&str]) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    (&stream).write_all(request.as_bytes())?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    match line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            let mut text = vec![0; length];
            reader.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        None => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_at_a_restart_and_at_a_flush_and_keeps_its_port() {
        let Some(redis) = Redis::start() else { return };
        let port = redis.port();
        assert_eq!(redis.command(&["SET", "a", "1"]), "+OK");
        redis.restart();
        assert_eq!((redis.command(&["EXISTS", "a"]), redis.port()), (":0".into(), port));
        redis.command(&["SET", "a", "1"]);
        redis.flush();
        assert_eq!(redis.command(&["EXISTS", "a"]), ":0");
    }

    #[test]
    fn answers_nothing_while_paused_and_refuses_connections_when_killed() {
        let Some(redis) = Redis::start() else { return };
        redis.pause();
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
        assert!(stream.read(&mut [0; 8]).is_err(), "a paused server answered");
        redis.resume();
        assert_eq!(redis.command(&["PING"]), "+PONG");
        redis.kill();
        assert!(TcpStream::connect(("127.0.0.1", redis.port())).is_err());
    }
}
