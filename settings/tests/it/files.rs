//! Files that a configuration names: who may read them, what they hold, and that they are watched.

use std::path::Path;

use crate::folder::{Folder, GOOD, SECRETS, with};

fn told(folder: &Folder, text: impl AsRef<[u8]>) -> String {
    folder.load(text).expect_err("refused").to_string()
}

#[test]
fn a_secret_that_others_can_read_is_refused_wherever_it_is_named() {
    for name in ["secrets/admin.token", "secrets/approov.secret", "secrets/kek.key", "tls/key.pem"] {
        let folder = Folder::new();
        let held = std::fs::read(folder.path(name)).unwrap();
        folder.write(name, held, 0o644);
        let told = told(&folder, GOOD);
        assert!(told.contains(name) && told.contains("can read it") && told.contains("chmod 600"), "{name}: {told}");
    }
}

#[test]
fn a_file_that_is_missing_is_named_and_still_watched() {
    for name in [
        "secrets/admin.token",
        "secrets/approov.secret",
        "secrets/kek.key",
        "tls/cert.pem",
        "tls/key.pem",
        "policies/old.yaml",
    ] {
        let folder = Folder::new();
        std::fs::remove_file(folder.path(name)).unwrap();
        let report = folder.load(GOOD).err().unwrap_or_else(|| panic!("{name} is missed"));
        assert!(report.to_string().contains("does not exist") && report.to_string().contains("= help:"), "{report}");
        assert!(report.sources.contains(&folder.path(name)), "{name} is watched");
    }
}

#[test]
fn a_keystore_that_is_not_there_yet_is_a_warning_so_that_a_key_can_be_put() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("secrets/keys.sealed")).unwrap();
    let loaded = folder.load(GOOD).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].hint.as_ref().unwrap().contains("assay key put"));
    assert!(loaded.settings.sources.contains(&folder.path("secrets/keys.sealed")), "it is watched");
}

#[test]
fn every_file_is_a_source_and_its_content_is_in_the_digest() {
    let folder = Folder::new();
    let before = folder.load(GOOD).unwrap().settings;
    let names = [
        "assay.yaml",
        "tls/cert.pem",
        "tls/key.pem",
        "secrets/admin.token",
        "secrets/approov.secret",
        "secrets/kek.key",
        "secrets/keys.sealed",
        "policies/old.yaml",
    ];
    assert_eq!(before.sources[0], folder.path("assay.yaml"));
    for name in names {
        assert!(before.sources.contains(&folder.path(name)), "{name}");
    }
    assert_eq!(before.sources.len(), names.len(), "{:?}", before.sources);
    assert_eq!(folder.load(GOOD).unwrap().settings.digest, before.digest);
    for name in ["secrets/keys.sealed", "policies/old.yaml"] {
        let was = folder.load(GOOD).unwrap().settings.digest;
        let held = std::fs::read_to_string(folder.path(name)).unwrap();
        folder.write(name, format!("{held}# changed\n"), 0o600);
        assert_ne!(folder.load(GOOD).unwrap().settings.digest, was, "{name}");
    }
}

#[test]
fn wrong_contents_are_told_by_kind_and_never_shown() {
    for (name, content, words) in [
        ("tls/cert.pem", "nothing", "holds no certificate"),
        ("tls/key.pem", "nothing", "holds no private key"),
        ("secrets/admin.token", "short", "does not hold one token"),
        ("secrets/kek.key", "short", "assay.yaml"),
        ("secrets/approov.secret", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0_-8", "write encoding: base64url"),
        ("secrets/approov.secret", "c2hvcnQ=", "too weak"),
        ("secrets/approov.secret", "not base64 !", "is not base64"),
    ] {
        let folder = Folder::new();
        folder.write(name, content, 0o600);
        let told = told(&folder, GOOD);
        assert!(told.contains(words) && told.contains("= help:"), "{name}: {told}");
        assert!(content.len() < 10 || !told.contains(content), "{told}");
    }
}

#[test]
fn each_encoding_names_the_one_that_would_have_fitted() {
    for (encoding, content, hint) in [
        ("base64url", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I+Pz8=", "write encoding: base64"),
        ("base64url", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==", "take the `=` off"),
        ("base64", "two\nlines", "one line"),
    ] {
        let folder = Folder::new();
        folder.write("secrets/approov.secret", content, 0o600);
        let told = told(&folder, with("encoding: base64", &format!("encoding: {encoding}")));
        assert!(told.contains(hint), "{encoding}: {told}");
    }
    let folder = Folder::new();
    folder.write("secrets/approov.secret", [0_u8, 159, 146, 150].repeat(8), 0o600);
    assert!(told(&folder, GOOD).contains("write encoding: raw"));
    assert!(folder.load(with("encoding: base64", "encoding: raw")).is_ok());
}

#[test]
fn public_keys_are_read_and_private_ones_refused() {
    let folder = Folder::new();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    folder.write("issuer.pem", pair.public_key_pem(), 0o644);
    let keys = "keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 }";
    assert!(folder.load(with(keys, "keys: { pem_file: issuer.pem, algorithm: ES256 }")).is_ok());
    assert!(told(&folder, with(keys, "keys: { pem_file: issuer.pem, algorithm: HS256 }")).contains("no public key"));
    assert!(told(&folder, with(keys, "keys: { pem_file: issuer.pem, algorithm: RS256 }")).contains("issuer.pem"));
    assert!(
        told(&folder, with(keys, "keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: ES256 }"))
            .contains("no shared secret")
    );
    folder.write("issuer.pem", pair.serialize_pem(), 0o644);
    assert!(told(&folder, with(keys, "keys: { pem_file: issuer.pem, algorithm: ES256 }")).contains("private key"));

    let x = attest_core::b64u::encode(&[0; 32]);
    folder.write(
        "jwks.json",
        format!("{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{x}\"}}]}}"),
        0o644,
    );
    assert!(told(&folder, with(keys, "keys: { jwks_file: jwks.json }")).contains("not a valid key"));
    folder.write("jwks.json", "{\"keys\":[]}", 0o644);
    assert!(told(&folder, with(keys, "keys: { jwks_file: jwks.json }")).contains("jwks.json"));
}

#[test]
fn no_secret_is_in_a_report_or_in_debug_output() {
    let folder = Folder::new();
    let settings = folder.load(GOOD).unwrap().settings;
    let shown = format!("{settings:?}");
    let told = told(
        &folder,
        GOOD.replace("encoding: base64,", "encoding: base64url,").replace("profile: approov", "profile: aproov"),
    );
    for secret in SECRETS {
        assert!(!shown.contains(secret) && !told.contains(secret));
    }
    assert!(!shown.contains("secret-secret") && !told.contains("secret-secret"));
}

#[test]
fn a_policy_file_reports_its_own_places() {
    let folder = Folder::new();
    folder.write("policies/old.yaml", "default: block\nrules:\n  - { name: a, when: { verdict: atested }, then: allow }\n  - { name: b, when: { verdict: any }, then: alow }\n", 0o644);
    let report = folder.load(with("upstream: openai\n", "upstream: opnai\n")).err().unwrap();
    let files: Vec<_> = report
        .problems
        .iter()
        .map(|problem| (Path::new(&problem.file).file_name().unwrap().to_str().unwrap(), problem.line))
        .collect();
    assert_eq!(files.iter().filter(|(name, _)| *name == "old.yaml").count(), 2, "{report}");
    assert_eq!(files.iter().filter(|(name, _)| *name == "assay.yaml").count(), 1, "{report}");
    let told = report.to_string();
    assert!(
        told.contains("{ name: a, when: { verdict: atested }") && told.contains("did you mean `attested`?"),
        "{told}"
    );
}
