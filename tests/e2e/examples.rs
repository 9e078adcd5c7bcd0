//! Every example loads, with the secrets and certificates that it names made beside a copy of it; every policy checks.

use std::path::{Path, PathBuf};

use attest_core::feed::FeedKey;
use e2e::command::{assay, assay_fed};
use e2e::files::{Files, random};
use e2e::programs;
use serde_json::json;

fn examples() -> PathBuf {
    programs::root().join("examples/configurations")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    found.sort();
    found
}

/// A copy of the examples, with everything beside them that is secret and so not in the source.
fn copy() -> Files {
    let files = Files::new();
    for from in yaml_files(&examples()).into_iter().chain(yaml_files(&examples().join("policies"))) {
        let name = from.strip_prefix(examples()).unwrap().to_str().unwrap().to_owned();
        files.write(&name, std::fs::read(&from).unwrap());
    }
    for name in ["accounts.jwks", "lists/datacentres.txt", "rules/datacentres.yaml"] {
        files.write(name, std::fs::read(examples().join(name)).unwrap());
    }
    files.private("secrets/stripe.secret", data_encoding::HEXLOWER.encode(&random::<32>()));
    let certified = rcgen::generate_simple_self_signed(vec!["api.example.com".to_owned()]).unwrap();
    files.write("tls/fullchain.pem", certified.cert.pem());
    files.write("tls/internal-roots.pem", certified.cert.pem());
    files.write("tls/partners-ca.pem", certified.cert.pem());
    files.private("tls/privkey.pem", certified.signing_key.serialize_pem());
    files.private("secrets/database.url", "postgres://assay:not-a-secret@db.internal/assay?sslmode=require\n");
    files.private("secrets/redis.url", "rediss://assay:not-a-secret@redis.internal\n");
    files.unlock_key("secrets/service-unlock.key");
    files.unlock_key("secrets/keys-unlock.key");
    files.private("secrets/approov.secret", e2e::house::APPROOV_SECRET);
    files.private("secrets/gateway.token", data_encoding::HEXLOWER.encode(&random::<32>()));
    files.private("secrets/admin.token", data_encoding::HEXLOWER.encode(&random::<32>()));
    files.write("feed.pub", format!("{}\n", FeedKey::from_seed(&random()).unwrap().public_key().unwrap()));
    files
}

/// A secret of the kind that a command asks for.
fn secret(put: &str) -> String {
    if put.contains("google-service-account") {
        let (vendor, secret) = test_servers::vendor::google_cloud::start();
        secret.replace(&format!("{}/token", vendor.url()), "https://oauth2.googleapis.com/token")
    } else if put.contains("aws-s3") {
        "AKIANOTAREALKEY00001:not-a-real-secret-access-key".to_owned()
    } else {
        "a-key-of-more-than-16-bytes".to_owned()
    }
}

#[test]
fn every_configuration_loads_and_names_all_that_it_needs() {
    let files = copy();
    let found = yaml_files(files.folder());
    assert!(found.len() >= 4, "{found:?}");
    for config in &found {
        let text = std::fs::read_to_string(config).unwrap();
        // The commands in its comments are how its keys get in. All examples have one store, and some the same names.
        let _ = (std::fs::remove_file(files.at("keys.sealed")), std::fs::remove_dir_all(files.at("state")));
        let puts: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("assay key put "))
            .collect();
        if !puts.is_empty() {
            assay(&[&"check", &"-c", config]).ends(1);
        }
        for put in puts {
            let words = put.split('<').next().unwrap().split_whitespace().map(|word| word.trim_matches('\''));
            let words: Vec<&str> = words.collect();
            let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"key", &"put"];
            all.extend(words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
            all.extend([&"-c" as &dyn AsRef<std::ffi::OsStr>, config]);
            assay_fed(&all, secret(put).as_bytes()).ends(0);
        }
        let answer = assay(&[&"--json", &"check", &"-c", config]).ends(0).json();
        let warnings: Vec<_> =
            answer["problems"].as_array().unwrap().iter().filter(|problem| problem["severity"] == "warning").collect();
        assert!(warnings.is_empty(), "{}: an example that warns is none: {warnings:#?}", config.display());
        assert_eq!(answer["ok"], true);
    }
    // The check can fail: without what they name, they do not load.
    for gone in ["tls", "secrets"] {
        std::fs::remove_dir_all(files.at(gone)).unwrap();
        for config in &found {
            let needed = std::fs::read_to_string(config).unwrap().contains(&format!("{gone}/"));
            assert_eq!(
                assay(&[&"check", &"-c", config]).code,
                i32::from(needed || gone == "secrets"),
                "{} without {gone}",
                config.display()
            );
        }
    }
}

#[test]
fn every_policy_checks_without_errors() {
    let found = yaml_files(&examples().join("policies"));
    assert!(found.len() >= 3, "{found:?}");
    for policy in found {
        let answer = assay(&[&"--json", &"policy", &"check", &policy]).ends(0).json();
        let errors: Vec<_> =
            answer["problems"].as_array().unwrap().iter().filter(|problem| problem["severity"] == "error").collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", policy.display());
    }
}

#[test]
fn configurations_and_policies_in_the_documents_load() {
    let files = copy();
    files.unlock_key("secrets/kek.key");
    // What the pages say is put in before.
    let mut counted = (0, 0);
    for page in ["README.md", "docs/configuration.md", "docs/policies.md", "docs/operations.md"] {
        let text = std::fs::read_to_string(programs::root().join(page)).unwrap();
        for (number, block) in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).enumerate()
        {
            let name = format!("block-{}-{number}.yaml", page.replace(['/', '.'], "-"));
            if block.contains("\nassay: 1") || block.starts_with("assay: 1") {
                counted.0 += 1;
                let whole = if block.contains("state:") {
                    block.to_owned()
                } else {
                    format!("{block}state: {{ dir: state }}\n")
                };
                let config = files.write(&name, whole);
                let put = [
                    &"key" as &dyn AsRef<std::ffi::OsStr>,
                    &"put",
                    &"openai",
                    &"--to",
                    &"https://api.openai.com",
                    &"--path",
                    &"/v1/**",
                    &"-c",
                    &config,
                ];
                if block.contains("key: openai") {
                    assay_fed(&put, b"a-key-of-more-than-16-bytes").ends(0);
                }
                let answer = assay(&[&"--json", &"check", &"-c", &config]).json();
                let errors: Vec<_> = answer["problems"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|problem| problem["severity"] == "error")
                    .collect();
                // The first configuration of the README leaves out where attestation comes from: `init` writes it.
                let left_out =
                    |problem: &&&serde_json::Value| page == "README.md" && problem["code"] == "no_attestation";
                let others: Vec<_> = errors.iter().filter(|problem| !left_out(problem)).collect();
                assert!(others.is_empty(), "{page}: {others:#?}\n{block}");
            } else if block.contains("\ndefault:") && block.contains("policy:") {
                counted.1 += 1;
                let policy = files.write(&name, block);
                assert_eq!(
                    assay(&[&"--json", &"policy", &"check", &policy]).ends(0).json()["ok"],
                    json!(true),
                    "{page}"
                );
            }
        }
    }
    assert!(counted.0 >= 2 && counted.1 >= 1, "{counted:?}");
}
