//! In: nothing. Out: a PostgreSQL server of one test, or one for the whole test process, with a fresh database for
//! whoever asks.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::child::{Server, wait_for};
use crate::program;

/// A server that keeps nothing safe (`fsync = off`) in a folder of its own, on 127.0.0.1, user `assay`, no password.
pub struct Postgres {
    tools: PathBuf,
    port: u16,
    owner: Option<u32>,
    databases: AtomicU32,
    /// One `CREATE DATABASE` at a time: two would find the template in use.
    creating: Mutex<()>,
    server: Mutex<Option<Server>>,
    folder: TempDir,
}

impl Postgres {
    /// A server of the caller's own, or `None` and one line where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let Some(initdb) = program::find(&["initdb"], &program::postgres_folders()) else {
            program::say_skipped("PostgreSQL");
            return None;
        };
        let tools = std::fs::canonicalize(&initdb).unwrap().parent().unwrap().to_owned();
        let folder = tempfile::Builder::new().prefix("assay-postgres-").tempdir().unwrap();
        let owner = unprivileged();
        if let Some(owner) = owner {
            chown(folder.path(), Some(owner), Some(owner)).unwrap();
        }
        let mut made = as_owner(&tools.join("initdb"), owner);
        made.args(["--no-sync", "--auth=trust", "--username=assay", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(folder.path().join("data"));
        let made = made.output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut new = Self {
            tools,
            port: 0,
            owner,
            databases: AtomicU32::new(0),
            creating: Mutex::new(()),
            server: Mutex::new(None),
            folder,
        };
        for _ in 0..5 {
            new.port = program::free_port();
            if let Some(server) = new.launch() {
                *new.lock() = Some(server);
                return Some(new);
            }
        }
        panic!("postgres does not start:\n{}", program::tail(&new.folder.path().join("log")));
    }

    /// The one server of this test process, started when first asked for; it ends with the process, however that ends.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A new, empty database: `postgres://assay@127.0.0.1:PORT/NAME`.
    pub fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let _one = self.creating.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.url(&name)
    }

    /// The address of a database by name.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://assay@127.0.0.1:{}/{database}", self.port)
    }

    /// The port, which stays the same across stop and start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, connections and all; what was committed stays in its folder.
    pub fn stop(&self) {
        if let Some(mut server) = self.lock().take() {
            server.end(Signal::INT);
        }
    }

    /// Ends it if it runs, and starts it again on the same port, with what was committed.
    pub fn restart(&self) {
        self.stop();
        let server = self.launch().unwrap_or_else(|| {
            panic!("postgres does not restart:\n{}", program::tail(&self.folder.path().join("log")))
        });
        *self.lock() = Some(server);
    }

    /// Stops every process of it in its tracks: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Runs SQL by `psql`; the rows as text without headings, one a line, columns divided by `|`.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let answer = self.psql(database, statement);
        assert!(answer.status.success(), "{statement}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    fn psql(&self, database: &str, statement: &str) -> std::process::Output {
        let port = self.port.to_string();
        Command::new(self.tools.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "assay",
                "-d",
                database,
                "-c",
                statement,
            ])
            .output()
            .unwrap()
    }

    /// Starts the server; `None` when it ended before it answered (the port was taken).
    fn launch(&self) -> Option<Server> {
        let mut command = as_owner(&self.tools.join("postgres"), self.owner);
        command.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
        command.arg("-k").arg(self.folder.path());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let mut server = Server::start(&mut command, &self.folder.path().join("log"), self.folder.path());
        let mut ended = false;
        let answered = wait_for(|| {
            ended = server.has_ended();
            ended || self.psql("postgres", "SELECT 1").status.success()
        });
        (answered && !ended && !server.has_ended()).then_some(server)
    }

    fn signal_all(&self, signal: Signal) {
        let server = self.lock();
        let Some(server) = server.as_ref() else { return };
        // The parent first when stopping, so that it starts no child behind our back.
        server.signal(signal);
        for child in children(server.id()) {
            let _ = kill_process(child, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.resume();
        if let Some(mut server) = self.lock().take() {
            // Immediate shutdown: the children end too, and nothing is left in shared memory.
            server.end(Signal::QUIT);
        }
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("port", &self.port).finish_non_exhaustive()
    }
}

/// PostgreSQL refuses to run as root: the user it runs as instead.
fn unprivileged() -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |name: &str| {
        let found = Command::new("id").args(["-u", name]).output().ok().filter(|found| found.status.success())?;
        String::from_utf8_lossy(&found.stdout).trim().parse().ok()
    };
    Some(["postgres", "nobody"].into_iter().find_map(id).expect("root, and neither a user postgres nor nobody"))
}

fn as_owner(program: &Path, owner: Option<u32>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(owner) = owner {
        command.uid(owner).gid(owner);
    }
    command
}

/// The processes whose parent is `parent`; PostgreSQL gives each a session of its own, so no signal to a group finds them.
fn children(parent: Pid) -> Vec<Pid> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().filter_map(|word| word.parse::<i32>().ok());
            let (id, of) = (words.next()?, words.next()?);
            (of == parent.as_raw_nonzero().get()).then(|| Pid::from_raw(id)).flatten()
        })
        .collect()
}

const SETTINGS: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=100",
    "max_wal_size=64MB",
    "autovacuum=off",
    "logging_collector=off",
    "dynamic_shared_memory_type=mmap",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_databases_that_share_nothing_and_keeps_them_across_a_stop() {
        let Some(postgres) = Postgres::start() else { return };
        assert_ne!(postgres.fresh_database(), postgres.fresh_database());
        postgres.sql("test_0", "CREATE TABLE t (a int); INSERT INTO t VALUES (7)");
        assert!(!postgres.psql("test_1", "SELECT a FROM t").status.success(), "a table shows in another database");
        postgres.stop();
        assert!(!postgres.psql("test_0", "SELECT 1").status.success(), "a stopped server answered");
        postgres.restart();
        assert_eq!(postgres.sql("test_0", "SELECT a FROM t"), "7");
    }

    #[test]
    fn answers_nothing_while_paused() {
        let Some(postgres) = Postgres::start() else { return };
        let mut asking = Command::new(postgres.tools.join("psql"))
            .args(["-X", "-q", "-h", "127.0.0.1", "-p", &postgres.port.to_string(), "-U", "assay", "-d", "postgres"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        assert!(wait_for(|| !postgres
            .sql(
                "postgres",
                "SELECT 1 FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid()"
            )
            .is_empty()));
        postgres.pause();
        drop(asking.stdin.take());
        let stopped = |child: &Pid| {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", child.as_raw_nonzero())).unwrap_or_default();
            // A backend may have ended before the signal came; its stopped parent has not collected it.
            status.is_empty() || status.contains("State:\tT") || status.contains("State:\tZ")
        };
        let processes = children(postgres.lock().as_ref().unwrap().id());
        assert!(processes.len() > 3, "{processes:?}");
        assert!(wait_for(|| processes.iter().all(stopped)), "some process goes on");
        postgres.resume();
        let _ = asking.wait();
        assert_eq!(postgres.sql("postgres", "SELECT 1"), "1");
    }
}
