//! A gateway that is started with bad files runs what ran before, says so, and takes the files as soon as they are good.

use super::kit::{Issuer, Log, OWN_ROUTE, Parts, Rig, launch};

async fn rig() -> Rig {
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() }).await;
    rig.until("kept", async || kept(rig.folder.path()).len() == 1).await;
    rig
}

fn kept(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("state/generations"));
    let mut kept: Vec<_> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    kept.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'));
    kept.sort();
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_bad_files_runs_the_last_good_ones_loudly_until_they_are_mended() {
    let rig = rig().await;
    rig.edit(|text| text.replace("then: deprioritize }", "then: blokc }"));
    let rig = rig.restart();
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200, "as it was");
    let status = rig.admin("GET", "/status").await.json();
    assert!(status["last_good"]["taken_at"].as_i64().unwrap() > 0, "{status}");
    assert_eq!(status["last_reload"]["ok"], false);
    assert!(status["last_reload"]["error"].as_str().unwrap().contains("blokc"), "{status}");
    assert_eq!(rig.metric("assay_config_from_last_good", &[]).await, 1.0);
    assert_eq!(rig.metric("assay_config_last_reload_ok", &[]).await, 0.0);
    let ready =
        super::kit::raw(rig.gateway.probe().unwrap(), b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
    assert_eq!(ready.status, 200, "it serves");
    // The bad file again changes nothing; the mended one is taken.
    assert!(rig.gateway.reload().await.is_err());
    assert!(!rig.admin("GET", "/status").await.json()["last_good"].is_null());
    rig.edit(|text| text.replace("then: blokc }", "then: block }"));
    rig.until("mended", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    let status = rig.admin("GET", "/status").await.json();
    assert_eq!((status["last_good"].is_null(), &status["last_reload"]["ok"]), (true, &true.into()));
    assert_eq!(rig.metric("assay_config_from_last_good", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_no_reason_not_to_start_and_a_damaged_copy_is_passed_over() {
    let rig = rig().await;
    rig.edit(|text| text.replace("then: deprioritize }", "then: block }"));
    rig.until("kept", async || kept(rig.folder.path()).len() == 2).await;
    std::fs::remove_file(rig.path()).unwrap();
    let rig = rig.restart();
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 401, "the newest");
    // As a disk does it that lost a block.
    let rig = rig.restart_after(|folder| {
        let newest = kept(folder).pop().unwrap();
        let bytes = std::fs::read(&newest).unwrap();
        std::fs::write(&newest, &bytes[..bytes.len() - 7]).unwrap();
    });
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200, "the one before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_copy_a_bad_file_is_no_start() {
    let rig = rig().await;
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("assay.yaml");
    std::fs::write(&path, "assay: 1\nstate: { dir: state }\nrotues: {}\n").unwrap();
    let Err(error) = launch(&path, Issuer::new(), Log::default(), rig.api.address) else { panic!("it started") };
    assert!(error.contains("rotues"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_hold_no_secret_and_are_their_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let rig = rig().await;
    let secrets = ["service.key", "kek.key"].map(|name| std::fs::read(rig.folder.path().join(name)).unwrap());
    for path in kept(rig.folder.path()) {
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            let secret = &secret[..secret.len().min(24)];
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}
