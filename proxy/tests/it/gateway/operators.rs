//! What operators do: reload, look, start, stop.

use std::time::{Duration, Instant};

use super::kit::{CANARY, Issuer, KEY_ROUTE, Log, OWN_ROUTE, Parts, Rig, launch};

async fn rig() -> Rig {
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_change_is_taken_and_a_bad_one_changes_nothing() {
    let rig = rig().await;
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
    rig.edit(|text| text.replace("then: deprioritize }", "then: block }"));
    until("taken", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    assert_eq!(rig.gateway.generation(), 2);
    rig.edit(|text| text.replace("then: block }", "then: blokc }"));
    until("refused", async || !rig.gateway.last_reload().ok).await;
    let error = rig.gateway.last_reload().error.unwrap();
    assert!(error.contains("assay.yaml:") && error.contains("block"), "{error}");
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 401, "the last good one goes on");
    let status = rig.admin("GET", "/status").await.json();
    assert_eq!(status["last_reload"]["ok"], false);
    assert_eq!(status["generation"], 2);
    assert_eq!(rig.metric("assay_config_last_reload_ok", &[]).await, 0.0);
    rig.edit(|text| text.replace("then: blokc }", "then: deprioritize }"));
    until("mended", async || rig.get("own.test", "/open/a", &[]).await.status == 200).await;
    assert!(rig.gateway.last_reload().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_symlink_is_seen() {
    let rig = rig().await;
    // What a ConfigMap does: the file is a link into a folder that is itself a link.
    let (one, two) = (rig.folder.path().join("one"), rig.folder.path().join("two"));
    let text = std::fs::read_to_string(rig.path()).unwrap();
    for (folder, text) in [(&one, text.clone()), (&two, text.replace("then: deprioritize }", "then: block }"))] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("assay.yaml"), text).unwrap();
    }
    let data = rig.folder.path().join("..data");
    std::os::unix::fs::symlink(&one, &data).unwrap();
    std::fs::remove_file(rig.path()).unwrap();
    std::os::unix::fs::symlink("..data/assay.yaml", rig.path()).unwrap();
    until("linked", async || rig.gateway.generation() == 2).await;
    let next = rig.folder.path().join("..next");
    std::os::unix::fs::symlink(&two, &next).unwrap();
    std::fs::rename(&next, &data).unwrap();
    until("swapped", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_restart_is_refused_by_name() {
    let rig = rig().await;
    rig.edit(|text| text.replace("state: { dir: state }", "state: { dir: elsewhere }"));
    let answer = rig.admin("POST", "/reload").await;
    assert_eq!(answer.status, 409);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("state.dir") && error.contains("restart"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_and_limits_of_the_service_change_with_the_rest_of_the_file() {
    let rig = rig().await;
    rig.edit(|text| {
        text.replace("apps: { shop: {", "apps: { till: { linux: { require: [measurement] } }, shop: {")
            .replace("unlock: { file: service.key } }", "unlock: { file: service.key }, limits: { concurrency: 8 } }")
            .replace("then: deprioritize }", "then: block }")
    });
    until("taken", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    assert!(rig.gateway.last_reload().ok);
    // What its running service can't take over is named, and the file refused.
    for (from, to, named) in [
        ("path: /assay/v1, unlock", "path: /assay/v2, unlock", "attestation.serve changed"),
        (
            "upstreams:",
            "our_faults: { key_sets: { refuse_after: 3d } }\nupstreams:",
            "our_faults.key_sets.refuse_after",
        ),
    ] {
        let before = std::fs::read_to_string(rig.path()).unwrap();
        rig.edit(|text| text.replacen(from, to, 1));
        let error = rig.admin("POST", "/reload").await.json()["error"].to_string();
        assert!(error.contains(named), "{named}: {error}");
        std::fs::write(rig.path(), before).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_the_service_in_the_process_stand_beside_the_gateways_own() {
    let rig = rig().await;
    let text = rig.admin("GET", "/metrics").await.text();
    assert!(text.contains("\nassay_config_generation 1\n") && text.contains("\nassay_challenges_total 7\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_reloads_under_traffic_lose_no_request() {
    let rig = std::sync::Arc::new(rig().await);
    let token = rig.issuer.token();
    let asking = tokio::spawn({
        let rig = rig.clone();
        async move {
            let mut asked = 0;
            while rig.gateway.generation() < 101 {
                assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
                asked += 1;
            }
            asked
        }
    });
    for _ in 0..100 {
        rig.gateway.reload().await.unwrap();
    }
    assert!(asking.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_at_once() {
    let rig = rig().await;
    let taken = rig.gateway.public();
    let text = std::fs::read_to_string(rig.path()).unwrap();
    let other = rig.folder.path().join("other.yaml");
    let text = text.replacen("public: { address: 127.0.0.1:0 }", &format!("public: {{ address: \"{taken}\" }}"), 1);
    std::fs::write(&other, text).unwrap();
    let start = Instant::now();
    let Err(error) = launch(&other, Issuer::new(), Log::default(), rig.api.address) else { panic!("it started") };
    assert!(error.contains(&taken.to_string()) && error.contains("listeners.public"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_gateway_stops_within_a_second_and_an_open_request_is_finished_first() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let mut idle = tokio::net::TcpStream::connect(rig.gateway.public()).await.unwrap();
    let headers = [("assay-token", &*token)];
    let slow = rig.get("own.test", "/v1/slow?400", &headers);
    let start = Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.gateway.shutdown();
        rig.gateway.wait().await;
        start.elapsed()
    };
    let (answer, took) = tokio::join!(slow, stop);
    assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    assert!(took < Duration::from_millis(1400), "{took:?}");
    let mut nothing = [0; 1];
    assert_eq!(tokio::io::AsyncReadExt::read(&mut idle, &mut nothing).await.unwrap_or(0), 0);
    assert!(tokio::net::TcpStream::connect(rig.gateway.public()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_status_tell_names_and_figures() {
    let rig = rig().await;
    let token = rig.issuer.token();
    rig.get("paid.test", "/paid/v1/a", &[("assay-token", &token)]).await;
    let status = rig.admin("GET", "/status").await.json();
    assert_eq!(status["key_set"]["number"], 1);
    assert_eq!(status["upstreams"][0]["name"], "api");
    assert_eq!(status["routes"].as_array().unwrap().len(), 2);
    assert_eq!(rig.metric("assay_config_generation", &[]).await, 1.0);
    assert_eq!(rig.metric("assay_key_uses_total", &["key=\"vendor\""]).await, 1.0);
    assert_eq!(rig.metric("assay_gateway_seconds_count", &[]).await, 1.0);
    assert_eq!(rig.metric("assay_rule_hits_total", &["rule=\"genuine\"", "outcome=\"allow\""]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_bad_configuration_is_no_start() {
    let rig = rig().await;
    let text = std::fs::read_to_string(rig.path()).unwrap();
    let other = rig.folder.path().join("other.yaml");
    for (good, bad, named) in [
        ("then: deprioritize }", "then: blokc }", "blokc"),
        ("key: vendor", "key: nobody", "nobody"),
        ("unlock: { file: kek.key }", "unlock: { file: service.key }", "keys"),
    ] {
        assert!(text.contains(good), "{good}");
        std::fs::write(&other, text.replace(good, bad)).unwrap();
        let Err(error) = launch(&other, Issuer::new(), Log::default(), rig.api.address) else { panic!("it started") };
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_store_whose_generation_can_t_be_written_down_is_not_taken() {
    let rig = rig().await;
    // What a full disk does: it can be read, and nothing new can be written.
    let memory = rig.folder.path().join("state").join("keystore-generations.json");
    let lock = memory.with_file_name(".keystore-generations.json.lock");
    let _ = std::fs::remove_file(&lock);
    std::fs::create_dir(&lock).unwrap();
    rig.rotate_key(&format!("{CANARY}-2"));
    let report = rig.gateway.reload().await.unwrap_err();
    assert!(report.contains("keystore-generations.json"), "{report}");
    let token = rig.issuer.token();
    let ask = async || {
        let answer = rig.get("paid.test", "/paid/v1/a", &[("assay-token", &token)]).await;
        let id = rig.api.last().headers["x-api-key"].clone();
        (answer.status, id)
    };
    assert_eq!(ask().await, (200, CANARY.parse().unwrap()), "the key before goes on");
    std::fs::remove_dir(&lock).unwrap();
    rig.gateway.reload().await.unwrap();
    assert_eq!(ask().await, (200, format!("{CANARY}-2").parse().unwrap()));
}
