//! The same commands through the admin API of a running service: the real binary at both ends.

use super::{ASSAY, Folder};
use crate::devices::DEVICE;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running `assay service`.
pub(crate) struct Service {
    child: Child,
    pub(crate) admin: String,
    listening: Value,
}

impl Service {
    /// Starts the service of the folder, with an admin listener on a free port.
    pub(crate) fn start(folder: &Folder) -> Self {
        let own = "    address: 127.0.0.1:0\n    admin: { address: 127.0.0.1:0 }\n    path: /assay/v1 ";
        folder.change("gw/assay.yaml", "    path: /assay/v1 ", own);
        folder.change("gw/assay.yaml", "127.0.0.1:8081", "127.0.0.1:0");
        folder.change("gw/assay.yaml", "127.0.0.1:9901", "127.0.0.1:0");
        let mut service = Command::new(ASSAY);
        service.args(["--json", "service", "-c", "gw/assay.yaml"]).current_dir(folder.0.path());
        let mut child = service.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let admin = format!("http://{}", said["listening"]["service_admin"].as_str().unwrap());
        Self { child, admin, listening: said["listening"].clone() }
    }
}

impl Service {
    /// What a listener by this name answers.
    fn get(&self, listener: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.listening[listener].as_str().unwrap()).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a running service, and the tokens of an admin and of a viewer.
fn afar() -> (Folder, Service) {
    let folder = Folder::begun();
    for (name, role) in [("anna", "admin"), ("vera", "viewer")] {
        folder.here(&["admin", "token", "create", name, "--role", role, "--out", &format!("{name}.token")], 0);
    }
    let service = Service::start(&folder);
    (folder, service)
}

#[test]
fn a_service_alone_has_its_probe_and_its_figures() {
    let folder = Folder::begun();
    let service = Service::start(&folder);
    for path in ["/livez", "/readyz"] {
        assert!(service.get("probe", path).starts_with("HTTP/1.0 200"), "{path}");
    }
    assert!(service.get("probe", "/metrics").starts_with("HTTP/1.0 404"));
    let figures = service.get("admin", "/metrics");
    assert!(figures.contains("\nassay_store_readable 1\n") && figures.ends_with("# EOF\n"), "{figures}");
    // A gateway's answers are not here to be mistaken for a service's.
    assert!(folder.run(&["status", "--admin", service.listening["admin"].as_str().unwrap()], 3).1.contains("404"));
}

#[test]
fn a_token_is_shown_from_a_private_file_to_a_service_that_can_be_trusted() {
    let (folder, service) = afar();
    let list = |more: &[&str], code| folder.run(&[&["device", "list"], more].concat(), code).1;
    assert!(list(&["--remote", &service.admin], 2).contains("--token-file"));
    assert!(list(&["--remote", "http://192.0.2.1:9", "--token-file", "anna.token"], 2).contains("https"));
    assert!(list(&["--remote", &service.admin, "--token-file", "absent"], 2).contains("absent"));
    std::fs::write(folder.at("open.token"), "assay_admin_x").unwrap();
    assert!(list(&["--remote", &service.admin, "--token-file", "open.token"], 2).contains("chmod 600"));
    rustix::fs::chmod(folder.at("open.token"), rustix::fs::Mode::from(0o600)).unwrap();
    assert!(list(&["--remote", &service.admin, "--token-file", "open.token"], 1).contains("does not take this token"));
    assert!(
        list(&["--remote", &service.admin, "--token-file", "anna.token", "--ca-file", "open.token"], 2)
            .contains("--ca-file")
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = list(&["--remote", &format!("http://{nobody}"), "--token-file", "anna.token"], 3);
    assert!(said.contains("refused"), "{said}");
    let viewer = ["--remote", &service.admin, "--token-file", "vera.token"];
    let ban = [&["device", "ban", DEVICE, "--reason", "r"], &viewer[..]].concat();
    assert!(folder.run(&ban, 1).1.contains("role operator"));
    // Guesses: at last the address waits, and is told for how long; whoever was let in before is not kept out.
    let wrong = ["device", "list", "--remote", &service.admin, "--token-file", "open.token"];
    for _ in 0..attest_admin::ATTEMPTS - 1 {
        folder.run(&wrong, 1);
    }
    assert!(folder.run(&wrong, 3).1.contains("this address may try again in "));
    folder.run(&[&["device", "list"], &viewer[..]].concat(), 0);
}

#[test]
fn every_command_answers_from_afar_as_it_does_here() {
    let (folder, service) = afar();
    let afar = |args: &[&str], code| {
        let remote = ["--json", "--remote", &service.admin, "--token-file", "anna.token"];
        let said = folder.run(&[args, &remote].concat(), code).0;
        serde_json::from_str::<Value>(&said).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
    };
    afar(&["app", "register", "/bin/true", "--name", "shop", "--version", "1.0"], 0);
    assert_eq!(afar(&["app", "list"], 0), folder.json(&["app", "list"], 0));
    assert_eq!(afar(&["app", "show", "shop"], 0), folder.json(&["app", "show", "shop"], 0));
    assert_eq!(afar(&["device", "ban", DEVICE, "--reason", "r"], 0)["marked_by"], "anna");
    assert_eq!(afar(&["device", "show", DEVICE], 0), folder.json(&["device", "show", DEVICE], 0));
    afar(&["device", "fail", DEVICE, "--reason", "r"], 0);
    afar(&["device", "pass", DEVICE, "--for", "1h", "--reason", "r"], 0);
    afar(&["device", "enrol", DEVICE, "--for", "1h", "--reason", "r"], 0);
    assert_eq!(afar(&["device", "list", "--enrolled"], 0)["items"][0]["id"], DEVICE);
    afar(&["device", "clear", DEVICE, "--reason", "r"], 0);
    afar(&["device", "forget", DEVICE, "--yes"], 0);
    assert_eq!(afar(&["keyset", "list"], 0), folder.json(&["keyset", "list"], 0));
    let rotation = afar(&["keyset", "rotate", "--now", "--yes"], 0);
    afar(&["keyset", "retire", rotation["from"].as_str().unwrap(), "--yes"], 0);
    afar(&["revocation", "add", "app", "shop", "--reason", "r"], 0);
    assert_eq!(afar(&["revocation", "list"], 0), folder.json(&["revocation", "list"], 0));
    afar(&["revocation", "lift", "app", "shop", "--reason", "r"], 0);
    let token = afar(&["token", "issue", "--app", "shop", "--route", "api"], 0);
    assert!(token["token"].as_str().unwrap().starts_with("eyJ"));
    afar(&["admin", "token", "create", "ci", "--role", "viewer", "--for", "1d"], 0);
    assert_eq!(afar(&["admin", "token", "list"], 0), folder.json(&["admin", "token", "list"], 0));
    afar(&["admin", "token", "revoke", "ci"], 0);
    afar(&["app", "retire", "--name", "shop", "--version", "1.0"], 0);
    let entries = afar(&["audit", "list", "--limit", "1"], 0);
    assert_eq!(
        (&entries["items"][0]["action"], &entries["items"][0]["origin"]),
        (&json!("build.retire"), &json!("127.0.0.1"))
    );
    let checkpoint = afar(&["audit", "checkpoint"], 0);
    std::fs::write(folder.at("kept"), checkpoint.to_string()).unwrap();
    assert_eq!(afar(&["audit", "verify", "--checkpoint", "kept"], 0)["intact"], true);
}
