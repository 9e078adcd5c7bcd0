//! What a first day and a bad night trip over: the binary itself, by what it says and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod apps;
mod audit;
mod devices;
mod docs;
mod key_store;
mod keys;
mod panic;
mod policies;
mod remote;
mod tokens;

const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with what `assay init gw --dev` makes.
    fn begun() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.run(&["init", "gw", "--dev"], 0);
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the command in the folder: what it said, stdout and stderr.
    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        let mut command = Command::new(ASSAY);
        command.env_remove("ASSAY_ADMIN_URL").env_remove("ASSAY_ADMIN_TOKEN_FILE").env_remove("ASSAY_CONFIG");
        let ran = command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let Output { status, stdout, stderr } = &ran;
        assert_eq!(status.code(), Some(code), "{args:?}: {}{}", said(stdout), said(stderr));
        (said(stdout), said(stderr))
    }

    /// The same with the folder's configuration.
    fn here(&self, args: &[&str], code: i32) -> (String, String) {
        self.run(&[args, &["-c", "gw/assay.yaml"]].concat(), code)
    }

    /// The same as JSON.
    fn json(&self, args: &[&str], code: i32) -> serde_json::Value {
        serde_json::from_str(&self.here(&[args, &["--json"]].concat(), code).0).unwrap()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.at(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(self.at(file), text.replace(from, to)).unwrap();
    }
}

#[test]
fn a_reader_that_leaves_is_no_reason_to_panic() {
    for command in [&["completions", "bash"][..], &["schema", "config"], &["--help"]] {
        let mut child =
            Command::new(ASSAY).args(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }
}

#[test]
fn wrong_usage_is_one_json_document_where_json_was_asked_for() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (answer, said) = folder.run(&["check", "--json", "--nope"], 2);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["error"].as_str().unwrap().contains("--nope") && said.contains("Usage"), "{answer} {said}");
    assert_eq!(folder.run(&["check", "--nope"], 2).0, "");
}

#[test]
fn a_broken_file_says_error_once_for_each_problem() {
    let folder = Folder::begun();
    folder.change("gw/assay.yaml", "listeners:", "listners:");
    for command in [&["key", "list", "-c", "gw/assay.yaml"][..], &["run", "-c", "gw/assay.yaml"]] {
        let (_, said) = folder.run(command, 1);
        assert!(said.starts_with("error: ") && !said.contains("error: error:"), "{said}");
    }
}

#[test]
fn a_gateway_that_does_not_answer_is_asked_in_vain_with_a_cause() {
    let folder = Folder::begun();
    // Bound and let go: nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (_, said) = folder.run(&["status", "--admin", &nobody], 3);
    assert!(said.contains(&nobody) && said.contains("refused"), "{said}");
    folder.run(&["status", "--admin", "nowhere"], 2);
    folder.change("gw/assay.yaml", "listeners:", "listeners: [");
    let (_, said) = folder.run(&["status", "-c", "gw/assay.yaml"], 1);
    assert!(said.contains("--admin"), "a broken file hides the gateway: {said}");
}

#[test]
fn only_files_are_registered_and_nothing_is_waited_for() {
    let folder = Folder::begun();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.at("pipe"), rustix::fs::Mode::from(0o600)).unwrap();
    let register = |file: &str| {
        let args = ["app", "register", file, "--name", "shop", "--version", "1", "-c", "gw/assay.yaml"];
        folder.run(&args, 2).1
    };
    assert!(register("pipe").contains("not a file"));
    assert!(register("gw").contains("not a file"));
    let policy = |name: &str, rule: &str| {
        let text =
            format!("default: block\nrules: [{rule}, {{ name: g, when: {{ verdict: attested }}, then: allow }}]\n");
        std::fs::write(folder.at(name), text).unwrap();
        folder.run(&["policy", "check", name], 1).1
    };
    assert!(policy("waits.yaml", "{ include: pipe }").contains("not a file"), "nobody writes into the pipe");
    let secret = "{ name: s, when: { verdict: missing, header: { X-Partner: sk-live-12345 } }, then: block, paht: /a }";
    let told = policy("secret.yaml", secret);
    assert!(told.contains("looks like a secret") && told.contains("paht") && !told.contains("sk-live"), "{told}");
}

#[test]
fn explain_follows_the_routes_own_answer_to_our_faults() {
    let folder = Folder::begun();
    let args =
        ["policy", "explain", "--route", "api", "-c", "gw/assay.yaml", "--verdict", "unverifiable", "--path", "/"];
    assert!(folder.run(&args, 0).0.starts_with("unverifiable block "));
    folder.change("gw/assay.yaml", "cannot_verify: refuse", "cannot_verify: deprioritize");
    assert!(folder.run(&args, 0).0.starts_with("unverifiable deprioritize "));
}

#[test]
fn check_tells_of_a_state_folder_that_cannot_be() {
    let folder = Folder::begun();
    folder.change("gw/assay.yaml", "dir: state ", "dir: assay.yaml/state ");
    let (_, said) = folder.run(&["check", "-c", "gw/assay.yaml"], 1);
    assert!(said.contains("state.dir") && said.contains("is a file"), "{said}");
    assert!(Path::new(&folder.at("gw/assay.yaml")).is_file());
}

#[test]
fn a_key_that_may_not_go_where_a_route_sends_it_is_shown_in_its_line() {
    let folder = Folder::begun();
    let route = "routes:\n  maps: { match: { path: /maps/** }, upstream: api, key: maps, policy: policies/api.yaml, \
                 operations: [{ call: GET /maps/a }] }\n";
    folder.change("gw/assay.yaml", "routes: ", &format!("{route}#"));
    let (_, said) = folder.run(&["check", "-c", "gw/assay.yaml"], 1);
    assert!(said.contains("not in the store") && said.contains("key: maps, policy") && said.contains("^^^^"), "{said}");
}

#[test]
fn roots_that_are_no_certificates_are_no_bound() {
    let folder = Folder::begun();
    std::fs::write(folder.at("key.txt"), "a-key-of-more-than-16-bytes").unwrap();
    let put = ["key", "put", "maps", "--to", "https://maps.example.com", "--path", "/**", "-c", "gw/assay.yaml"];
    let put = [&put[..], &["--from-file", "key.txt", "--roots", "key.txt"]].concat();
    assert!(folder.run(&put, 2).1.contains("--roots key.txt"));
    assert!(folder.run(&["key", "list", "-c", "gw/assay.yaml"], 0).0.contains("holds no key"));
}

#[test]
fn a_line_break_in_a_secret_file_is_named_when_the_signature_is_bad() {
    // RFC 7515, appendix A.1, with a secret that is another.
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let folder = Folder(tempfile::tempdir().unwrap());
    for (secret, noted) in
        [("thirty-two bytes, and nothing more", false), ("thirty-two bytes, and a line break\n", true)]
    {
        std::fs::write(folder.at("secret"), secret).unwrap();
        let (answer, said) = folder.run(&["token", "check", token, "--secret-file", "secret"], 1);
        assert!(answer.starts_with("bad_signature"), "{answer}");
        assert_eq!(said.contains("line break"), noted, "{said}");
    }
}
