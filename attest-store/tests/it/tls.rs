//! TLS to PostgreSQL: verified, or not at all.

use attest_store::{Database, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use test_servers::Postgres;

use crate::world::options;

#[test]
fn a_server_elsewhere_is_never_spoken_to_in_the_clear_unless_that_was_written() {
    // Nothing listens there; what is told is decided before.
    let url = "postgres://ann@db.invalid:1/b";
    for mode in ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-full"] {
        let mut wanted = options(&format!("{url}{mode}"));
        wanted.ca_file = Some("/nowhere/roots.pem".into());
        // Roots are read, so TLS it is.
        assert!(matches!(Database::postgres(&wanted), Err(StoreError::Path { .. })), "{mode}");
    }
    let mut plain = options(&format!("{url}?sslmode=disable"));
    plain.ca_file = Some("/nowhere/roots.pem".into());
    assert!(Database::postgres(&plain).is_ok());
}

#[test]
fn refuses_a_file_of_roots_without_roots() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let mut wanted = options("postgres://ann@db.invalid:1/b");
    wanted.ca_file = Some(path);
    assert!(matches!(Database::postgres(&wanted), Err(StoreError::BadRoots { .. })));
}

#[test]
fn the_server_is_verified_by_name_and_root() {
    let Some(server) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let other_roots = folder.path().join("other.pem");
    let (ca, other) = (authority(), authority());
    std::fs::write(&roots, ca.pem()).unwrap();
    std::fs::write(&other_roots, other.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();

    let plain = format!("postgres://assay@127.0.0.1:{}/postgres?sslmode=disable", server.port());
    let tls = format!("postgres://assay@localhost:{}/postgres?sslmode=require", server.port());
    let connect = |url: &str, roots: &std::path::Path| {
        let mut wanted = options(url);
        wanted.ca_file = Some(roots.to_owned());
        Database::postgres(&wanted).unwrap().exists()
    };
    // A server without TLS is refused, not spoken to in the clear.
    assert!(connect(&plain, &roots).is_ok());
    assert!(matches!(connect(&tls, &roots), Err(StoreError::Away { .. })));

    let data = server.sql("postgres", "SHOW data_directory");
    for (name, pem) in [("server.key", key.serialize_pem()), ("server.crt", certificate.pem())] {
        let lines: Vec<_> = pem.lines().map(|line| format!("('{line}')")).collect();
        server.sql("postgres", &format!("COPY (VALUES {}) TO '{data}/{name}'", lines.join(",")));
    }
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    restrict(&data);
    server.restart();
    assert!(!connect(&tls, &roots).unwrap(), "reached, and empty");
    assert!(matches!(connect(&tls, &other_roots), Err(StoreError::Away { .. })), "another root");
    let by_address = format!("postgres://assay@127.0.0.1:{}/postgres?sslmode=verify-full", server.port());
    assert!(matches!(connect(&by_address, &roots), Err(StoreError::Away { .. })), "another name");
}

/// PostgreSQL takes no key that others can read.
fn restrict(data: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let key = std::path::Path::new(data).join("server.key");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
