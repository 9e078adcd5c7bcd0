//! What an operator sees: the log, health, metrics, TLS; and what he must never see.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use attest_core::b64u;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    attester::{Attester, send},
    challenges::wait_for,
    world::{Folder, Reply},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_says_outcome_reasons_and_code_and_never_a_token() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.explain = true;
    let world = folder.start_with(settings).await;
    let good = Attester::genuine().attest(&world).await.token();
    let bad = Attester::patched().attest(&world).await.token();
    let (secret, metrics) = (world.handle.internal_secret().to_owned(), world.handle.metrics_text());
    let shown = format!("{:?}", world.handle);
    world.handle.shutdown().await;

    let log = log.text();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attestations: Vec<_> = lines.iter().filter(|line| line["message"] == "attestation").collect();
    assert_eq!(attestations.len(), 2);
    assert!(attestations.iter().all(|line| line["target"] == "assay::attest" && line["app"] == "sample"));
    assert_eq!((&attestations[0]["outcome"], &attestations[1]["outcome"]), (&"passed".into(), &"failed".into()));
    assert_eq!(attestations[1]["reasons"], "measurement_mismatch,required_kind_missing");
    assert!(log.contains("sample 1.0 on linux failed: the running image differs from the registered file"), "{log}");

    let claims = bad.split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&b64u::decode(claims.as_bytes(), 8192).unwrap()).unwrap();
    assert_eq!(attestations[1]["arc"], claims["arc"]);
    for token in [&good, &bad] {
        for part in [token.as_str(), token.split('.').nth(2).unwrap()] {
            assert!(!log.contains(part) && !metrics.contains(part) && !shown.contains(part));
        }
    }
    assert!(!log.contains(&secret) && !shown.contains(&secret));
}

#[tokio::test]
async fn a_database_that_can_not_be_read_is_our_fault_and_said_aloud() {
    let folder = Folder::new();
    let world = folder.start().await;
    let health = || async { Reply::of(world.client.get(world.url("/health")).send().await.unwrap()).await };
    assert_eq!((health().await.status, health().await.json()["status"].clone()), (200, "ok".into()));
    let request = Attester::genuine().request(&world.challenge().await, |_| ());

    let database = rusqlite::Connection::open(folder.state().join("assay.db")).unwrap();
    database.execute("ALTER TABLE counters RENAME TO elsewhere", []).unwrap();
    wait_for(&world, "assay_store_readable 0").await;
    assert_eq!(health().await.status, 503);
    for reply in [world.post("/challenge", "").await, send(&world, &request).await] {
        assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
        assert!(reply.headers.contains_key("retry-after"));
    }

    database.execute("ALTER TABLE elsewhere RENAME TO counters", []).unwrap();
    wait_for(&world, "assay_store_readable 1").await;
    // The challenge was not spent on our fault.
    send(&world, &request).await.token();
}

#[tokio::test]
async fn metrics_count_challenges_outcomes_and_refusals() {
    let folder = Folder::new();
    let world = folder.start().await;
    Attester::patched().attest(&world).await.token();
    world.post("/attest", "no").await;
    wait_for(
        &world,
        "assay_attestations_total{platform=\"linux\",outcome=\"failed\",reason=\"measurement_mismatch\"} 1",
    )
    .await;
    let text = world.handle.metrics_text();
    for line in [
        "assay_challenges_total 1",
        "assay_attestation_reasons_total{reason=\"required_kind_missing\"} 1",
        "assay_attest_refusals_total{code=\"not_an_envelope\"} 1",
        "assay_challenges_held 1",
        "assay_challenges_spent_total{result=\"first\"} 1",
        "assay_signing_keys{state=\"active\"} 1",
        "assay_signing_keys{state=\"next\"} 1",
        "assay_clock_steady 1",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn audit_checkpoints_are_signed_lines_in_the_log_at_the_start_and_at_the_end() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let folder = Folder::new();
    let world = folder.start().await;
    let store = world.handle.store().clone();
    world.handle.shutdown().await;
    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let checkpoints: Vec<attest_store::SignedCheckpoint> = lines
        .filter(|line| line["target"] == "assay::audit")
        .map(|line| serde_json::from_str(line["checkpoint"].as_str().unwrap()).unwrap())
        .collect();
    assert!(!checkpoints.is_empty(), "{text}");
    let report = tokio::task::spawn_blocking(move || store.verify_audit(&checkpoints).unwrap()).await.unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
}

#[tokio::test]
async fn tls_is_spoken_and_the_gateway_beside_has_a_door_of_its_own() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut settings = folder.settings();
    settings.tls = Some(settings::TlsFiles { certificate, key });
    settings.gateway_beside = true;
    let world = folder.start_with(settings).await;

    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/assay/v1/health", world.handle.address().port());
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);

    assert_ne!(world.handle.internal_address(), world.handle.address());
    let url = format!("http://{}/assay/v1/health", world.handle.internal_address());
    assert_eq!(world.client.get(url).send().await.unwrap().status(), 200);
}
