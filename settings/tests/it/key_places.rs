//! `keys:` where a store is and what opens it: refusals first.

use settings::{AwsCredentials, KeyStorePlace, Scheme, Settings, Unlock};

use crate::folder::{Folder, with};

const KEYS: &str = "keys:\n  store: secrets/keys.sealed\n  unlock: { file: secrets/kek.key }\n";

/// The good file with these lines as `keys:`; the service's own secrets are opened by a file of its own.
fn text(keys: &str) -> String {
    let own = "address: 127.0.0.1:8082, unlock: { file: secrets/own.key } }";
    with(KEYS, &format!("keys: {{ {keys} }}\n")).replace("address: 127.0.0.1:8082 }", own)
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("secrets/own.key", "emFobmhhbHMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc=\n", 0o600);
    folder.write("secrets/phrase.txt", "seven words that nobody has put together\n", 0o600);
    folder.write("secrets/vault.token", "hvs.not-printed\n", 0o600);
    folder.write("secrets/aws.json", "{}", 0o600);
    folder.write("secrets/keys.url", "postgres://assay:open-sesame@db.internal/assay?sslmode=require\n", 0o600);
    folder
}

fn unlock(unlock: &str) -> String {
    text(&format!("store: secrets/keys.sealed, unlock: {unlock}"))
}

fn store(store: &str) -> String {
    text(&format!("store: {store}, unlock: {{ file: secrets/kek.key }}"))
}

fn taken(folder: &Folder, text: String) -> (Settings, Vec<&'static str>) {
    folder.takes(text)
}

#[test]
fn a_store_is_opened_in_exactly_one_way() {
    let folder = folder();
    folder.refuses(unlock("{ }"), "missing_field", "file: secrets/kek.key");
    folder.refuses(unlock("{ file: secrets/kek.key, env: ASSAY_KEK }"), "two_sources", "assay kek show");
    folder.refuses(unlock("{ systemd: assay-kek, env: ASSAY_KEK }"), "two_sources", "keep the one");
    folder.refuses(unlock("secrets/kek.key"), "invalid_value", "file: secrets/kek.key");
    folder.refuses(unlock("{ file: secrets/kek.key, passphrase: words }"), "unknown_field", "passphrase_file");
    folder.refuses(unlock("{ file: secrets/kek.key, kms: x }"), "unknown_field", "aws_kms");
}

#[test]
fn a_store_as_large_as_it_can_be_is_read() {
    let folder = folder();
    let text = store("secrets/large.sealed");
    let most = keystore::document::MAX_DOCUMENT_BYTES;
    folder.write("secrets/large.sealed", "x".repeat(most), 0o600);
    let (_, told) = taken(&folder, text.clone());
    assert!(!told.contains(&"no_store"), "{told:?}");
    folder.write("secrets/large.sealed", "x".repeat(most + 1), 0o600);
    folder.refuses(text, "unreadable_file", "");
}

#[test]
fn passphrases_variables_and_credentials_that_are_none() {
    let folder = folder();
    folder.write("secrets/short.txt", "too short\n", 0o600);
    folder.write("secrets/open.txt", "seven words that nobody has put together\n", 0o644);
    folder.write("secrets/two.txt", "\n\n", 0o600);
    let passphrase = |name: &str| unlock(&format!("{{ passphrase_file: secrets/{name} }}"));
    folder.refuses(passphrase("short.txt"), "unusable_unlock", "16 to 1,024 characters");
    folder.refuses(passphrase("two.txt"), "unusable_unlock", "16 to 1,024 characters");
    folder.refuses(passphrase("open.txt"), "unreadable_file", "chmod 600");
    let told = folder.refuses(unlock("{ env: MDEyMzQ1Njc4OWFiY2Rl= }"), "invalid_value", "env: ASSAY_KEK");
    assert!(!told.lines().next().unwrap().contains("MDEyMzQ1"), "{told}");
    folder.refuses(unlock("{ systemd: ../kek }"), "invalid_value", "LoadCredential=");
}

#[test]
fn servers_are_reached_over_tls_at_addresses_that_may_be_dialled() {
    let folder = folder();
    let vault = |more: &str| unlock(&format!("{{ vault: {{ key: assay, token_file: secrets/vault.token, {more} }} }}"));
    folder.refuses(vault("url: http://vault.internal:8200"), "plaintext_upstream", "write https://");
    folder.refuses(vault("url: http://127.0.0.1:8200"), "plaintext_upstream", "danger_plaintext_loopback");
    folder.refuses(vault("url: https://10.0.4.9:8200"), "private_upstream", "10.0.4.9/32");
    folder.refuses(vault("url: https://169.254.169.254"), "private_upstream", "metadata");
    folder.refuses(
        vault("url: https://vault.internal, private_addresses: [169.254.0.0/16]"),
        "not_private",
        "metadata addresses",
    );
    folder.refuses(
        vault("url: https://vault.internal, danger_plaintext_loopback: true"),
        "does_nothing",
        "take the line out",
    );
    folder.refuses(
        vault("url: http://127.0.0.1:8200, danger_plaintext_loopback: true, ca_file: tls/cert.pem"),
        "does_nothing",
        "take the line out",
    );
    folder.refuses(vault("url: https://vault.internal, mount: ../sys"), "invalid_value", "dot segments");
    folder.refuses(vault("url: https://vault.internal, token: hvs.x"), "unknown_field", "token_file");
    folder.refuses(
        unlock("{ vault: { url: https://vault.internal, token_file: secrets/vault.token } }"),
        "missing_field",
        "key: assay",
    );
    let kms = |more: &str| unlock(&format!("{{ aws_kms: {{ key_id: alias/assay, region: eu-central-1, {more} }} }}"));
    folder.refuses(kms("endpoint: http://kms.internal"), "plaintext_upstream", "write https://");
    folder.refuses(kms("credentials_file: secrets/none.json"), "unreadable_file", "mend");
    folder.refuses(unlock("{ aws_kms: { key_id: \"a b\", region: eu-central-1 } }"), "invalid_value", "alias/NAME");
}

#[test]
fn a_shared_store_is_held_to_the_rules_of_databases() {
    let folder = folder();
    folder.refuses(store("{ name: keys }"), "missing_field", "url_file: secrets/keys.url");
    folder.refuses(
        store("{ database: { url: \"postgres://a@db.internal/a\" } }"),
        "plaintext_state",
        "sslmode=require",
    );
    let told = folder.refuses(
        store("{ database: { url: \"postgres://a:open-sesame@127.0.0.1/a\" } }"),
        "inline_secret",
        "url_file",
    );
    assert!(told.contains("keys.store.database.url") && !told.contains("open-sesame"), "{told}");
    folder.refuses(
        text("store: secrets/keys.sealed, unlock: { file: secrets/kek.key }, min_generation: 0"),
        "out_of_bounds",
        "assay key list",
    );
}

#[test]
fn the_service_needs_a_file_where_the_keys_have_none() {
    let folder = folder();
    let without = unlock("{ systemd: assay-kek }").replace(", unlock: { file: secrets/own.key }", "");
    folder.refuses(without, "missing_field", "unlock: { file");
}

#[test]
fn each_source_is_taken_as_it_is_written() {
    let folder = folder();
    let of = |text| {
        let (settings, warnings) = taken(&folder, text);
        (settings.keys.unwrap(), warnings)
    };
    let (keys, warnings) = of(unlock("{ env: ASSAY_KEK }"));
    assert_eq!((keys.unlock, warnings), (Unlock::Environment("ASSAY_KEK".to_owned()), vec!["unlock_environment"]));
    let (keys, warnings) = of(unlock("{ systemd: assay-kek }"));
    assert_eq!((keys.unlock, warnings), (Unlock::Systemd("assay-kek".to_owned()), vec![]));
    let (keys, _) = of(unlock("{ passphrase_file: secrets/phrase.txt }"));
    assert_eq!(keys.unlock, Unlock::PassphraseFile(folder.path("secrets/phrase.txt")));
    assert_eq!(keys.files(), [folder.path("secrets/keys.sealed"), folder.path("secrets/phrase.txt")]);
    assert_eq!(keys.audit, folder.path("state/audit"));

    let (keys, _) = of(unlock(
        "{ vault: { url: https://vault.internal:8200, key: assay, token_file: secrets/vault.token, namespace: teams/api, \
         private_addresses: [10.0.4.0/24] } }",
    ));
    let Unlock::Vault(vault) = keys.unlock else { panic!("not Vault") };
    assert_eq!((vault.mount.as_str(), vault.namespace.as_deref()), ("transit", Some("teams/api")));
    assert_eq!(
        (vault.server.scheme, vault.server.host.as_str(), vault.server.port),
        (Scheme::Https, "vault.internal", 8200)
    );

    let (keys, _) = of(unlock("{ aws_kms: { key_id: alias/assay, region: eu-central-1 } }"));
    let Unlock::AwsKms(kms) = keys.unlock else { panic!("not KMS") };
    assert_eq!((kms.server.host.as_str(), kms.server.port), ("kms.eu-central-1.amazonaws.com", 443));
    assert_eq!(kms.credentials, AwsCredentials::Environment);

    let (keys, _) = of(text(
        "store: { database: { url_file: secrets/keys.url } }, unlock: { file: secrets/kek.key }, min_generation: 7, audit: log/keys",
    ));
    let KeyStorePlace::Database { database, name } = &keys.store else { panic!("not a database") };
    assert_eq!((database.url.to_string().as_str(), name.as_str()), ("db.internal:5432", "keys"));
    assert_eq!(keys.min_generation.unwrap().get(), 7);
    assert_eq!((keys.audit.clone(), keys.files()), (folder.path("log/keys"), vec![folder.path("secrets/kek.key")]));
}
