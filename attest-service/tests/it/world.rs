//! A service on loopback with a folder and a clock of its own, and an HTTP client beside it.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use attest_core::{
    appraisal::EvidencePolicy,
    evidence_kind::{EvidenceKind, EvidenceKinds},
    measurement::Measurement,
    random::SystemRandom,
    reference::Platform,
    time::{FixedClock, UnixTime},
    token::{Algorithm, key_set::Concealment},
};
use attest_service::{Dependencies, ServiceHandle, ServiceSettings, StartError, registry::live_build, start::start};
use keystore::MasterKey;
use settings::{AppPlatform, AppSettings, ServeLimits, TokenClaims, TokenSettings};
use tempfile::TempDir;

pub const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
pub const MEASUREMENT: Measurement = Measurement::from_bytes([0x42; 32]);
pub const RETIRED: Measurement = Measurement::from_bytes([0x17; 32]);
pub const GATEWAY_TOKEN: &str = "a gateway token long enough";
pub const KEY_SET: &str = "default";

/// A folder with everything a service needs.
pub struct Folder(pub TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create_file(&folder.path().join("kek.key"), &SystemRandom).unwrap();
        std::fs::write(folder.path().join("gateway.token"), GATEWAY_TOKEN).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn state(&self) -> std::path::PathBuf {
        self.path().join("state")
    }

    pub fn settings(&self) -> ServiceSettings {
        let many = NonZeroU32::new(1_000_000).unwrap();
        let evidence = EvidencePolicy {
            require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            danger_affirm_measurement_alone: true,
            ..EvidencePolicy::default()
        };
        let sample = AppPlatform { evidence, ..AppPlatform::default() };
        ServiceSettings {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            gateway_beside: false,
            path: "/assay/v1".to_owned(),
            state_dir: self.state(),
            unlock: self.path().join("kek.key"),
            gateway_token_file: Some(self.path().join("gateway.token")),
            quantum: Duration::from_millis(1),
            challenge_life: Duration::from_secs(60),
            limits: ServeLimits { per_address_per_minute: many, concurrency: many, open_challenges: many },
            token: TokenSettings {
                key_set: KEY_SET.to_owned(),
                issuer: "https://attest.example".to_owned(),
                audience: "api.example".to_owned(),
                lifetime: Duration::from_secs(300),
                leeway: Duration::from_secs(30),
                algorithm: Algorithm::HS256,
                concealment: Concealment::Decoy,
                claims: TokenClaims { cnf: true, ..TokenClaims::default() },
            },
            apps: BTreeMap::from([(
                "sample".to_owned(),
                AppSettings { platforms: BTreeMap::from([(Platform::Linux, sample)]) },
            )]),
            explain: false,
        }
    }

    /// The same folder under a configuration file, loaded as every command loads it.
    pub fn loaded_settings(&self) -> settings::Settings {
        let file = self.path().join("assay.yaml");
        let text = "assay: 1
state: { dir: state }
keys: { store: keys.sealed, unlock: { file: kek.key } }
attestation:
  serve: { path: /assay/v1, address: 127.0.0.1:0, quantum: 1ms }
  token: { issuer: https://attest.example, audience: api.example }
  apps:
    sample:
      linux: { require: [measurement], danger_affirm_measurement_alone: true }
";
        std::fs::write(&file, text).unwrap();
        settings::load(&file, &settings::Overrides::default()).map_err(|report| report.to_string()).unwrap().settings
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
        let registry = world.handle.registry();
        let build = |version, measurement| live_build("sample", version, Platform::Linux, "", Some(measurement));
        registry.register_build(&build("1.0", MEASUREMENT), NOW).unwrap();
        if registry.register_build(&build("0.9", RETIRED), NOW).unwrap() != attest_service::Registered::Unchanged {
            registry.retire("sample", "0.9", None, NOW).unwrap();
        }
        world
    }

    pub async fn start(&self) -> World<'_> {
        self.start_with(self.settings()).await
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
        assert_eq!(self.headers["content-type"], "application/problem+json");
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
}
