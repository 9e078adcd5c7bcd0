//! A service on loopback with a folder and a clock of its own, and an HTTP client beside it.

use std::{num::NonZeroU32, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use attest_core::{
    appraisal::DeviceState,
    device_key::DeviceId,
    measurement::Measurement,
    random::SystemRandom,
    reference::{PackageFacts, Platform},
    time::{FixedClock, UnixTime},
};
use attest_service::{Dependencies, ServiceHandle, ServiceSettings, StartError, start::start};
use attest_store::{Actor, Registration, Store};
use keystore::MasterKey;
use tempfile::TempDir;

pub const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
pub const MEASUREMENT: Measurement = Measurement::from_bytes([0x42; 32]);
pub const RETIRED: Measurement = Measurement::from_bytes([0x17; 32]);
pub const GATEWAY_TOKEN: &str = "a-gateway-token-of-32-bytes-and-more";
pub const KEY_SET: &str = "default";

/// A folder with everything a service needs.
pub struct Folder(pub TempDir);

/// What a test says in the configuration; the rest is as most tests want it.
pub struct Config {
    /// Under `state:`, after the folder.
    pub state: String,
    /// Under `attestation.serve:`.
    pub serve: String,
    /// Under `attestation.token:`.
    pub token: String,
    /// Under `attestation.apps.sample:`.
    pub sample: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: String::new(),
            serve: String::new(),
            token: String::new(),
            sample: "linux: { require: [measurement], danger_affirm_measurement_alone: true }".to_owned(),
        }
    }
}

impl Folder {
    pub fn new() -> Self {
        // Without a global subscriber, a log line that a test without one comes to first is switched off for those
        // which look for it. (It fails where there is one already, which is as good.)
        let nowhere = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        let _ = tracing::subscriber::set_global_default(nowhere);
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create_file(&folder.path().join("kek.key"), &SystemRandom).unwrap();
        let token = folder.path().join("gateway.token");
        std::fs::write(&token, GATEWAY_TOKEN).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn state(&self) -> std::path::PathBuf {
        self.path().join("state")
    }

    pub fn settings(&self) -> ServiceSettings {
        self.settings_of(&Config::default())
    }

    /// The service's settings under a configuration file, loaded as every command loads it; limits out of the way.
    pub fn settings_of(&self, config: &Config) -> ServiceSettings {
        Self::settings_at(self.path(), config)
    }

    /// The settings of a folder that somebody else owns.
    pub fn settings_in(folder: &Path) -> ServiceSettings {
        Self::settings_at(folder, &Config::default())
    }

    fn settings_at(folder: &Path, config: &Config) -> ServiceSettings {
        let Config { state, serve, token, sample } = config;
        let text = format!(
            "assay: 1
state: {{ dir: state, {state} }}
keys: {{ store: keys.sealed, unlock: {{ file: kek.key }} }}
attestation:
  serve: {{ path: /assay/v1, address: 127.0.0.1:0, quantum: 1ms, gateway_token_file: gateway.token, {serve} }}
  token: {{ issuer: https://attest.example, audience: api.example, claims: {{ cnf: true }}, {token} }}
  apps:
    sample:
      {sample}
"
        );
        let file = folder.join("assay.yaml");
        std::fs::write(&file, &text).unwrap();
        let loaded = settings::load(&file, &settings::Overrides::default());
        let loaded = loaded.unwrap_or_else(|report| panic!("{report}\n{text}")).settings;
        let mut settings = ServiceSettings::of(&loaded, false).unwrap();
        let many = NonZeroU32::new(1_000_000).unwrap();
        settings.limits.per_address_per_minute = many;
        settings.limits.concurrency = many;
        settings.limits.open_challenges = many;
        settings
    }

    pub async fn try_start(&self, settings: ServiceSettings) -> Result<World<'_>, StartError> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(FixedClock::new(NOW));
        let dependencies = Dependencies { clock: clock.clone(), random: Arc::new(SystemRandom) };
        let handle = start(settings, dependencies).await?;
        let client = reqwest::Client::builder().pool_max_idle_per_host(64).build().unwrap();
        Ok(World { folder: self, handle, clock, client })
    }

    /// A running service with `sample` 1.0 live and 0.9 retired.
    pub async fn start_with(&self, settings: ServiceSettings) -> World<'_> {
        let world = self.try_start(settings).await.unwrap();
        world
            .store(|store| {
                store.register(&actor(), &sample("1.0", MEASUREMENT)).unwrap();
                let builds =
                    store.builds(&attest_store::BuildFilter::default(), attest_store::Page::default()).unwrap();
                if !builds.rows.iter().any(|row| row.build.version == "0.9") {
                    store.register(&actor(), &sample("0.9", RETIRED)).unwrap();
                    store.retire(&actor(), "sample", "0.9", None, None).unwrap();
                }
            })
            .await;
        world
    }

    pub async fn start(&self) -> World<'_> {
        self.start_with(self.settings()).await
    }
}

/// Whoever may do everything.
pub fn actor() -> Actor {
    Actor::local("test")
}

/// A build of `sample` for Linux.
pub fn sample(version: &str, measurement: Measurement) -> Registration {
    Registration {
        app: "sample".to_owned(),
        platform: Platform::Linux,
        version: version.to_owned(),
        label: String::new(),
        measurement: Some(measurement),
        package: PackageFacts::default(),
        libraries: Vec::new(),
    }
}

/// A running service.
pub struct World<'a> {
    pub folder: &'a Folder,
    pub handle: ServiceHandle,
    pub clock: Arc<FixedClock>,
    pub client: reqwest::Client,
}

/// What came back, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", String::from_utf8_lossy(&self.body));
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()["token"].as_str().unwrap().to_owned()
    }
}

impl World<'_> {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/assay/v1{path}", self.handle.address())
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        Reply::of(self.client.post(self.url(path)).body(body).send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    /// A request as the gateway in the same process forwards it for a client at `address`.
    pub async fn post_for(&self, address: &str, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self
            .client
            .post(self.url(path))
            .header("assay-internal", self.handle.internal_secret())
            .header("assay-client-address", address);
        Reply::of(request.body(body).send().await.unwrap()).await
    }

    pub async fn challenge(&self) -> Vec<u8> {
        let reply = self.post("/challenge", "{}").await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        attest_core::b64u::decode(reply.json()["challenge"].as_str().unwrap().as_bytes(), 100).unwrap()
    }

    /// Does something with the durable state, where blocking is allowed; what it changed holds when this returns.
    pub async fn store<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> T + Send + 'static) -> T {
        let store = self.handle.store().clone();
        tokio::task::spawn_blocking(move || work(&store)).await.unwrap()
    }

    pub async fn mark(&self, device: DeviceId, state: DeviceState, until: Option<UnixTime>) {
        self.store(move |store| store.mark(&actor(), &device, state, until, "a test", None).unwrap()).await;
    }

    /// Waits until `holds`, which changes without a request: by the poll of another's change, a batch, a reconnection.
    pub async fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = tokio::time::Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: not in time\n{}", self.handle.metrics_text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
