//! The API on loopback, with a state, a clock and tokens of its own.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use attest_admin::{AdminParts, Known, router};
use attest_core::{
    feed::GatewayFacts,
    random::SystemRandom,
    reference::Platform,
    time::{Clock, FixedClock, UnixTime},
};
use attest_store::{Actor, Database, Opening, Role, Store};
use keystore::MasterKey;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use settings::{Algorithm, AppPlatform, AppSettings, Concealment, TokenClaims, TokenSettings};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
pub(crate) const DEVICE: &str = "AAECAwQFBgcICQoLDA0ODw";
pub(crate) const MEASUREMENT: &str = "sha256:4242424242424242424242424242424242424242424242424242424242424242";

/// A running API.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) viewer: String,
    pub(crate) operator: String,
    pub(crate) admin: String,
    /// An operator who is limited to the app `shop`.
    pub(crate) shop: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    /// The code of a problem; that it is one in form, too.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], self.status.as_u16());
        self.body["code"].as_str().unwrap()
    }

    /// Code and member at fault.
    pub(crate) fn at(&self) -> (&str, &str) {
        (self.code(), self.body["field"].as_str().unwrap_or_default())
    }
}

pub(crate) fn token_settings() -> TokenSettings {
    TokenSettings {
        key_set: "default".to_owned(),
        issuer: "https://attest.example".to_owned(),
        audience: "api.example".to_owned(),
        lifetime: Duration::from_secs(300),
        leeway: Duration::from_secs(30),
        algorithm: Algorithm::HS256,
        concealment: Concealment::Decoy,
        claims: TokenClaims::default(),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        attest_core::install_crypto();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let kek = folder.path().join("kek.key");
        MasterKey::create_file(&kek, &SystemRandom).unwrap();
        let clock = Arc::new(FixedClock::new(NOW));
        let store = Store::open(Opening {
            database: Database::sqlite(&folder.path().join("state")),
            master: MasterKey::from_file(&kek).unwrap(),
            master_path: kek,
            token: &token_settings(),
            keys_stale: Duration::from_secs(86_400),
            random: Arc::new(SystemRandom),
            clock: clock.clone(),
            writer: "service@test".to_owned(),
        })
        .unwrap();
        let token = |name: &str, role, apps: Option<&str>| {
            let apps = apps.map(|app| vec![app.to_owned()]);
            let until = NOW.plus(Duration::from_secs(86_400));
            store.create_token(&Actor::local("test"), name, role, apps, until).unwrap().text.as_str().to_owned()
        };
        let (viewer, operator) = (token("vera", Role::Viewer, None), token("otto", Role::Operator, None));
        let (admin, shop) = (token("anna", Role::Admin, None), token("shop", Role::Operator, Some("shop")));
        let base = serve(&store, &clock).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { _folder: folder, store, clock, base, http, viewer, operator, admin, shop }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let url = format!("{}/admin/v1{path}", self.base);
        let mut request = self.http.request(method, url).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let etag = headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        Reply { status, etag, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(Method::GET, path, token, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.send(Method::POST, path, token, &[], Some(&body.to_string())).await
    }

    /// An edit of what has this `ETag`; `*` for what is not there yet.
    pub(crate) async fn put(&self, path: &str, token: &str, tag: &str, body: Value) -> Reply {
        let header = if tag == "*" { ("if-none-match", tag) } else { ("if-match", tag) };
        self.send(Method::PUT, path, token, &[header], Some(&body.to_string())).await
    }

    /// A gateway of this name tells of itself.
    pub(crate) fn report(&self, name: &str) {
        let live = self.store.live().unwrap();
        let facts = GatewayFacts {
            name: name.to_owned(),
            version: "0.4.0".to_owned(),
            configuration: "a1".to_owned(),
            reload_ok: true,
            routes: vec!["paid".to_owned()],
            ..GatewayFacts::default()
        };
        live.gateway(facts, self.clock.now());
        live.close();
    }

    /// A build of `app`, registered.
    pub(crate) async fn register(&self, app: &str, version: &str) -> Reply {
        let build =
            serde_json::json!({ "app": app, "platform": "linux", "version": version, "measurement": MEASUREMENT });
        let reply = self.post("/builds", &self.operator, build).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    }
}

pub(crate) fn known() -> Known {
    let app = || AppSettings { platforms: BTreeMap::from([(Platform::Linux, AppPlatform::default())]) };
    let android =
        AppPlatform { id: Some("com.example.bank".to_owned()), signers: vec![[0x11; 32]], ..AppPlatform::default() };
    let bank = AppSettings {
        platforms: BTreeMap::from([(Platform::Linux, AppPlatform::default()), (Platform::Android, android)]),
    };
    Known {
        apps: BTreeMap::from([("shop".to_owned(), app()), ("bank".to_owned(), bank)]),
        key_set: "default".to_owned(),
        keys_stale: Duration::from_secs(86_400),
    }
}

async fn serve(store: &Store, clock: &Arc<FixedClock>) -> String {
    let router = router(AdminParts { store: store.clone(), known: known(), clock: clock.clone() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    format!("http://{address}")
}
