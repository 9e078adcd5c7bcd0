//! In: a test. Out: the test run on SQLite, and on PostgreSQL where that is installed; each time on a database of its own.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use attest_core::{
    appraisal::DeviceState,
    device_key::DeviceId,
    measurement::Measurement,
    random::SystemRandom,
    reasons::Reasons,
    reference::{PackageFacts, Platform},
    time::{FixedClock, UnixTime},
    token::{Algorithm, key_set::Concealment},
};
use attest_store::{
    Actor, Database, DeviceRow, OpenError, Opening, Origin, PostgresOptions, Registration, Role, Seen, Store,
    StoreError,
};
use keystore::MasterKey;
use settings::{TokenClaims, TokenSettings};
use tempfile::TempDir;
use test_servers::Postgres;
use zeroize::Zeroizing;

/// When the tests' clock begins.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Runs `test` on each engine.
pub(crate) fn each_engine(test: impl Fn(&World)) {
    test(&World::sqlite());
    if let Some(server) = Postgres::shared() {
        test(&World::postgres(server));
    }
}

/// A database of its own, and what opens it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<FixedClock>,
    engine: Engine,
}

enum Engine {
    Sqlite,
    Postgres {
        server: &'static Postgres,
        url: String,
    },
    /// In another process, which has no server of its own.
    Elsewhere {
        url: String,
    },
}

impl World {
    pub(crate) fn sqlite() -> Self {
        Self::new(Engine::Sqlite)
    }

    pub(crate) fn postgres(server: &'static Postgres) -> Self {
        Self::new(Engine::Postgres { server, url: server.fresh_database() })
    }

    fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create_file(&folder.path().join("kek.key"), &SystemRandom).unwrap();
        Self { folder, clock: Arc::new(FixedClock::new(NOW)), engine }
    }

    /// The same world in another process.
    pub(crate) fn again(folder: &std::path::Path, url: Option<String>) -> Self {
        // The folder belongs to the process that made it.
        let own = tempfile::tempdir().unwrap();
        std::fs::copy(folder.join("kek.key"), own.path().join("kek.key")).unwrap();
        let engine = match url {
            None => {
                std::os::unix::fs::symlink(folder.join("state"), own.path().join("state")).unwrap();
                Engine::Sqlite
            }
            Some(url) => Engine::Elsewhere { url },
        };
        Self { folder: own, clock: Arc::new(FixedClock::new(NOW)), engine }
    }

    /// The address of its PostgreSQL database.
    pub(crate) fn url(&self) -> Option<String> {
        match &self.engine {
            Engine::Sqlite => None,
            Engine::Postgres { url, .. } | Engine::Elsewhere { url } => Some(url.clone()),
        }
    }

    pub(crate) fn server(&self) -> Option<&'static Postgres> {
        match &self.engine {
            Engine::Postgres { server, .. } => Some(server),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.engine, Engine::Sqlite)
    }

    pub(crate) fn database(&self) -> Database {
        match &self.engine {
            Engine::Sqlite => Database::sqlite(&self.state()),
            Engine::Postgres { url, .. } | Engine::Elsewhere { url } => Database::postgres(&options(url)).unwrap(),
        }
    }

    pub(crate) fn opening<'a>(&self, token: &'a TokenSettings) -> Opening<'a> {
        let master_path = self.folder.path().join("kek.key");
        Opening {
            database: self.database(),
            master: MasterKey::from_file(&master_path).unwrap(),
            master_path,
            token,
            keys_stale: DAY,
            random: Arc::new(SystemRandom),
            clock: self.clock.clone(),
            writer: "test".to_owned(),
        }
    }

    pub(crate) fn try_open(&self) -> Result<Store, OpenError> {
        Store::open(self.opening(&token()))
    }

    pub(crate) fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    /// The same store as another process with its own audit chain opens it.
    pub(crate) fn open_as(&self, writer: &str) -> Store {
        let token = token();
        Store::open(Opening { writer: writer.to_owned(), ..self.opening(&token) }).unwrap()
    }

    /// Runs SQL behind the store's back; the first column of the rows, one a line.
    pub(crate) fn sql(&self, sql: &str) -> String {
        match &self.engine {
            Engine::Sqlite => {
                let connection = rusqlite::Connection::open(self.state().join("assay.db")).unwrap();
                connection.busy_timeout(Duration::from_secs(5)).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let mut rows = statement.query([]).unwrap();
                let mut text = Vec::new();
                while let Some(row) = rows.next().unwrap() {
                    text.push(match row.get_ref(0).unwrap() {
                        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                        other => String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned(),
                    });
                }
                text.join("\n")
            }
            Engine::Elsewhere { .. } => panic!("no server to ask"),
            Engine::Postgres { server, url } => server.sql(url.rsplit('/').next().unwrap(), sql),
        }
    }
}

pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: Zeroizing::new(url.to_owned()),
        danger_plaintext: false,
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(5),
    }
}

pub(crate) fn token() -> TokenSettings {
    TokenSettings {
        key_set: "default".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audience: "api.example".to_owned(),
        lifetime: Duration::from_secs(300),
        leeway: Duration::from_secs(30),
        algorithm: Algorithm::HS256,
        concealment: Concealment::Decoy,
        claims: TokenClaims::default(),
    }
}

pub(crate) fn admin() -> Actor {
    Actor::local("ann")
}

pub(crate) fn scoped(role: Role, apps: &[&str]) -> Actor {
    let apps = apps.iter().map(|app| (*app).to_owned()).collect();
    Actor { name: "bob".to_owned(), role, apps: Some(apps), origin: Origin::Local }
}

pub(crate) fn registration(app: &str, version: &str) -> Registration {
    Registration {
        app: app.to_owned(),
        platform: Platform::Linux,
        version: version.to_owned(),
        label: String::new(),
        measurement: Some(Measurement::from_bytes([7; 32])),
        package: PackageFacts::default(),
        libraries: Vec::new(),
    }
}

pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

pub(crate) fn seen(id: DeviceId, passed: bool) -> Seen {
    Seen {
        device: id,
        app: "shop".to_owned(),
        version: "1.0".to_owned(),
        platform: Platform::Linux,
        passed,
        reasons: if passed { Reasons::NONE } else { Reasons::TRACER },
        findings: if passed { Vec::new() } else { vec!["tracer:gdb".to_owned()] },
        renewed_from: None,
        at: NOW,
    }
}

pub(crate) fn mark(store: &Store, id: &DeviceId, state: DeviceState) -> Result<DeviceRow, StoreError> {
    let until = (state == DeviceState::ForcedPass).then(|| NOW.plus(DAY));
    store.mark(&admin(), id, state, until, "a test", None)
}

/// Waits for `condition`; stops the test after a while.
#[expect(clippy::disallowed_methods, reason = "polls a condition with a deadline")]
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
