//! The advertised set-up of two machines: one configuration file, copied to both, each of which runs service and gateway
//! in one process. `examples/configurations/two-machines.yaml` is such a file.

use std::process::Command;

use e2e::attester::{Attester, Service};
use e2e::files::Files;
use e2e::jwt;
use e2e::process::Program;
use e2e::programs;
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire::get;
use test_servers::{Postgres, Redis};

/// The file, the same on both machines. Neither is told of the other.
fn yaml(api: &str) -> String {
    format!(
        "assay: 1
listeners:
  public: {{ address: 127.0.0.1:0, trusted_proxies: [127.0.0.0/8] }}
  admin: {{ address: 127.0.0.1:0 }}
state:
  dir: state
  database: {{ url_file: ../secrets/database.url }}
  shared: {{ url_file: ../secrets/redis.url, timeout: 500ms }}
attestation:
  serve: {{ path: /assay/v1, unlock: {{ file: ../secrets/unlock.key }}, limits: {{ per_address_per_minute: 1000000 }} }}
  token: {{ issuer: https://attest.example, audience: api.example, algorithm: ES256, concealment: sealed }}
  apps: {{ shop: {{ linux: {{ require: [measurement], danger_affirm_measurement_alone: true }} }} }}
upstreams:
  api: {{ url: \"http://{api}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
routes:
  api:
    match: {{ path: \"/**\" }}
    upstream: api
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: {{ allow: {{ limits: [{{ requests: 20, per: address, window: 1m }}] }} }} }}]
"
    )
}

/// One machine: its process, and where apps reach it.
struct Machine(Program, String);

impl Machine {
    fn service(&self) -> Service {
        Service { address: self.1.clone(), path: "/assay/v1".to_owned() }
    }

    fn status(&self, address: &str, token: &str) -> u16 {
        get(&self.1, "/x", &[("Assay-Token", token), ("X-Forwarded-For", address)]).status
    }
}

#[test]
fn one_file_on_two_machines_is_one_installation_even_from_the_first_start() {
    let (Some(postgres), Some(redis)) = (Postgres::shared(), Redis::start()) else { return };
    let (files, api) = (Files::new(), Recorder::start());
    files.private("secrets/database.url", postgres.fresh_database());
    files.private("secrets/redis.url", redis.url());
    files.unlock_key("secrets/unlock.key");
    // Both start at the same moment on a database with nothing in it: one makes the keys, the other waits and takes them.
    let programs = ["one", "two"].map(|name| {
        let config = files.write(&format!("{name}/assay.yaml"), yaml(&api.address));
        Program::start(Command::new(programs::assay()).args(["--json", "run", "-c"]).arg(config))
    });
    let [one, two] = programs.map(|program| {
        let public = program.expect("listening")["public"].as_str().unwrap().to_owned();
        Machine(program, public)
    });
    let feed = |name: &str| std::fs::read_to_string(files.at(name).join("state/feed.pub")).unwrap();
    assert_eq!(feed("one"), feed("two"));
    let command = |words: &[&str]| {
        let mut command = Command::new(programs::assay());
        e2e::command::run(command.arg("--json").args(words).arg("-c").arg(files.at("two/assay.yaml")), b"").ends(0)
    };
    let app = programs::sample_app();
    command(&["app", "register", app.to_str().unwrap(), "--name", "shop", "--version", "1.0"]);

    // Told by one, spent at the other, good at both.
    let attester = Attester::genuine();
    let token = until("the build to be vouched for at both", || {
        let request = attester.request(&one.service().challenge(), |_| ());
        let answer = two.service().attest(&request);
        let token = answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
        let good = [&one, &two].iter().all(|machine| machine.status("198.51.100.1", &token) == 200);
        assert_eq!(one.service().attest(&request).body, answer.body);
        good.then_some(token)
    });
    // One limit: no sooner used up at one than at the other.
    let statuses: Vec<_> = (0..30).map(|number| [&one, &two][number % 2].status("198.51.100.2", &token)).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!((20..30).contains(&passed), "{statuses:?}");
    // One ban.
    command(&["device", "ban", &jwt::device(&token), "--reason", "scraping"]);
    for (number, machine) in [&one, &two].iter().enumerate() {
        until("the ban", || (machine.status(&format!("198.51.100.{}", 10 + number), &token) == 403).then_some(()));
        let next = attester.token(&machine.service());
        assert_eq!(machine.status("198.51.100.20", &next), 403);
    }
    // One machine goes; the other goes on, and knows all.
    let Machine(program, _) = one;
    program.kill();
    assert_eq!(two.status("198.51.100.30", &Attester::genuine().token(&two.service())), 200);
    assert_eq!(two.status("198.51.100.30", &token), 403);
    assert!(command(&["audit", "verify"]).json()["intact"].as_bool().unwrap());
}
