//! Keys that change while requests run: rotated, disabled, removed, put elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use attest_core::time::{Clock, SystemClock};
use key_sources::KeySource;
use keystore::KeyName;
use serde_json::{Value, json};

use super::kit::{CANARY, KEY_ROUTE, Kept, MoreKey, OWN_ROUTE, Parts, Rig, edit_keys, seal};

const NEXT: &str = "the-second-canary-8e11-never-shown";

async fn rig() -> Rig {
    rig_with("").await
}

async fn rig_with(more: &str) -> Rig {
    let key_route = KEY_ROUTE.replace("    key: vendor\n", &format!("    key: vendor\n{more}"));
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{key_route}"), ..Parts::default() }).await
}

fn vendor() -> KeyName {
    KeyName::parse("vendor").unwrap()
}

/// Seals the next version, as `assay key put` does for a name that is there.
fn put_next(rig: &Rig) {
    let recipe = json!({ "kind": "header", "name": "x-api-key", "template": "{key}" });
    let key = MoreKey { name: "vendor", secret: NEXT.into(), recipe, elsewhere: None };
    assert_eq!(seal(rig.folder.path(), &key, rig.api.address), keystore::sealed::VersionState::Next);
}

fn rotate(rig: &Rig) {
    edit_keys(rig.folder.path(), |editor| assert!(editor.rotate(&vendor()).is_ok()));
}

/// What the operators' listener says of the key.
async fn told(rig: &Rig) -> Value {
    let keys = rig.admin("GET", "/keys").await.json();
    keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == "vendor").cloned().unwrap_or_default()
}

async fn until_current(rig: &Rig, version: u64) {
    rig.until("the new version", async || {
        let told = told(rig).await;
        told["versions"]
            .as_array()
            .is_some_and(|versions| versions.iter().any(|one| one["state"] == "current" && one["version"] == version))
    })
    .await;
}

async fn paid(rig: &Rig, path: &str) -> u16 {
    let token = rig.issuer.token();
    rig.get("paid.test", path, &[("assay-token", &token)]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_key_is_rotated_at_gateway_and_api_no_401_reaches_a_client() {
    let rig = Arc::new(rig().await);
    rig.api.accept(&[CANARY]);
    let over = Arc::new(AtomicBool::new(false));
    let answered: Arc<[AtomicUsize; 6]> = Arc::default();
    let load: Vec<_> = (0..answered.len())
        .map(|worker| {
            let (rig, over, answered) = (rig.clone(), over.clone(), answered.clone());
            tokio::spawn(async move {
                let token = rig.issuer.token();
                let mut connection = Kept::to(rig.gateway.public()).await;
                while !over.load(Ordering::SeqCst) {
                    let answer = connection.get("paid.test", "/paid/v1/checked", &token).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered[worker].fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    // Until each worker has begun a request after now and had its answer.
    let all_go_on = async || {
        let before: Vec<usize> = answered.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        rig.until("requests", async || {
            answered.iter().zip(&before).all(|(count, before)| count.load(Ordering::SeqCst) > before + 1)
        })
        .await;
    };
    all_go_on().await;
    rig.api.accept(&[CANARY, NEXT]);
    put_next(&rig);
    rotate(&rig);
    until_current(&rig, 2).await;
    all_go_on().await;
    rig.api.accept(&[NEXT]);
    all_go_on().await;
    over.store(true, Ordering::SeqCst);
    for worker in load {
        worker.await.unwrap();
    }
    assert!(rig.metric("assay_key_uses_total", &["key=\"vendor\"", "version=\"1\""]).await > 0.0);
    assert!(rig.metric("assay_key_answers_total", &["version=\"2\"", "status=\"200\""]).await > 0.0);
    assert_eq!(rig.metric("assay_key_answers_total", &["status=\"401\""]).await, 0.0);
    assert_eq!(rig.gateway.generation(), 1, "the configuration is what it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_while_the_key_was_rotated_carries_the_new_one() {
    let key_route = KEY_ROUTE.to_owned();
    let parts = Parts {
        routes: format!("{OWN_ROUTE}{key_route}"),
        api: ", concurrency: 1, queue: { deadline: 10s, length: 10 }",
        ..Parts::default()
    };
    let rig = Arc::new(Rig::start(parts).await);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { paid(&rig, "/paid/v1/slow?2500").await }
    });
    rig.until("the seat is taken", async || !rig.api.seen().is_empty()).await;
    let second = tokio::spawn({
        let rig = rig.clone();
        async move { paid(&rig, "/paid/v1/items").await }
    });
    put_next(&rig);
    rotate(&rig);
    until_current(&rig, 2).await;
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 200));
    let seen = rig.api.seen();
    assert_eq!(seen[0].headers["x-api-key"], CANARY);
    assert_eq!(seen[1].headers["x-api-key"], NEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_key_is_503_within_seconds_and_enabled_again_it_goes_out() {
    let rig = rig().await;
    let until = SystemClock.now().plus(Duration::from_secs(3600));
    edit_keys(rig.folder.path(), |editor| editor.disable(&vendor(), Some(until)).unwrap());
    rig.until("the key is off", async || paid(&rig, "/paid/v1/items").await == 503).await;
    let seen = rig.api.seen().len();
    let token = rig.issuer.token();
    let answer = rig.get("paid.test", "/paid/v1/items", &[("assay-token", &token)]).await;
    assert_eq!(answer.json()["code"], "unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(rig.api.seen().len(), seen, "nothing reached the API");
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 200, "other routes go on");
    edit_keys(rig.folder.path(), |editor| assert!(editor.enable(&vendor()).unwrap()));
    rig.until("the key is on", async || paid(&rig, "/paid/v1/items").await == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_does_not_wait_for_a_configuration_that_is_broken() {
    let rig = rig().await;
    rig.edit(|text| text.replacen("default: block", "default: permit", 1));
    put_next(&rig);
    rotate(&rig);
    until_current(&rig, 2).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], NEXT);
    rig.until("the configuration is refused", async || !rig.gateway.last_reload().ok).await;
    assert_eq!(rig.gateway.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_key_that_a_route_names_is_refused_and_the_key_in_use_stays() {
    let rig = rig().await;
    edit_keys(rig.folder.path(), |editor| editor.remove(&vendor()).unwrap());
    rig.until("it is refused", async || rig.metric("assay_key_reloads_total", &["why=\"refused\""]).await >= 1.0).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], CANARY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_no_store_is_refused_and_the_next_good_one_is_taken() {
    let rig = rig().await;
    let store = rig.folder.path().join("keys.sealed");
    let good = std::fs::read(&store).unwrap();
    std::fs::write(&store, &good[..good.len() / 2]).unwrap();
    rig.until("it is refused", async || rig.metric("assay_key_reloads_total", &["why=\"refused\""]).await >= 1.0).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    let problem = async || rig.admin("GET", "/status").await.json()["keys"]["problem"].clone();
    assert!(problem().await.as_str().unwrap().contains("keys.sealed"), "operators are told why");
    std::fs::write(&store, &good).unwrap();
    put_next(&rig);
    rotate(&rig);
    until_current(&rig, 2).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], NEXT);
    assert_eq!(problem().await, Value::Null);
}

/// The store that the configuration of this folder names now.
fn source(rig: &Rig) -> KeySource {
    let loaded = settings::load(&rig.path(), &settings::Overrides::default()).unwrap_or_else(|why| panic!("{why}"));
    KeySource::new(loaded.settings.keys.as_ref().unwrap())
}

/// The bounds of the key in the file, for the same key elsewhere.
fn bounds(rig: &Rig) -> keystore::Bounds {
    let kek = keystore::MasterKey::from_file(&rig.folder.path().join("kek.key")).unwrap();
    let memory = keystore::GenerationMemory::in_process();
    let store = keystore::Keystore::inspect(&rig.folder.path().join("keys.sealed"), &kek, &memory).unwrap();
    store.key("vendor").unwrap().bounds().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_gateways_share_is_followed_within_seconds() {
    let Some(postgres) = test_servers::Postgres::shared() else { return };
    let url = postgres.fresh_database();
    let routes = format!("{OWN_ROUTE}{KEY_ROUTE}");
    let rig = Rig::start(Parts { routes, files: vec![("pg.url", url.into_bytes())], ..Parts::default() }).await;
    let bounds = bounds(&rig);
    rig.edit(|text| text.replace("store: keys.sealed", "store: { database: { url_file: pg.url }, name: shop }"));
    let (shared, memory) = (source(&rig), keystore::GenerationMemory::in_process());
    let put = async |secret: &str, rotate: bool| {
        let mut editor = shared.edit(&memory).await.unwrap();
        let secret = keystore::ApiKey::parse(secret.as_bytes()).unwrap();
        editor.put(&vendor(), &secret, bounds.clone(), &attest_core::random::SystemRandom).unwrap();
        if rotate {
            editor.rotate(&vendor()).unwrap();
        }
        tokio::task::block_in_place(|| editor.commit(&memory)).unwrap();
    };
    shared.create(&memory).await.unwrap();
    put("the-shared-canary-0123456789", false).await;
    rig.gateway.reload().await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], "the-shared-canary-0123456789");
    put(NEXT, true).await;
    until_current(&rig, 2).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], NEXT);
    assert_eq!(rig.gateway.generation(), 2, "one reload, for the place of the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_with_their_uses_and_never_their_values() {
    let rig = rig().await;
    put_next(&rig);
    rig.until("both versions", async || told(&rig).await["versions"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    for _ in 0..3 {
        assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    }
    let key = told(&rig).await;
    assert_eq!(key["routes"], json!(["paid"]));
    let (current, next) = (&key["versions"][0], &key["versions"][1]);
    assert_eq!((&current["state"], &current["version"], &current["uses"]), (&json!("current"), &json!(1), &json!(3)));
    assert_eq!(current["hosts"], json!([format!("127.0.0.1:{}", rig.api.address.port())]));
    assert_eq!(current["fingerprint"].as_str().unwrap().len(), 16);
    assert!(current["last_use"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!((&next["state"], &next["uses"], &next["last_use"]), (&json!("next"), &json!(0), &Value::Null));
    let text = rig.admin("GET", "/keys").await.text();
    assert!(!text.contains(CANARY) && !text.contains(NEXT));
    // After a rotation each version keeps its own.
    rotate(&rig);
    until_current(&rig, 2).await;
    assert_eq!(paid(&rig, "/paid/v1/items").await, 200);
    let versions = told(&rig).await["versions"].clone();
    assert_eq!((&versions[0]["uses"], &versions[1]["uses"]), (&json!(3), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_to_a_401_is_passed_on() {
    let rig = rig().await;
    put_next(&rig);
    rig.until("both versions", async || told(&rig).await["versions"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    rig.api.accept(&[NEXT]);
    assert_eq!(paid(&rig, "/paid/v1/checked").await, 401);
    assert_eq!(rig.api.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_route_asks_for_it_a_401_tries_the_next_version_once_a_minute() {
    let rig = rig_with("    retry_unauthorized: true\n").await;
    rig.api.accept(&[NEXT]);
    assert_eq!(paid(&rig, "/paid/v1/checked").await, 401, "there is no next version");
    put_next(&rig);
    rig.until("both versions", async || told(&rig).await["versions"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    let before = rig.api.seen().len();
    let token = rig.issuer.token();
    let answer = rig.ask("POST", "paid.test", "/paid/v1/checked", &[("assay-token", &token)], b"played again").await;
    assert_eq!(answer.status, 200);
    let seen = rig.api.seen();
    let keys: Vec<_> = seen[before..].iter().map(|seen| seen.headers["x-api-key"].to_str().unwrap()).collect();
    assert_eq!(keys, [CANARY, NEXT]);
    assert!(seen[before..].iter().all(|seen| seen.body == b"played again"));
    let line = rig.logged(|line| line["method"] == "POST").await;
    assert_eq!((&line["key"]["version"], &line["attempt"]), (&json!(2), &json!(2)));
    // A client whose requests are refused for reasons of their own has none of the others sent twice.
    assert_eq!(paid(&rig, "/paid/v1/checked").await, 401);
    assert_eq!(rig.api.seen().len(), before + 3);
    assert!(rig.metric("assay_key_answers_total", &["version=\"1\"", "status=\"401\""]).await >= 3.0);
}
