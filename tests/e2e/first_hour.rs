//! What a newcomer does first: `assay init`, `assay run`, a build registered, the policy enforced, a key sealed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use e2e::command::{Ran, assay, assay_fed, assay_in, run};
use e2e::files::{Files, below};
use e2e::house::SampleApi;
use e2e::process::Program;
use e2e::programs;
use e2e::wait::until;
use e2e::wire::get;
use serde_json::Value;

/// The ports of the starter file are fixed ones; a test takes what is free.
fn on_free_ports(config: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let mut free = text.clone();
    for port in ["8443", "8081", "9901"] {
        let fixed = format!("address: 127.0.0.1:{port}");
        assert!(free.contains(&fixed), "the starter file has no {fixed}");
        free = free.replace(&fixed, "address: 127.0.0.1:0");
    }
    std::fs::write(config, free).unwrap();
}

fn init(files: &Files, name: &str, more: &[&str]) -> Ran {
    let mut command = Command::new(programs::assay());
    command.args(["--json", "init"]).arg(files.at(name)).args(more);
    run(&mut command, b"")
}

#[test]
fn init_then_run_works_on_the_first_try_and_the_app_gets_through() {
    let files = Files::new();
    let api = SampleApi::start(&files);
    let upstream = format!("http://{}", api.address);
    let made = init(&files, "gw", &["--dev", "--upstream", &upstream]).ends(0).json();
    assert_eq!(made["next"], format!("assay run -c {}", files.at("gw/assay.yaml").display()));
    let config = files.at("gw/assay.yaml");
    assay(&[&"check", &"-c", &config]).ends(0);
    on_free_ports(&config);
    assay(&[&"check", &"-c", &config]).ends(0);

    let gateway = Program::start(Command::new(programs::assay()).args(["--json", "run", "-c"]).arg(&config));
    let listening = gateway.expect("listening");
    let public = listening["public"].as_str().unwrap();
    let admin = listening["admin"].as_str().unwrap();
    assert_eq!(get(listening["probe"].as_str().unwrap(), "/readyz", &[]).status, 200);

    // Nobody is vouched for yet: the app fails, is let through by `monitor`, and does not learn that it failed.
    let app = |what: &str| {
        let mut command = Command::new(programs::sample_app());
        command.args([
            "--service",
            &format!("http://{public}/assay/v1"),
            "--app",
            "shop",
            "--app-version",
            "1.0",
            "--json",
        ]);
        command.args(["--call", &format!("http://{public}{what}")]);
        let (mark, ran) = (gateway.out().mark(), run(&mut command, b"").ends(0));
        let status = ran.json()["status"].clone();
        let log = gateway.out().after(mark, |line| {
            serde_json::from_str::<Value>(line).ok().filter(|line| line["path"] == what && line["verdict"] != "missing")
        });
        (status, log.unwrap()["verdict"].clone())
    };
    assert_eq!(app("/v1/catalogue/items"), (200.into(), "failed".into()));

    // Registered while it runs.
    let register = [
        &"app" as &dyn AsRef<std::ffi::OsStr>,
        &"register",
        &programs::sample_app(),
        &"--name",
        &"shop",
        &"--version",
        &"1.0",
        &"-c",
        &config,
    ];
    assay(&register).ends(0);
    until("the build to be vouched for", || {
        (app("/v1/catalogue/items") == (200.into(), "attested".into())).then_some(())
    });

    // The line that the file says to take away: saving enforces.
    let policy = files.at("gw/policies/api.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let enforced: Vec<_> = text.lines().filter(|line| !line.starts_with("enforcement:")).collect();
    assert_eq!(enforced.len() + 1, text.lines().count(), "one line enforces");
    assert_eq!(get(public, "/v1/catalogue/items", &[]).status, 200, "monitored: let through");
    std::fs::write(&policy, enforced.join("\n")).unwrap();
    until("the policy to be enforced", || (get(public, "/v1/catalogue/items", &[]).status == 401).then_some(()));
    assert_eq!(app("/v1/catalogue/items"), (200.into(), "attested".into()));
    let status = assay(&[&"--json", &"status", &"--admin", &admin]).ends(0).json();
    assert_eq!(status["last_reload"]["ok"], true);
}

#[test]
fn the_paid_api_in_its_comments_loads_as_it_stands() {
    let files = Files::new();
    for (name, dev) in [("laptop", &["--dev"][..]), ("server", &[])] {
        init(&files, name, dev).ends(0);
        let config = files.at(name).join("assay.yaml");
        let text = std::fs::read_to_string(&config).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let start = lines.iter().position(|line| line == "  # maps:").expect("the commented route");
        for line in lines.iter_mut().skip(start).take_while(|line| line.starts_with("  # ")) {
            *line = line.replacen("  # ", "  ", 1);
        }
        let upstreams = lines.iter().position(|line| line == "upstreams:").unwrap();
        lines.insert(upstreams + 1, "  maps: { url: https://maps.example.com }".to_owned());
        std::fs::write(&config, lines.join("\n")).unwrap();
        // Not before the key is there, and then as the comment says.
        assay(&[&"check", &"-c", &config]).ends(1).complains(&["maps"]);
        assay_fed(
            &[
                &"key",
                &"put",
                &"maps",
                &"--to",
                &"https://maps.example.com",
                &"--header",
                &"x-api-key",
                &"--template",
                &"{key}",
                &"--path",
                &"/geocode/**",
                &"-c",
                &config,
            ],
            b"a-key-of-more-than-16-bytes\n",
        )
        .ends(0);
        assay(&[&"check", &"-c", &config]).ends(0);
    }
}

#[test]
fn every_file_that_it_writes_is_explained_and_secrets_are_private_and_apart() {
    let files = Files::new();
    for dev in [&["--dev"][..], &[]] {
        let name = if dev.is_empty() { "server" } else { "laptop" };
        let made = init(&files, name, dev).ends(0).json();
        let folder = files.at(name);
        let secrets = Path::new(made["secrets"].as_str().unwrap()).to_owned();
        assert!(!secrets.starts_with(&folder), "keys inside the folder that may go into Git");
        for (path, bytes) in below(&folder) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match path.extension().and_then(|e| e.to_str()) {
                Some("yaml") => assert_commented(&path, &text),
                Some("json") => {
                    let schema: Value = serde_json::from_str(&text).unwrap();
                    for (field, about) in schema["properties"].as_object().unwrap() {
                        let told = about["description"].is_string()
                            || about["$ref"].is_string()
                            || about["allOf"].is_array()
                            || about["anyOf"].is_array();
                        assert!(told, "{}: {field} has no description", path.display());
                    }
                }
                _ if path.ends_with(".gitignore") => assert!(text.starts_with('#')),
                // The sealed store and its lock: JSON without a place for comments, and nothing at all.
                _ => {
                    assert!(path.ends_with("keys.sealed") || path.ends_with(".keys.sealed.lock"), "{}", path.display())
                }
            }
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&secrets), 0o700);
        let kept = below(&secrets);
        assert!(kept.len() >= 2);
        for (path, secret) in kept {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            let text = String::from_utf8(secret).unwrap();
            for (other, bytes) in below(&folder) {
                assert!(
                    !String::from_utf8_lossy(&bytes).contains(text.trim()),
                    "{} holds {}",
                    other.display(),
                    path.display()
                );
            }
        }
    }
}

/// Every section has words of explanation in it or over it.
fn assert_commented(path: &Path, text: &str) {
    assert!(text.starts_with("# yaml-language-server: $schema="), "{}: editors find no schema", path.display());
    let mut section: Vec<&str> = Vec::new();
    let mut before: &str = "";
    for line in text.lines().chain([""]) {
        let begins = line.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        if begins && !section.is_empty() {
            assert!(
                section.iter().any(|line| line.contains('#')),
                "{}: no comment in\n{}",
                path.display(),
                section.join("\n")
            );
            section.clear();
        }
        if begins && before.starts_with('#') {
            section.push(before);
        }
        section.push(line);
        before = line;
    }
}

#[test]
fn init_refuses_what_it_would_overwrite_or_misread_and_touches_nothing() {
    let files = Files::new();
    files.write("full/notes.txt", "mine");
    init(&files, "full", &["--dev"]).ends(2).complains(&["full", "not empty"]);
    assert_eq!(below(&files.at("full")).len(), 1);
    assert!(!files.at("full-secrets").exists());

    files.private("used-secrets/keys-unlock.key", "somebody's");
    init(&files, "used", &["--dev"]).ends(2).complains(&["used-secrets", "--secrets"]);
    assert!(!files.at("used").exists());
    assert_eq!(std::fs::read_to_string(files.at("used-secrets/keys-unlock.key")).unwrap(), "somebody's");

    for (upstream, why) in [
        ("http://api.example.com", "https"),
        ("ftp://127.0.0.1", "http"),
        ("https://a.example/path", "path"),
        ("nonsense", ""),
    ] {
        init(&files, "never", &["--upstream", upstream]).ends(2).complains(&[upstream, why]);
        assert!(!files.at("never").exists() && !files.at("never-secrets").exists(), "{upstream}");
    }
    // Twice: the second finds the first.
    init(&files, "twice", &[]).ends(0);
    let before = below(&files.at("twice"));
    init(&files, "twice", &[]).ends(2);
    assert!(before == below(&files.at("twice")));
}

#[test]
fn init_leaves_nothing_behind_when_a_step_fails() {
    let files = Files::new();
    files.write("file", "not a folder");
    let secrets = files.at("file/secrets");
    init(&files, "a/b/gw", &["--secrets", secrets.to_str().unwrap()]).ends(3).complains(&["file/secrets"]);
    assert_eq!(below(files.folder()).len(), 1);
    assert!(!files.at("a").exists(), "the folders above it were made for nothing");
    init(&files, "file/gw", &[]).ends(3).complains(&["file/gw"]);

    // A disk that is full after so many blocks: each step fails once.
    let mut failed = 0;
    for blocks in [0, 1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 64, 128, 256, 1024] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --json init \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited]).arg(programs::assay()).arg(files.at("gw"));
        let ran = run(&mut command, b"");
        if ran.code == 0 {
            break;
        }
        failed += 1;
        let ran = ran.ends(3);
        assert!(ran.err.contains("gw"), "it names the file: {}", ran.err);
        let left: Vec<_> = below(files.folder()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(left, [files.at("file")], "after {blocks} blocks");
        assert!(!files.at("gw").exists() && !files.at("gw-secrets").exists(), "after {blocks} blocks");
    }
    assert!(failed >= 2, "the limit was never reached");
    assay_in(files.folder(), &[&"check", &"-c", &"gw/assay.yaml"]).ends(0);
}
