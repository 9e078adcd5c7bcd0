//! Two services and two gateways on one PostgreSQL and one Redis, as a team with two machines would have set them up.
//!
//! In: what differs from the usual (a database of its own, so that it may fail; periods). Out: addresses, commands on the
//! machine and from afar, and restarts. Each gateway asks the service of its own machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_servers::{Postgres, Redis};

use crate::attester::Service;
use crate::command::{Ran, assay, run};
use crate::files::{Files, random};
use crate::house::{long_running, put_key};
use crate::process::Program;
use crate::programs;
use crate::upstream::Recorder;
use crate::wait::until;
use crate::wire::{self, Answer};

mod yaml;

/// The password in the file with the database's address. The server trusts everybody; the file is a secret all the same.
pub const DATABASE_PASSWORD: &str = "canary-database-password-0123456789";
/// The password that Redis asks for.
pub const REDIS_PASSWORD: &str = "canary-redis-password-0123456789";
/// The key that is sealed for the route `paid`.
pub const VENDOR_KEY: &str = "sk_live_canary-vendor-key-0123456789";

/// What may differ.
#[derive(Clone, Copy)]
pub struct Plan {
    /// A PostgreSQL server of its own: one that the test stops.
    pub own_postgres: bool,
    /// How often gateways fetch key sets.
    pub refresh: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self { own_postgres: false, refresh: "1s" }
    }
}

/// The machines, and what stands around them.
pub struct Replicas {
    /// Configurations, secrets, state.
    pub files: Files,
    /// The database server, where it is this one's own.
    pub postgres: Option<Postgres>,
    /// The shared state; nothing else uses it.
    pub redis: Redis,
    /// The API behind both gateways.
    pub api: Recorder,
    /// The services.
    pub services: [Replica; 2],
    /// The gateways.
    pub gateways: [Gateway; 2],
}

/// One service.
pub struct Replica {
    /// Its process, while it runs.
    pub program: Option<Program>,
    /// Where apps attest; it stays the same over restarts.
    pub at: Service,
    /// Where its admin API is.
    pub admin: String,
    /// Where its `/metrics` are.
    pub metrics: String,
    /// Where its `/readyz` is.
    pub probe: String,
    config: &'static str,
}

/// One gateway.
pub struct Gateway {
    /// Its process.
    pub program: Program,
    /// Public listener.
    pub public: String,
    /// Admin listener.
    pub admin: String,
}

const SERVICES: [&str; 2] = ["service-a", "service-b"];
const GATEWAYS: [&str; 2] = ["gateway", "gateway-b"];

impl Replicas {
    /// All of them, with the sample app registered as `shop` 1.0 and an admin token for commands from afar; nothing, and
    /// one line, where PostgreSQL or Redis is not installed.
    #[must_use]
    pub fn start(plan: Plan) -> Option<Self> {
        let own = if plan.own_postgres { Some(Postgres::start()?) } else { None };
        let database = match &own {
            Some(own) => own.fresh_database(),
            None => Postgres::shared()?.fresh_database(),
        };
        let redis = Redis::start_with(&["--requirepass", REDIS_PASSWORD])?;
        let files = Files::new();
        files.private("secrets/database.url", database.replacen("assay@", &format!("assay:{DATABASE_PASSWORD}@"), 1));
        files.private("secrets/redis.url", format!("redis://:{REDIS_PASSWORD}@127.0.0.1:{}", redis.port()));
        files.unlock_key("secrets/service-unlock.key");
        files.unlock_key("secrets/keys-unlock.key");
        files.private("secrets/gateway.token", attest_core::b64u::encode(&random::<32>()));
        for name in SERVICES {
            files.write(&format!("{name}.yaml"), yaml::service(name, "127.0.0.1:0"));
        }
        let here = files.at("service-a.yaml");
        let app = programs::sample_app();
        assay(&[&"app", &"register", &app, &"--name", &"shop", &"--version", &"1.0", &"-c", &here]).ends(0);
        let token = files.at("secrets/anna.token");
        assay(&[&"admin", &"token", &"create", &"anna", &"--role", &"admin", &"--out", &token, &"-c", &here]).ends(0);

        let services = start_services(&files);
        let api = Recorder::start();
        for (name, service) in GATEWAYS.iter().zip(&services) {
            files.write(
                &format!("{name}.yaml"),
                yaml::gateway(name, service.config, service, &api.address, plan.refresh),
            );
        }
        put_key(&files, "vendor", &api.address, VENDOR_KEY).ends(0);
        let gateways = start_gateways(&files);
        let replicas = Self { files, postgres: own, redis, api, services, gateways };
        replicas.until_fed();
        Some(replicas)
    }

    /// Waits until both gateways have key sets and revocations.
    pub fn until_fed(&self) {
        for gateway in &self.gateways {
            until("key sets and revocations", || {
                let status = gateway.status();
                (status["key_set"]["number"].is_u64() && status["revocations"]["number"].is_u64()).then_some(())
            });
        }
    }

    /// `assay --json WORDS` on the first service's machine, opening the database itself.
    pub fn here(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(programs::assay());
        run(command.arg("--json").args(words).arg("-c").arg(self.files.at("service-a.yaml")), b"")
    }

    /// `assay --json WORDS` through the admin API of one of the services.
    pub fn afar(&self, service: usize, words: &[&str]) -> Ran {
        let mut command = Command::new(programs::assay());
        command.arg("--json").args(words).args(["--remote", &format!("http://{}", self.services[service].admin)]);
        run(command.arg("--token-file").arg(self.files.at("secrets/anna.token")), b"")
    }

    /// The names of everything in the shared state, as the server tells them.
    #[must_use]
    pub fn redis_keys(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis.port())).unwrap();
        write!(stream, "AUTH {REDIS_PASSWORD}\r\nKEYS *\r\nQUIT\r\n").unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Ends a service as `kill -9` does.
    pub fn kill_service(&mut self, which: usize) {
        self.services[which].program.take().unwrap().kill();
    }

    /// Starts a service where it was.
    pub fn start_service(&mut self, which: usize) {
        let program = service_program(&self.files, self.services[which].config);
        let listening = program.expect("listening");
        let service = &mut self.services[which];
        let places =
            [("service_admin", &mut service.admin), ("admin", &mut service.metrics), ("probe", &mut service.probe)];
        for (name, place) in places {
            *place = listening[name].as_str().unwrap().to_owned();
        }
        service.program = Some(program);
    }

    /// Ends both gateways at once and starts them again, elsewhere.
    pub fn restart_gateways(&mut self) {
        let next = start_gateways(&self.files);
        for old in std::mem::replace(&mut self.gateways, next) {
            old.program.kill();
        }
    }
}

impl Gateway {
    /// Starts one, and waits until it listens.
    #[must_use]
    pub fn start(config: &Path) -> Self {
        Self::of(Self::launch(config))
    }

    /// `assay gateway`, which may refuse to.
    #[must_use]
    pub fn launch(config: &Path) -> Program {
        Program::start(long_running(&mut Command::new(programs::assay()), "gateway", false).arg(config))
    }

    /// Of a process that was started: where it listens.
    fn of(program: Program) -> Self {
        let listening = program.expect("listening");
        let at = |name: &str| listening[name].as_str().unwrap().to_owned();
        Self { public: at("public"), admin: at("admin"), program }
    }

    /// GET with a token.
    #[must_use]
    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        wire::get(&self.public, path, &[("Assay-Token", token)])
    }

    /// GET with a token, as a client at `address`: the gateway believes the proxy before it.
    #[must_use]
    pub fn get_from(&self, address: &str, token: &str, path: &str) -> Answer {
        wire::get(&self.public, path, &[("Assay-Token", token), ("X-Forwarded-For", address)])
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Value {
        wire::get(&self.admin, "/status", &[]).json()
    }

    /// One value of its `/metrics`, by the whole name with labels.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = wire::get(&self.admin, "/metrics", &[]).text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The access-log line of an answer that has a decision id.
    #[must_use]
    pub fn log_of(&self, answer: &Answer) -> Value {
        let id =
            answer.json()["decision"].as_str().unwrap_or_else(|| panic!("no decision: {}", answer.text())).to_owned();
        let line = |line: &str| serde_json::from_str::<Value>(line).ok().filter(|line| line["id"] == id.as_str());
        self.program.out().after(0, line).unwrap_or_else(|| panic!("no line of {id}:\n{}", self.program.out().text()))
    }
}

fn service_program(files: &Files, name: &str) -> Program {
    let mut command = Command::new(programs::assay());
    Program::start(long_running(&mut command, "service", false).arg(files.at(&format!("{name}.yaml"))))
}

/// Both, started side by side; afterwards their files name the ports that they got.
fn start_services(files: &Files) -> [Replica; 2] {
    let started = SERVICES.map(|name| (name, service_program(files, name)));
    started.map(|(config, program)| {
        let listening = program.expect("listening");
        let at = |name: &str| listening[name].as_str().unwrap().to_owned();
        let address = at("service");
        files.write(&format!("{config}.yaml"), yaml::service(config, &address));
        let (admin, metrics, probe) = (at("service_admin"), at("admin"), at("probe"));
        let at = Service { address, path: "/assay/v1".to_owned() };
        Replica { program: Some(program), at, admin, metrics, probe, config }
    })
}

fn start_gateways(files: &Files) -> [Gateway; 2] {
    let started = GATEWAYS.map(|name| Gateway::launch(&files.at(&format!("{name}.yaml"))));
    started.map(Gateway::of)
}
