//! Passwords of the servers, the gateway's and the administrator's token: nothing that two machines say or keep shows them,
//! whatever goes wrong.

use std::process::Command;

use e2e::attester::Attester;
use e2e::command::{Ran, assay, run};
use e2e::needles::{self, Needle, found};
use e2e::programs;
use e2e::replicas::{DATABASE_PASSWORD, Plan, REDIS_PASSWORD, Replicas, VENDOR_KEY};
use e2e::wait::until;
use e2e::wire;

fn told(ran: &Ran) -> (String, Vec<u8>) {
    (format!("assay {}", ran.words), format!("{}\n{}", ran.out, ran.err).into_bytes())
}

/// Every secret there is, but those that are inside the databases, sealed.
fn secrets(replicas: &Replicas) -> Vec<Needle> {
    let file = |name: &str| std::fs::read_to_string(replicas.files.at(name)).unwrap().trim().to_owned();
    [
        ("the database's password", DATABASE_PASSWORD.to_owned()),
        ("the password of Redis", REDIS_PASSWORD.to_owned()),
        ("the vendor's key", VENDOR_KEY.to_owned()),
        ("the gateway token", file("secrets/gateway.token")),
        ("the admin token", file("secrets/anna.token")),
        ("the service's unlock key", file("secrets/service-unlock.key")),
    ]
    .iter()
    .flat_map(|(name, secret)| needles::of_secret(name, secret))
    .collect()
}

/// A service and a gateway whose servers are not there, do not take the password, or are no such servers.
fn bad_starts(replicas: &Replicas, outputs: &mut Vec<(String, Vec<u8>)>) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = replicas.redis.port();
    let files = &replicas.files;
    let service = std::fs::read_to_string(files.at("service-a.yaml")).unwrap();
    for (name, url) in [
        ("away", format!("postgres://assay:{DATABASE_PASSWORD}@127.0.0.1:{nobody}/none")),
        ("another server", format!("postgres://assay:{DATABASE_PASSWORD}@127.0.0.1:{redis}/none")),
        ("no such scheme", format!("mysql://assay:{DATABASE_PASSWORD}@127.0.0.1:{nobody}/none")),
        ("not escaped", format!("postgres://assay:{DATABASE_PASSWORD}@x@127.0.0.1/none")),
        (
            "an unknown option",
            format!("postgres://assay:{DATABASE_PASSWORD}@127.0.0.1/none?password={DATABASE_PASSWORD}"),
        ),
        ("plaintext elsewhere", format!("postgres://assay:{DATABASE_PASSWORD}@192.0.2.1/none?sslmode=disable")),
        ("no database", format!("postgres://assay:{DATABASE_PASSWORD}@127.0.0.1:{nobody}")),
    ] {
        files.private("bad/secrets/database.url", url);
        let yaml = files.write(
            "bad/service.yaml",
            service
                .replace("secrets/redis.url", "../secrets/redis.url")
                .replace("secrets/gateway.token", "../secrets/gateway.token")
                .replace("secrets/service-unlock.key", "../secrets/service-unlock.key"),
        );
        for words in ["check", "service"] {
            let mut command = Command::new(programs::assay());
            let ran = run(command.env("RUST_LOG", "trace").args([words, "-c"]).arg(&yaml), b"");
            assert!(words == "check" || ran.code != 0, "{name}: it started");
            outputs.push(told(&ran));
        }
        outputs.push(told(&assay(&[&"device", &"list", &"-c", &yaml])));
    }
    // The password where it must not stand, beside another mistake in the same line: both are told, the word is not.
    let inline = service.replace(
        "url_file: secrets/database.url",
        &format!("url: \"postgres://assay:{DATABASE_PASSWORD}@127.0.0.1/none\", nonsense: 1"),
    );
    let yaml = files.write("inline.yaml", inline);
    let ran = assay(&[&"check", &"-c", &yaml]).ends(1);
    outputs.push(told(&ran.complains(&["holds a password", "nonsense"])));
    std::fs::remove_file(yaml).unwrap();
    std::fs::remove_dir_all(files.at("bad")).unwrap();
}

#[test]
fn no_output_of_two_machines_has_a_password_or_a_token_whatever_goes_wrong() {
    let Some(mut replicas) = Replicas::start(Plan { own_postgres: true, ..Plan::default() }) else { return };
    let mut outputs = Vec::new();
    let attester = Attester::genuine();
    let token = attester.token(&replicas.services[0].at);
    let device = e2e::jwt::device(&token);
    for gateway in &replicas.gateways {
        for path in ["/own/x", "/counted/x", "/v1/x"] {
            let answer = gateway.get_as(&token, path);
            assert_eq!(answer.status, 200, "{path}");
            outputs.push((path.to_owned(), format!("{answer:?}").into_bytes()));
        }
    }
    for words in [
        &["keyset", "list"][..],
        &["audit", "list"],
        &["device", "ban", &device, "--reason", "r"],
        &["audit", "checkpoint"],
    ] {
        outputs.push(told(&replicas.here(words).ends(0)));
        outputs.push(told(&replicas.afar(1, words)));
    }
    bad_starts(&replicas, &mut outputs);

    // Both servers go, everybody notices and says so, and they come back.
    replicas.redis.kill();
    replicas.postgres.as_ref().unwrap().stop();
    for service in &replicas.services {
        until("the fault", || (service.at.post("/challenge", b"{}").status == 503).then_some(()));
        let health = wire::get(&service.at.address, "/assay/v1/health", &[]);
        outputs.push(("health".to_owned(), health.body));
    }
    for words in [&["device", "list"][..], &["keyset", "rotate", "--now", "--yes"]] {
        outputs.push(told(&replicas.here(words).ends(3)));
        outputs.push(told(&replicas.afar(0, words).ends(3)));
    }
    let gateway = &replicas.gateways[0];
    until("the gateway to notice", || (gateway.metric("assay_shared_state_up") == Some(0.0)).then_some(()));
    replicas.redis.restart();
    replicas.postgres.as_ref().unwrap().restart();
    until("a challenge", || (replicas.services[0].at.post("/challenge", b"{}").status == 200).then_some(()));
    until("the gateway to notice", || (gateway.metric("assay_shared_state_up") == Some(1.0)).then_some(()));
    replicas.kill_service(1);
    replicas.start_service(1);

    for gateway in &replicas.gateways {
        for path in ["/metrics", "/status"] {
            outputs.push((path.to_owned(), wire::get(&gateway.admin, path, &[]).body));
        }
    }
    for service in &replicas.services {
        outputs.push(("metrics of a service".to_owned(), wire::get(&service.metrics, "/metrics", &[]).body));
    }
    let programs = replicas.gateways.iter().map(|gateway| &gateway.program);
    for program in programs.chain(replicas.services.iter().filter_map(|service| service.program.as_ref())) {
        let id = program.id();
        outputs.push((format!("stdout of {id}"), program.out().text().into_bytes()));
        outputs.push((format!("stderr of {id}"), program.err().text().into_bytes()));
        outputs.push((format!("arguments of {id}"), std::fs::read(format!("/proc/{id}/cmdline")).unwrap()));
    }
    outputs.push(("the shared state".to_owned(), replicas.redis_keys().into_bytes()));
    let kept = replicas.files.all().into_iter().filter(|(path, _)| !path.starts_with(replicas.files.at("secrets")));
    outputs.extend(kept.map(|(path, bytes)| (path.display().to_string(), bytes)));

    let needles = secrets(&replicas);
    // The search finds what is there.
    let url = std::fs::read(replicas.files.at("secrets/database.url")).unwrap();
    assert!(found(&needles, &url).contains(&"the database's password, raw"));
    assert!(outputs.len() > 60, "{}", outputs.len());
    for (what, bytes) in &outputs {
        assert_eq!(found(&needles, bytes), [""; 0], "in {what}: {}", String::from_utf8_lossy(bytes));
    }
}
