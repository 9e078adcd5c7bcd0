//! What a start can't use is named, with the remedy, and nothing is left running.

use std::net::TcpListener;
use std::process::Command;

use e2e::command::{Ran, assay, run};
use e2e::files::Files;
use e2e::house::{USUAL_TOKENS, gateway_yaml, put_key, service_yaml};
use e2e::programs;

const API: &str = "127.0.0.1:9";

/// An operator's files for both, with nothing started.
fn prepared() -> Files {
    let files = Files::new();
    files.unlock_key("secrets/service-unlock.key");
    files.unlock_key("secrets/keys-unlock.key");
    files.private("secrets/gateway.token", "0123456789abcdef0123456789abcdef");
    files.private("secrets/approov.secret", e2e::house::APPROOV_SECRET);
    files.write("service.yaml", service_yaml("127.0.0.1:0", 300, USUAL_TOKENS));
    files.write("gateway.yaml", gateway_yaml(API, None, 300, USUAL_TOKENS));
    put_key(&files, "vendor", API, "sk_live_0123456789abcdef").ends(0);
    files
}

/// Starts it; it has to end by itself.
fn start(files: &Files, part: &str, config: &str) -> Ran {
    run(Command::new(programs::assay()).args(["--json", part, "-c"]).arg(files.at(config)), b"")
}

#[test]
fn a_port_in_use_is_named_with_what_it_was_for_and_who_has_it() {
    let files = prepared();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let myself = format!("process {}", std::process::id());
    let yaml = gateway_yaml(API, None, 300, USUAL_TOKENS);
    for listener in ["public", "probe", "admin"] {
        let field = format!("{listener}: {{ address: 127.0.0.1:0");
        assert!(yaml.contains(&field));
        files.write("gateway.yaml", yaml.replacen(&field, &format!("{listener}: {{ address: {address}"), 1));
        let ran = start(&files, "run", "gateway.yaml").ends(1);
        ran.complains(&[&address, &format!("listeners.{listener}"), "in use", &myself]);
    }
    files.write("service.yaml", service_yaml(&address, 300, USUAL_TOKENS));
    start(&files, "service", "service.yaml").ends(1).complains(&[&address, "in use"]);
    let field = "path: /assay/v1, admin: { address: 127.0.0.1:0";
    files.write("gateway.yaml", yaml.replace(field, &field.replace("127.0.0.1:0", &address)));
    start(&files, "run", "gateway.yaml").ends(1).complains(&[&address, "in use"]);
    // Another machine's address.
    files.write("gateway.yaml", yaml.replacen("127.0.0.1:0", "192.0.2.1:0", 1));
    start(&files, "run", "gateway.yaml").ends(1).complains(&["192.0.2.1:0", "no such address"]);
    // Free again: nothing of the failed starts holds it.
    drop(taken);
    TcpListener::bind(&address).unwrap();
}

#[test]
fn a_state_folder_that_can_not_be_written_is_named() {
    let files = prepared();
    files.write("file", "not a folder");
    for (dir, named) in [("file/state", "file/state"), ("/proc/assay-state", "/proc/assay-state")] {
        files.write("gateway.yaml", gateway_yaml(API, None, 300, USUAL_TOKENS).replace("gateway-state", dir));
        files.write("service.yaml", service_yaml("127.0.0.1:0", 300, USUAL_TOKENS).replace("service-state", dir));
        start(&files, "run", "gateway.yaml").ends(1).complains(&[named]);
        start(&files, "service", "service.yaml").ends(1).complains(&[named]);
        let register = assay(&[
            &"app",
            &"register",
            &programs::sample_app(),
            &"--name",
            &"shop",
            &"--version",
            &"1.0",
            &"-c",
            &files.at("service.yaml"),
        ]);
        assert!(register.code == 1 || register.code == 3, "{register:?}");
        register.complains(&[named]);
    }
}

#[test]
fn a_wrong_unlock_key_is_named_and_nothing_is_opened_or_written_with_it() {
    let files = prepared();
    let (service, address) = e2e::house::start_service(&files, false);
    assert!(!address.is_empty());
    service.kill();
    let right = std::fs::read(files.at("secrets/service-unlock.key")).unwrap();
    let feed = std::fs::read(files.at("service-state/feed.pub")).unwrap();

    files.unlock_key("secrets/keys-unlock.key");
    start(&files, "run", "gateway.yaml").ends(1).complains(&["keys.sealed", "wrong key"]);
    assay(&[&"check", &"-c", &files.at("gateway.yaml")]).ends(1).complains(&["keys.sealed", "wrong key"]);
    files.unlock_key("secrets/service-unlock.key");
    start(&files, "service", "service.yaml").ends(1).complains(&["service-unlock.key", "is not the one"]);
    files.private("secrets/service-unlock.key", right);
    drop(e2e::house::start_service(&files, false));
    assert!(
        feed == std::fs::read(files.at("service-state/feed.pub")).unwrap(),
        "new secrets were made over the old ones"
    );

    for (content, mode) in [("too short", 0o600), ("", 0o600), ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0o644)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = files.private("secrets/keys-unlock.key", content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        start(&files, "run", "gateway.yaml").ends(1).complains(&["keys-unlock.key"]);
    }
    std::fs::remove_file(files.at("secrets/keys-unlock.key")).unwrap();
    start(&files, "run", "gateway.yaml").ends(1).complains(&["keys-unlock.key"]);
}

#[test]
fn a_damaged_key_store_is_refused_by_name_whatever_the_damage() {
    let files = prepared();
    let config = files.at("gateway.yaml");
    assay(&[&"check", &"-c", &config]).ends(0);
    let good = std::fs::read(files.at("keys.sealed")).unwrap();
    let refuse = |damage: &str, bytes: &[u8]| {
        std::fs::write(files.at("keys.sealed"), bytes).unwrap();
        let ran = assay(&[&"--json", &"check", &"-c", &config]);
        assert_eq!(ran.code, 1, "{damage}: {}", ran.out);
        assert!(ran.err.contains("keys.sealed"), "{damage}: {}", ran.err);
        ran.json();
    };
    for length in [0, 1, good.len() / 3, good.len() - 2] {
        refuse(&format!("cut to {length} bytes"), &good[..length]);
    }
    // Every record's bytes and the manifest's, but not blanks: those are nobody's.
    let step = good.len() / 40;
    for at in (0..good.len()).step_by(step).filter(|at| !good[*at].is_ascii_whitespace()) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        refuse(&format!("bit 0 of byte {at} ({:?})", char::from(good[at])), &flipped);
    }
    // Its older self is not damaged, but it is not the newest either.
    std::fs::write(files.at("keys.sealed"), &good).unwrap();
    put_key(&files, "second", API, "sk_live_0123456789abcdef").ends(0);
    refuse("rolled back", &good);
    start(&files, "run", "gateway.yaml").ends(1).complains(&["keys.sealed"]);
}
