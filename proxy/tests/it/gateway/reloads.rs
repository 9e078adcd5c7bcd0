//! A configuration is taken whole, at once, or not at all; however its files are replaced.

use std::collections::HashMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Parts, Rig};

/// A route whose rule, rewrite and identity headers are all of one edition.
const EDITION: &str = r#"
  own:
    match: { host: own.test, path: "/v1/**" }
    rewrite: { strip: /v1, add: /odd }
    upstream: api
    identity_headers: false
    policy:
      default: block
      rules: [{ name: odd, when: { verdict: attested }, then: allow }]
"#;

fn edition(text: &str, even: bool) -> String {
    if !even {
        return text.to_owned();
    }
    text.replace("add: /odd", "add: /even")
        .replace("name: odd", "name: even")
        .replace("identity_headers: false", "identity_headers: true")
}

/// Beside its name and renamed over it, as editors and `kubectl cp` do.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("swp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_reloads_under_load_fail_no_request_and_none_sees_half_a_policy() {
    let rig = Arc::new(Rig::start(Parts { routes: EDITION.to_owned(), ..Parts::default() }).await);
    let good = std::fs::read_to_string(rig.path()).unwrap();
    let token = rig.issuer.token();
    let done = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..3)
        .map(|_| {
            let (rig, token, done) = (rig.clone(), token.clone(), done.clone());
            tokio::spawn(async move {
                let mut asked = 0_usize;
                while !done.load(Ordering::Relaxed) {
                    let answer = rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let bad = [
        good.replacen("default: block", "default: permit", 1),
        good.replacen("upstream: api", "upstream: gone", 1),
        good[..good.len() / 2].to_owned(),
        good.replacen("state: { dir: state", "state: { dir: elsewhere", 1),
    ];
    let mut even = HashMap::from([(1, false)]);
    for round in 0..1_000_usize {
        if round % 2 == 0 {
            replace(&rig.path(), &bad[round / 2 % bad.len()]);
            assert!(rig.gateway.reload().await.is_err(), "round {round}");
        } else {
            let is_even = round / 2 % 2 == 0;
            replace(&rig.path(), &edition(&good, is_even));
            let taken = rig.gateway.reload().await.unwrap_or_else(|why| panic!("round {round}: {why}"));
            even.insert(taken, is_even);
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for task in load {
        asked += task.await.unwrap();
    }
    assert!(asked > 100, "{asked} requests");
    let seen = rig.api.seen();
    assert_eq!(seen.len(), asked);
    for request in &seen {
        let is_even = request.target.starts_with("/even/");
        assert!(is_even || request.target.starts_with("/odd/"), "{}", request.target);
        assert_eq!(
            request.headers.contains_key("x-assay-verdict"),
            is_even,
            "{} with the headers of the other",
            request.target
        );
    }
    assert!(
        seen.iter().any(|seen| seen.target.starts_with("/even/"))
            && seen.iter().any(|seen| seen.target.starts_with("/odd/"))
    );
    // The watcher may have taken a file too: its generations are not in the map.
    rig.until("all lines", async || rig.lines().len() == asked).await;
    for line in rig.lines() {
        if let Some(is_even) = even.get(&line["generation"].as_u64().unwrap()) {
            assert_eq!(line["rule"], if *is_even { "even" } else { "odd" }, "{line}");
        }
    }
    assert!(rig.metric("assay_reloads_total", &["why=\"refused\""]).await >= 500.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_swapped_as_kubelet_does_it() {
    let rig = Rig::start(Parts {
        routes: EDITION.replace("\n    policy:\n      default: block\n      rules: [{ name: odd, when: { verdict: attested }, then: allow }]\n", "\n    policy: policy.yaml\n"),
        files: vec![("policy.yaml", b"default: block\nrules: [{ name: odd, when: { verdict: attested }, then: allow }]\n".to_vec())],
        ..Parts::default()
    })
    .await;
    let folder = rig.folder.path();
    let text = std::fs::read_to_string(rig.path()).unwrap();
    // The real layout: a folder with a date, `..data` that leads to it, and each file a link through that.
    let dated = |name: &str, even: bool| {
        let dated = folder.join(name);
        std::fs::create_dir(&dated).unwrap();
        let policy = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
        std::fs::write(dated.join("assay.yaml"), edition(&text, even)).unwrap();
        std::fs::write(dated.join("policy.yaml"), if even { policy.replace("odd", "even") } else { policy }).unwrap();
    };
    dated("..2026_11_22_10_00_00.1", false);
    symlink("..2026_11_22_10_00_00.1", folder.join("..data")).unwrap();
    dated("..2026_11_22_10_05_00.2", true);
    for file in ["assay.yaml", "policy.yaml"] {
        let beside = folder.join("link");
        symlink(format!("..data/{file}"), &beside).unwrap();
        std::fs::rename(&beside, folder.join(file)).unwrap();
    }
    let token = rig.issuer.token();
    let rule = async || {
        assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
        rig.api.last().target
    };
    assert!(rule().await.starts_with("/odd/"));
    // What kubelet does: a new link beside, renamed over the old one, and the old folder goes.
    symlink("..2026_11_22_10_05_00.2", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    std::fs::remove_dir_all(folder.join("..2026_11_22_10_00_00.1")).unwrap();
    rig.until("taken", async || rule().await.starts_with("/even/")).await;
    let line = rig.logged(|line| line["rule"] == "even").await;
    assert_eq!(line["status"], 200);
    assert!(rig.gateway.last_reload().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_that_renames_and_one_that_writes_in_pieces_are_both_understood() {
    let rig = Rig::start(Parts { routes: EDITION.to_owned(), ..Parts::default() }).await;
    let good = std::fs::read_to_string(rig.path()).unwrap();
    replace(&rig.path(), &edition(&good, true));
    rig.until("renamed", async || rig.gateway.generation() == 2).await;
    // In place, with a pause in the middle that ends where a line does.
    let text = edition(&good, false);
    let (first, rest) = text.split_at(text.find("routes:").unwrap());
    std::fs::write(rig.path(), first).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    std::fs::write(rig.path(), format!("{first}{rest}")).unwrap();
    rig.until("written", async || rig.gateway.generation() == 3).await;
    assert!(rig.gateway.last_reload().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_changes_with_its_configuration_or_not_at_all() {
    let write = |folder: &Path| {
        let made = rcgen::generate_simple_self_signed(vec!["own.test".to_owned()]).unwrap();
        replace(&folder.join("cert.pem"), &made.cert.pem());
        replace(&folder.join("key.pem"), &made.signing_key.serialize_pem());
        std::fs::set_permissions(folder.join("key.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        made.cert.der().to_vec()
    };
    let made = tempfile::tempdir().unwrap();
    let first = write(made.path());
    let rig = Rig::start(Parts {
        routes: EDITION.to_owned(),
        public: ", tls: { certificate: cert.pem, key: key.pem }",
        files: ["cert.pem", "key.pem"].map(|name| (name, std::fs::read(made.path().join(name)).unwrap())).to_vec(),
        ..Parts::default()
    })
    .await;
    assert_eq!(shown(&rig, &first).await, Some(first.clone()));
    // A configuration that loads and can't run: a certificate beside it must not go in alone.
    rig.edit(|text| text.replace("state: { dir: state }", "state: { dir: elsewhere }"));
    let second = write(rig.folder.path());
    assert!(rig.gateway.reload().await.is_err());
    assert_eq!(shown(&rig, &first).await, Some(first.clone()), "the old pair stays");
    // And a good configuration beside a certificate without its key.
    rig.edit(|text| edition(&text.replace("state: { dir: elsewhere }", "state: { dir: state }"), true));
    std::fs::write(rig.folder.path().join("key.pem"), "no key").unwrap();
    let generation = rig.gateway.generation();
    assert!(rig.gateway.reload().await.is_err());
    assert_eq!((rig.gateway.generation(), shown(&rig, &first).await), (generation, Some(first)));
    let third = write(rig.folder.path());
    assert_ne!(second, third);
    rig.gateway.reload().await.unwrap();
    assert_eq!(shown(&rig, &third).await, Some(third));
}

/// The certificate that a handshake shows, if it is the trusted one.
async fn shown(rig: &Rig, trusted: &[u8]) -> Option<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from(trusted.to_vec())).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(rig.gateway.public()).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("own.test").unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
    Some(tls.get_ref().1.peer_certificates()?.first()?.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_whose_operator_hangs_up_is_finished() {
    let rig = Rig::start(Parts { routes: EDITION.to_owned(), ..Parts::default() }).await;
    let held = rig.loads.hold().await;
    let mut operator = TcpStream::connect(rig.gateway.admin().unwrap()).await.unwrap();
    let head = b"POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    operator.write_all(head).await.unwrap();
    rig.until("a load", async || rig.loads.begun() == 1).await;
    operator.shutdown().await.unwrap();
    assert_eq!(operator.read(&mut [0; 64]).await.unwrap(), 0, "the other side has seen it");
    drop(held);
    rig.until("it was taken", async || rig.gateway.generation() == 2).await;
}
