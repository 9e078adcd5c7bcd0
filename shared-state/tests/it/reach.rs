//! Which servers are taken: those that answer to the password and the certificate, and evict nothing.

use std::time::Duration;

use settings::{ServerUrl, SharedSettings};
use shared_state::{ConnectError, SharedState};
use test_servers::Redis;

use crate::bench::{PATIENT, machine, settings, until, until_up};

#[tokio::test]
async fn a_server_that_may_evict_what_is_live_is_refused() {
    let Some(redis) = Redis::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]) else { return };
    let machine = machine(&redis, PATIENT).await;
    assert!(!machine.health());
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until_up(&machine).await;
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    until("the machine sees it", || async { !machine.health() }).await;
}

#[tokio::test]
async fn a_password_opens_and_shows_nowhere() {
    let Some(redis) = Redis::start_with(&["--requirepass", "open-sesame"]) else { return };
    let with = |user: &str| format!("redis://{user}127.0.0.1:{}/3", redis.port());
    for wrong in ["", ":closed-sesame@"] {
        assert!(!SharedState::connect(&settings(&with(wrong), PATIENT)).await.unwrap().health(), "{wrong:?}");
    }
    let settings = settings(&with(":open-sesame@"), PATIENT);
    let machine = SharedState::connect(&settings).await.unwrap();
    assert!(machine.health());
    for shown in [format!("{settings:?}"), format!("{machine:?}")] {
        assert!(!shown.contains("sesame"), "{shown}");
    }
}

#[tokio::test]
async fn tls_is_verified_against_the_roots_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = file("cert.pem", own.cert.pem());
    let key = file("key.pem", own.signing_key.serialize_pem());
    let strange = file("other.pem", other.cert.pem());
    let nothing = file("nothing.pem", String::new());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tls = [
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        certificate.to_str().unwrap(),
        "--tls-key-file",
        key.to_str().unwrap(),
        "--tls-auth-clients",
        "no",
    ];
    let Some(redis) = Redis::start_with(&tls) else { return };
    let reach = |host: &str, ca_file: Option<&std::path::Path>| SharedSettings {
        url: ServerUrl::redis(&format!("rediss://{host}:{port}")).unwrap(),
        ca_file: ca_file.map(std::path::Path::to_owned),
        timeout: Duration::from_secs(5),
        prefix: "test".to_owned(),
    };
    let good = SharedState::connect(&reach("localhost", Some(&certificate))).await.unwrap();
    assert!(good.health() && good.epoch().await.is_ok());
    for (host, roots) in [("localhost", Some(&strange)), ("localhost", None), ("127.0.0.1", Some(&certificate))] {
        let machine = SharedState::connect(&reach(host, roots.map(std::path::PathBuf::as_path))).await.unwrap();
        assert!(!machine.health(), "{host} {roots:?}");
    }
    let refused = SharedState::connect(&reach("localhost", Some(&nothing))).await;
    assert!(matches!(refused, Err(ConnectError::Roots { .. })));
    // A server that speaks plaintext there is not talked to either.
    let plain = ServerUrl::redis(&format!("rediss://localhost:{}", redis.port())).unwrap();
    let machine = SharedState::connect(&SharedSettings { url: plain, ..reach("localhost", Some(&certificate)) }).await;
    assert!(!machine.unwrap().health());
}

#[tokio::test]
async fn prefixes_keep_installations_apart() {
    let Some(redis) = Redis::start() else { return };
    let one = machine(&redis, PATIENT).await;
    let two = SharedState::connect(&SharedSettings { prefix: "two".to_owned(), ..settings(&redis.url(), PATIENT) })
        .await
        .unwrap();
    assert_ne!(one.epoch().await, two.epoch().await);
}
