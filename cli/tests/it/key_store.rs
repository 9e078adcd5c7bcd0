//! `assay key` and `assay kek`: sealed by others and accepted, disabled, wrapped anew, and in the audit log before anything.

use super::Folder;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const SECRET: &str = "canary-5ecre7-0123456789abcdef";
const MAPS: [&str; 4] = ["--to", "https://maps.example.com", "--path", "/geocode/**"];

impl Folder {
    fn secret(&self, name: &str, text: &str) -> String {
        std::fs::write(self.at(name), text).unwrap();
        std::fs::set_permissions(self.at(name), PermissionsExt::from_mode(0o600)).unwrap();
        self.at(name).display().to_string()
    }

    fn put(&self, name: &str, secret: &str, more: &[&str], code: i32) -> (String, String) {
        self.secret("key.txt", secret);
        self.here(&[&["key", "put", name, "--from-file", "key.txt"], more].concat(), code)
    }

    /// What the audit log of keys says was done, in its order.
    fn audited(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut files: Vec<_> =
            std::fs::read_dir(self.at("gw/state/audit")).unwrap().flatten().map(|e| e.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "ndjson")) {
            lines.extend(std::fs::read_to_string(file).unwrap().lines().map(str::to_owned));
        }
        assert!(!lines.concat().contains(SECRET));
        lines
    }

    fn changes(&self) -> Vec<String> {
        let read = |line: &String| -> Option<String> {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = line.to_string();
            ["\"change\":\"", "key_change_failed"].iter().find_map(|mark| {
                let (_, rest) = text.split_once(mark)?;
                Some(if mark.ends_with('"') { rest.split('"').next()?.to_owned() } else { (*mark).to_owned() })
            })
        };
        self.audited().iter().filter_map(read).collect()
    }

    fn keys(&self) -> Vec<String> {
        let list = self.json(&["key", "list"], 0);
        list["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_laptop_with_the_public_key_can_add_a_key_and_read_none() {
    let folder = Folder::begun();
    let public = folder.here(&["key", "public"], 0).0.trim().to_owned();
    folder.secret("key.txt", SECRET);
    let store = folder.at("gw/keys.sealed").display().to_string();
    let seal = |public: &str, more: &[&str], code| {
        let args =
            ["key", "seal", "maps", "--public-key", public, "--store", &store, "--from-file", "key.txt", "--json"];
        let said = folder.run(&[&args[..], &MAPS, &["--query", "key"], more].concat(), code);
        serde_json::from_str::<Value>(&said.0).unwrap_or_default()
    };
    let other = Folder::begun().here(&["key", "public"], 0).0.trim().to_owned();
    assert!(seal(&other, &[], 1)["error"].as_str().unwrap().contains("another public key"));
    seal("assay-seal-nonsense", &[], 2);
    let sealed = seal(&public, &[], 0);
    let fingerprint = sealed["fingerprint"].as_str().unwrap();

    assert_eq!(folder.keys(), Vec::<String>::new(), "pending is not there yet");
    let pending = folder.here(&["key", "pending"], 0).0;
    assert!(pending.contains(fingerprint) && pending.contains("?key={key}") && !pending.contains(SECRET), "{pending}");
    assert!(
        folder.here(&["key", "accept", "maps"], 2).1.contains("--fingerprint"),
        "off a terminal nobody has compared"
    );
    folder.here(&["key", "accept", "maps", "--fingerprint", &"0".repeat(32)], 1);
    let accepted = folder.json(&["key", "accept", "maps", "--fingerprint", fingerprint], 0);
    assert_eq!((&accepted["version"], &accepted["state"]), (&1.into(), &"current".into()));
    assert_eq!(folder.keys(), ["maps"]);

    folder.secret("key.txt", "another-secret-0123456789");
    let second = seal(&public, &[], 0)["fingerprint"].as_str().unwrap().to_owned();
    folder.here(&["key", "reject", "maps", "--fingerprint", &second], 0);
    assert!(folder.here(&["key", "pending"], 0).0.contains("nothing is pending"));
    assert_eq!(folder.changes(), ["accept", "reject"]);
}

#[test]
fn an_operators_signature_accepts() {
    let folder = Folder::begun();
    let anna = folder.run(&["key", "operator", "create", "--out", "anna.operator"], 0).0.trim().to_owned();
    folder.run(&["key", "operator", "create", "--out", "anna.operator"], 2);
    folder.here(&["key", "operator", "add", "anna", &anna], 0);
    folder.here(&["key", "operator", "add", "anna", &anna], 1);
    let public = folder.here(&["key", "public"], 0).0.trim().to_owned();
    folder.secret("key.txt", SECRET);
    let store = folder.at("gw/keys.sealed").display().to_string();
    let args = ["key", "seal", "maps", "--public-key", &public, "--store", &store, "--from-file", "key.txt"];
    folder.run(&[&args[..], &MAPS, &["--operator-key", "anna.operator"]].concat(), 0);
    assert_eq!(folder.keys(), ["maps"]);
    // The next change makes it part of the store for good, so that is said, and in the log.
    let (_, said) = folder.here(&["key", "operator", "remove", "anna"], 0);
    assert!(said.contains("maps: version 1 was signed in by") && said.contains(&anna), "{said}");
    assert_eq!(folder.changes(), ["add_operator", "accept", "remove_operator"]);
    assert!(folder.audited().iter().any(|line| line.contains("\"key\":\"maps\"") && line.contains(&anna)));
    assert_eq!(folder.keys(), ["maps"]);
    assert!(!folder.here(&["key", "disable", "maps"], 0).1.contains("signed in"), "once");
}

#[test]
fn a_change_that_may_stand_is_not_told_as_failed() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    // The store is replaced before its generation is remembered, and that can't be here.
    let lock = folder.at("gw/state/.keystore-generations.json.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let (_, said) = folder.here(&["key", "disable", "maps"], 1);
    assert!(said.contains("look before you try again"), "{said}");
    assert!(folder.json(&["key", "list"], 0)["keys"][0]["disabled"].is_object());
    assert_eq!(folder.changes(), ["put", "disable"]);
    folder.here(&["key", "remove", "none", "--yes"], 1);
    assert_eq!(folder.changes(), ["put", "disable"], "what was refused was never begun");
}

#[test]
fn a_rotation_is_taken_back_and_a_version_that_waits_is_thrown_away_alone() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    assert!(folder.here(&["key", "rotate", "maps", "--back"], 1).1.contains("assay key put maps"));
    assert!(folder.here(&["key", "remove", "maps", "--next"], 1).1.contains("assay key put maps"));
    folder.put("maps", "the-second-secret-0123456789", &MAPS, 0);
    folder.here(&["key", "rotate", "maps"], 0);
    folder.put("maps", "a-mistyped-secret-0123456789", &MAPS, 0);
    assert!(folder.put("maps", "another-secret-0123456789", &MAPS, 1).1.contains("assay key remove maps --next"));
    assert_eq!(folder.json(&["key", "remove", "maps", "--next"], 0)["version"], 3);
    let back = folder.json(&["key", "rotate", "maps", "--back"], 0);
    assert_eq!((&back["current"], &back["previous"]), (&1.into(), &2.into()));
    assert_eq!(folder.changes(), ["put", "put", "rotate", "put", "remove", "rotate"]);
    // The secret that is there already, for another host.
    let elsewhere = ["--to", "https://eu.maps.example.com", "--query", "key", "--path", "/geocode/**"];
    assert!(folder.put("maps", SECRET, &MAPS, 1).1.contains("same bounds"));
    folder.put("maps", SECRET, &elsewhere, 0);
}

#[test]
fn init_takes_several_presets_each_with_what_it_asks_for() {
    let folder = Folder::begun();
    let all = ["--preset", "openai", "--preset", "aws-s3", "--set", "bucket=photos", "--set", "region=eu-central-1"];
    let said = folder.run(&[&["init", "paid", "--dev"][..], &all].concat(), 0).0;
    for line in ["assay key put openai --preset openai -c", "assay key put aws-s3 --preset aws-s3 --set bucket=photos"]
    {
        assert!(said.contains(line), "{said}");
    }
    let written = std::fs::read_to_string(folder.at("paid/assay.yaml")).unwrap();
    assert!(written.contains("X-Amz-Security-Token") && written.contains("key: { tokens: "), "{written}");
    let told = folder.run(&["check", "-c", "paid/assay.yaml"], 1).1;
    assert_eq!(told.matches("is not in the store").count(), 2, "{told}");
    // Where nothing is chosen yet, that comes first: until then no command takes the file.
    let said = folder.run(&["init", "tips", "--preset", "openai", "--preset", "stripe"], 0).0;
    let at = |part: &str| said.find(part).unwrap();
    assert!(at("name the operations of route `stripe`") < at("assay key put openai"), "{said}");
    for (more, remedy) in [
        (&["--set", "acl=public"][..], "acl=public"),
        (&["--preset", "openai"], "twice"),
        (&["--preset", "github"], "--set owner=…"),
    ] {
        assert!(folder.run(&[&["init", "other"][..], &all, more].concat(), 2).1.contains(remedy), "{remedy}");
    }
}

#[test]
fn disabled_is_listed_and_over_by_itself_or_by_word() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    folder.here(&["key", "disable", "maps", "--for", "1h"], 0);
    assert!(folder.here(&["key", "list"], 0).0.contains("maps  disabled until"));
    assert!(folder.json(&["key", "list"], 0)["keys"][0]["disabled"]["until"].is_i64());
    assert_eq!(folder.json(&["key", "enable", "maps"], 0)["was_disabled"], true);
    assert_eq!(folder.json(&["key", "enable", "maps"], 0)["was_disabled"], false);
    folder.here(&["key", "disable", "maps"], 0);
    assert!(folder.here(&["key", "list"], 0).0.contains("until `assay key enable`"));
    folder.here(&["key", "disable", "none"], 1);
    folder.here(&["key", "disable", "maps", "--for", "0s"], 2);
    assert_eq!(folder.changes(), ["put", "disable", "enable", "enable", "disable"]);
}

#[test]
fn nothing_is_changed_that_the_audit_log_has_no_room_for() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    let before = std::fs::read(folder.at("gw/keys.sealed")).unwrap();
    // A file where the folder has to be stands for every way in which it can't be written.
    std::fs::rename(folder.at("gw/state/audit"), folder.at("audit.away")).unwrap();
    std::fs::write(folder.at("gw/state/audit"), "in the way").unwrap();
    for words in [&["key", "remove", "maps", "--yes"][..], &["key", "disable", "maps"], &["kek", "rotate"]] {
        let (_, said) = folder.here(words, 3);
        assert!(said.contains("nothing was changed: the audit log"), "{words:?}: {said}");
    }
    assert!(folder.put("maps", "another-secret-0123456789", &MAPS, 3).1.contains("audit log"));
    assert_eq!(std::fs::read(folder.at("gw/keys.sealed")).unwrap(), before);
    std::fs::remove_file(folder.at("gw/state/audit")).unwrap();
    std::fs::rename(folder.at("audit.away"), folder.at("gw/state/audit")).unwrap();
    folder.here(&["key", "remove", "maps", "--yes"], 0);
    assert_eq!(folder.changes(), ["put", "remove"]);
}

#[test]
fn the_key_encryption_key_moves_and_every_key_with_it() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    let fingerprint = folder.json(&["key", "list"], 0)["keys"][0]["versions"][0]["fingerprint"].clone();
    let same = || {
        let list = folder.json(&["key", "list"], 0);
        assert_eq!(list["keys"][0]["versions"][0]["fingerprint"], fingerprint);
        list["kek"]["id"].as_str().unwrap().to_owned()
    };
    let first = same();
    assert!(folder.here(&["kek", "show"], 0).0.contains(&first));

    // In place: another key in the same file.
    let said = folder.here(&["kek", "rotate"], 0).0;
    assert!(said.contains("back up") && said.contains("put new keys at the vendors: maps"), "{said}");
    let second = same();
    assert_ne!(first, second);

    // To a passphrase; the configuration follows.
    folder.secret("phrase.txt", "seven words that nobody has put together\n");
    let said = folder.here(&["kek", "rotate", "--to", "passphrase_file:phrase.txt"], 0).0;
    assert!(said.contains("unlock: { passphrase_file:") && said.contains("delete the old one"), "{said}");
    assert!(folder.here(&["key", "list"], 2).1.contains("passphrase"), "the configuration still says file");
    let again = folder.here(&["kek", "rotate", "--to", "passphrase_file:phrase.txt"], 0).0;
    assert!(
        again.contains("already") && again.contains("unlock: { passphrase_file:"),
        "killed before its words: {again}"
    );
    folder.secret("other.txt", "seven other words that nobody has put together\n");
    folder.here(&["kek", "rotate", "--to", "passphrase_file:other.txt"], 2);
    let text = std::fs::read_to_string(folder.at("gw/assay.yaml")).unwrap();
    let line = text.lines().find(|line| line.contains("unlock:") && line.contains("keys-unlock")).unwrap().to_owned();
    folder.change("gw/assay.yaml", line.trim(), "unlock: { passphrase_file: ../phrase.txt }");
    assert_ne!(same(), second);
    assert!(folder.here(&["kek", "show"], 0).0.contains("argon2id: 64 MiB, 3 passes, 4 lanes"));
    assert!(folder.here(&["kek", "rotate"], 2).1.contains("--to"), "a passphrase is not made by a machine");

    // And back to a file that is not there yet.
    folder.here(&["kek", "rotate", "--to", "file:new.key"], 0);
    folder.change("gw/assay.yaml", "unlock: { passphrase_file: ../phrase.txt }", "unlock: { file: ../new.key }");
    same();
    for bad in ["new.key", "file:", "plain:x", "systemd:a/b"] {
        folder.here(&["kek", "rotate", "--to", bad], 2);
    }
    assert_eq!(folder.changes(), ["put", "rotate_kek", "rotate_kek", "rotate_kek"]);
}

#[test]
fn a_key_that_the_service_needs_too_is_not_put_away() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    // It is the service's own where that names none.
    let text = std::fs::read_to_string(folder.at("gw/assay.yaml")).unwrap();
    let own = text.lines().find(|line| line.contains("service-unlock.key")).unwrap();
    folder.change("gw/assay.yaml", own, "");
    for to in [&[][..], &["--to", "file:new.key"]] {
        let (_, said) = folder.here(&[&["kek", "rotate"], to].concat(), 1);
        assert!(said.contains("attestation service") && said.contains("attestation.serve.unlock"), "{said}");
    }
    assert!(!folder.at("new.key").exists());
    assert_eq!(folder.keys(), ["maps"]);
    assert_eq!(folder.changes(), ["put"]);
}

#[test]
fn an_old_store_is_refused_until_somebody_says_that_it_is_meant() {
    let folder = Folder::begun();
    folder.put("maps", SECRET, &MAPS, 0);
    let old = std::fs::read(folder.at("gw/keys.sealed")).unwrap();
    folder.put("shop", "another-secret-0123456789", &MAPS, 0);
    std::fs::write(folder.at("gw/keys.sealed"), old).unwrap();
    let (_, said) = folder.here(&["key", "list"], 1);
    assert!(said.contains("rolled back") && said.contains("--accept-rollback"), "{said}");
    folder.here(&["key", "list", "--accept-rollback"], 0);
    assert_eq!(folder.keys(), ["maps"]);
    assert_eq!(folder.changes(), ["put", "put", "accept_rollback"]);
}

#[test]
fn each_slot_is_a_word_of_the_command_line_and_a_file_holds_the_rest() {
    let folder = Folder::begun();
    for (index, (slot, shown)) in [
        (&["--header", "x-api-key"][..], "x-api-key: {key}"),
        (&["--query", "key"], "?key={key}"),
        (&["--basic", "AC123:{key}"], "basic AC123:{key}"),
        (&["--cookie", "sid"], "cookie sid={key}"),
        (&["--segment", "1", "--template", "bot{key}"], "path segment 1: bot{key}"),
        (&["--json-field", "/auth/key"], "JSON field /auth/key: {key}"),
        (&["--form-field", "api_key"], "form field api_key={key}"),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = format!("{SECRET}-{index}");
        folder.put(&format!("key-{index}"), &secret, &[&MAPS[..], slot].concat(), 0);
        let list = folder.here(&["key", "list"], 0).0;
        assert!(list.contains(shown) && !list.contains(SECRET), "{list}");
    }
    let recipe = r#"{ "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "message": "{timestamp}.{path}", "timestamp": "unix", "name": "x-signature", "template": "{signature}" }"#;
    std::fs::write(folder.at("recipe.json"), recipe).unwrap();
    folder.put("signed", SECRET, &[&MAPS[..], &["--recipe-file", "recipe.json"]].concat(), 0);
    std::fs::write(folder.at("recipe.json"), r#"{ "kind": "hmac", "algo": "md5" }"#).unwrap();
    assert!(
        folder
            .put("other", SECRET, &[&MAPS[..], &["--recipe-file", "recipe.json"]].concat(), 2)
            .1
            .contains("docs/keys.md")
    );
    folder.put("other", SECRET, &[&MAPS[..], &["--query", "a", "--header", "b"]].concat(), 2);
    folder.put("other", SECRET, &[&MAPS[..], &["--basic", "no-colon"]].concat(), 2);
    // A preset brings all of it.
    folder.put("openai", SECRET, &["--preset", "openai"], 0);
    let list = folder.here(&["key", "list"], 0).0;
    assert!(list.contains("api.openai.com:443") && list.contains("/v1/chat/completions"), "{list}");
    assert!(folder.put("other", SECRET, &["--preset", "opena"], 2).1.contains("openai"));
}
