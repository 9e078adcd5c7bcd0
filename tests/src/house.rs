//! Service, gateway and API on loopback, as an operator would have set them up: with the commands, from files.
//!
//! In: which API stands behind the gateway, and whether service and gateway are one process. Out: addresses, and ways to
//! call, to look at the log and to reload. All ports are the system's choice.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::attester::{Attester, Service};
use crate::command::{Ran, assay, assay_fed, run};
use crate::files::{Files, random};
use crate::process::Program;
use crate::programs;
use crate::wait::{PATIENCE, until};
use crate::wire::{self, Answer};

mod yaml;

pub use yaml::{USUAL_TOKENS, gateway_yaml, service_yaml};

/// The API that demands its key, as a process of its own.
pub struct SampleApi {
    /// Where it listens.
    pub address: String,
    /// What it demands.
    pub key: String,
    program: Program,
}

impl SampleApi {
    /// With a key of its own.
    #[must_use]
    pub fn start(files: &Files) -> Self {
        let key = format!("sk_live_{}", attest_core::b64u::encode(&random::<24>()));
        Self::with_key(files, &key)
    }

    /// With this key.
    #[must_use]
    pub fn with_key(files: &Files, key: &str) -> Self {
        let file = files.private("vendor/api.key", key);
        let program = Program::start(
            Command::new(programs::sample_api()).args(["--listen", "127.0.0.1:0", "--key-file"]).arg(file),
        );
        let address = program.expect("listening").as_str().unwrap().to_owned();
        // The file was the vendor's, not ours: what is searched later must not hold it.
        std::fs::remove_dir_all(files.at("vendor")).unwrap();
        Self { address, key: key.to_owned(), program }
    }

    /// What it has said.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}\n{}", self.program.out().text(), self.program.err().text())
    }
}

/// How the house is to be.
pub struct Plan {
    /// Service and gateway as two processes.
    pub apart: bool,
    /// With `--dev`: every appraisal and decision is told.
    pub dev: bool,
    /// Life of a token, in seconds.
    pub token_seconds: u32,
    /// How tokens are made: algorithm and concealment, as the configuration says it.
    pub tokens: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self { apart: false, dev: false, token_seconds: 300, tokens: USUAL_TOKENS }
    }
}

/// A gateway that runs, with all that it needs.
pub struct House {
    /// Its files: `gateway.yaml`, `service.yaml` where they are apart, `keys.sealed`, secrets, state.
    pub files: Files,
    /// The gateway's process.
    pub gateway: Program,
    /// The service's process, where they are apart and it runs.
    pub service_program: Option<Program>,
    /// Public listener.
    pub public: String,
    /// Admin listener.
    pub admin: String,
    /// Probe listener.
    pub probe: String,
    /// Where apps attest.
    pub service: Service,
    plan: Plan,
}

/// The name of the sealed key.
pub const KEY_NAME: &str = "vendor";

impl House {
    /// One process, in front of `api` (host and port); `key` is sealed for it.
    #[must_use]
    pub fn together(files: Files, api: &str, key: &str) -> Self {
        Self::build(files, api, key, Plan::default())
    }

    /// Two processes.
    #[must_use]
    pub fn apart(files: Files, api: &str, key: &str) -> Self {
        Self::build(files, api, key, Plan { apart: true, ..Plan::default() })
    }

    /// As planned.
    #[must_use]
    pub fn build(files: Files, api: &str, key: &str, plan: Plan) -> Self {
        files.unlock_key("secrets/service-unlock.key");
        files.unlock_key("secrets/keys-unlock.key");
        files.private("secrets/gateway.token", attest_core::b64u::encode(&random::<32>()));
        files.private("secrets/approov.secret", APPROOV_SECRET);
        let (life, made) = (plan.token_seconds, plan.tokens);
        let mut service_program = None;
        let mut remote = None;
        if plan.apart {
            files.write("service.yaml", service_yaml("127.0.0.1:0", life, made));
            register(&files, "service.yaml", "1.0");
            let (program, address) = start_service(&files, plan.dev);
            // From now on the same port: it has to be found again after a restart.
            files.write("service.yaml", service_yaml(&address, life, made));
            service_program = Some(program);
            remote = Some(address);
        }
        files.write("gateway.yaml", gateway_yaml(api, remote.as_deref(), life, made));
        if !plan.apart {
            register(&files, "gateway.yaml", "1.0");
        }
        put_key(&files, KEY_NAME, api, key).ends(0);
        let gateway = start_gateway(&files, &plan);
        let listening = gateway.expect("listening");
        let at = |name: &str| listening[name].as_str().unwrap().to_owned();
        let service = Service { address: remote.unwrap_or_else(|| at("public")), path: "/assay/v1".to_owned() };
        let house = Self {
            public: at("public"),
            admin: at("admin"),
            probe: at("probe"),
            files,
            gateway,
            service_program,
            service,
            plan,
        };
        until("the first key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
        house
    }

    /// Ends the service at once.
    pub fn kill_service(&mut self) {
        self.service_program.take().unwrap().kill();
    }

    /// Starts the service where it was.
    pub fn start_service(&mut self) {
        self.service_program = Some(start_service(&self.files, self.plan.dev).0);
    }

    /// Ends the gateway at once, and starts it again (elsewhere: ports are the system's choice).
    pub fn restart_gateway(&mut self) {
        let next = start_gateway(&self.files, &self.plan);
        let listening = next.expect("listening");
        for (name, place) in [("public", &mut self.public), ("admin", &mut self.admin), ("probe", &mut self.probe)] {
            *place = listening[name].as_str().unwrap().to_owned();
        }
        std::mem::replace(&mut self.gateway, next).kill();
        if !self.plan.apart {
            self.service.address = self.public.clone();
        }
    }

    /// The admin API of the service, wherever it runs.
    #[must_use]
    pub fn service_admin(&self) -> String {
        let program = self.service_program.as_ref().unwrap_or(&self.gateway);
        program.expect("listening")["service_admin"].as_str().unwrap().to_owned()
    }

    /// `assay --json WORDS` on the service's machine.
    pub fn here(&self, words: &[&str]) -> Ran {
        let config = if self.plan.apart { "service.yaml" } else { "gateway.yaml" };
        run(Command::new(programs::assay()).arg("--json").args(words).arg("-c").arg(self.files.at(config)), b"")
    }

    /// GET through the gateway.
    #[must_use]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        wire::get(&self.public, path, headers)
    }

    /// GET with a token.
    #[must_use]
    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        self.get(path, &[("Assay-Token", token)])
    }

    /// The token of an app that passes.
    #[must_use]
    pub fn token(&self) -> String {
        Attester::genuine().token(&self.service)
    }

    /// Runs the sample app; its calls are paths.
    #[must_use]
    pub fn run_app(&self, calls: &[&str], more: &[&str]) -> Ran {
        let mut command = Command::new(programs::sample_app());
        command.args(["--service", &self.service.url(), "--app", "shop", "--app-version", "1.0", "--json"]).args(more);
        for path in calls {
            command.args(["--call", &format!("http://{}{path}", self.public)]);
        }
        run(&mut command, b"")
    }

    /// What the gateway says of itself.
    #[must_use]
    pub fn status(&self) -> Value {
        wire::get(&self.admin, "/status", &[]).json()
    }

    /// `POST /reload`.
    #[must_use]
    pub fn reload(&self) -> Answer {
        wire::call(&self.admin, "POST", "/reload", &[], b"")
    }

    /// Changes the configuration, and has the change taken.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn change(&self, change: impl FnOnce(String) -> String) {
        self.files.write("gateway.yaml", change(self.yaml()));
        let answer = self.reload();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Ends the gateway as an operator does, and waits for its end: what it keeps is written.
    pub fn stop_gateway(&mut self) {
        self.gateway.signal(Signal::TERM);
        assert!(self.gateway.wait(PATIENCE).is_some_and(|status| status.success()), "{}", self.gateway.err().text());
    }

    /// What the gateway says of one route.
    #[must_use]
    pub fn route(&self, name: &str) -> Value {
        let status = self.status();
        let found = status["routes"].as_array().into_iter().flatten().find(|route| route["name"] == name);
        found.unwrap_or_else(|| panic!("no route {name}: {status}")).clone()
    }

    /// `assay status` for a person.
    #[must_use]
    pub fn shown(&self) -> String {
        assay(&[&"status", &"--admin", &self.admin]).ends(0).out
    }

    /// The access-log line of an answer that has a decision id.
    #[must_use]
    pub fn log_of(&self, answer: &Answer) -> Value {
        let id = answer.json()["decision"]
            .as_str()
            .unwrap_or_else(|| panic!("no decision id: {}", answer.text()))
            .to_owned();
        self.log_line(0, |line| line["id"] == id.as_str())
    }

    /// The first access-log line from `mark` on that `pick` takes.
    #[must_use]
    pub fn log_line(&self, mark: usize, pick: impl Fn(&Value) -> bool) -> Value {
        let found = self.gateway.out().after(mark, |line| serde_json::from_str(line).ok().filter(&pick));
        found.unwrap_or_else(|| panic!("no such line in the access log:\n{}", self.gateway.out().text()))
    }

    /// The configuration's path.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.files.at("gateway.yaml")
    }

    /// The configuration's text.
    #[must_use]
    pub fn yaml(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }
}

/// `assay key put`, for every path below `/v1`.
pub fn put_key(files: &Files, name: &str, api: &str, key: &str) -> Ran {
    let origin = format!("http://{api}");
    let config = files.at("gateway.yaml");
    assay_fed(
        &[
            &"--json",
            &"key",
            &"put",
            &name,
            &"--to",
            &origin,
            &"--header",
            &"x-api-key",
            &"--template",
            &"{key}",
            &"--path",
            &"/v1/**",
            &"-c",
            &config,
        ],
        key.as_bytes(),
    )
}

/// `assay app register` of the sample app.
fn register(files: &Files, config: &str, version: &str) {
    let config = files.at(config);
    assay(&[&"app", &"register", &programs::sample_app(), &"--name", &"shop", &"--version", &version, &"-c", &config])
        .ends(0);
}

/// Starts the service of `service.yaml`; its address.
pub fn start_service(files: &Files, dev: bool) -> (Program, String) {
    let program = Program::start(
        long_running(&mut Command::new(programs::assay()), "service", dev).arg(files.at("service.yaml")),
    );
    let address = program.expect("listening")["service"].as_str().unwrap().to_owned();
    (program, address)
}

fn start_gateway(files: &Files, plan: &Plan) -> Program {
    let part = if plan.apart { "gateway" } else { "run" };
    Program::start(long_running(&mut Command::new(programs::assay()), part, plan.dev).arg(files.at("gateway.yaml")))
}

/// As verbose as it can be made, whatever comes of it.
pub(crate) fn long_running<'a>(command: &'a mut Command, part: &str, dev: bool) -> &'a mut Command {
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").args(["--json", part]);
    if dev {
        command.arg("--dev");
    }
    command.arg("-c")
}

/// The published Approov dummy secret, base64.
pub const APPROOV_SECRET: &str =
    "h+CX0tOzdAAR9l15bWAqvq7w9olk66daIH+Xk+IAHhVVHszjDzeGobzNnqyRze3lw/WVyWrc2gZfh3XXfBOmww==";
