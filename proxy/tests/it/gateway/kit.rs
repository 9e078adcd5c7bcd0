//! What the tests of the gateway share: an issuer, an API that remembers what it saw, a client of raw bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderValue;
use keystore::MasterKey;
use proxy::{Dependencies, GatewayHandle, LoadError, LocalService};
use tempfile::TempDir;

mod api;
mod clock;
mod files;
mod issuer;
mod remote;
pub(crate) mod tls_api;
mod wire;

pub(crate) use api::{Api, closes_under_the_second, scripted};
pub(crate) use clock::MovedClock;
pub(crate) use files::{MoreKey, edit_keys, seal};
pub(crate) use issuer::{Issuer, Token};
pub(crate) use remote::elsewhere;
pub(crate) use wire::{Answer, Kept, parse, raw};

pub(crate) const ISSUER: &str = "https://test.example/assay";
pub(crate) const AUDIENCE: &str = "api.test";
/// The secret that must never be seen by a client.
pub(crate) const CANARY: &str = "canary-7f3a91c2e5-do-not-show";

/// A gateway with its files.
pub(crate) struct Rig {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) api: Api,
    pub(crate) gateway: GatewayHandle,
    pub(crate) folder: TempDir,
    pub(crate) loads: Loads,
    log: Log,
}

/// Reloads of a gateway: how many were begun, and what each waits for while a test holds it.
#[derive(Clone, Default)]
pub(crate) struct Loads(Arc<(AtomicUsize, tokio::sync::Mutex<()>)>);

impl Loads {
    /// None gets further than its beginning until what this gives is dropped.
    pub(crate) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.1.lock().await
    }

    pub(crate) fn begun(&self) -> usize {
        self.0.0.load(Ordering::Acquire)
    }

    fn pass(&self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
        drop(self.0.1.blocking_lock());
    }
}

/// What stands in a configuration beside what every test needs.
#[derive(Default)]
pub(crate) struct Parts {
    /// Under `upstreams:`, beside `api`; `PORT` becomes the recording API's port.
    pub(crate) upstreams: String,
    /// Of the upstream `api`, beside its URL: `, concurrency: 2`.
    pub(crate) api: &'static str,
    /// Under `routes:`.
    pub(crate) routes: String,
    /// Of our own tokens, beside issuer and audience: `, concealment: sealed`.
    pub(crate) token: &'static str,
    /// Under `state:`, beside its folder: `, shared: { … }`.
    pub(crate) state: String,
    /// At the top: `our_faults:` and the like.
    pub(crate) top: &'static str,
    /// Of the public listener, beside its address: `, h2c: true`.
    pub(crate) public: &'static str,
    /// Instead of a service in this process.
    pub(crate) remote: Option<String>,
    /// The one answer of the API, instead of those by path; it then remembers nothing.
    pub(crate) script: Option<&'static [u8]>,
    /// Keys beside the canary.
    pub(crate) keys: Vec<MoreKey>,
    /// Secret files beside the configuration.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// A route without a key: attested, and everybody on `/open/**`.
pub(crate) const OWN_ROUTE: &str = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: api
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
        - { name: open, when: { verdict: any, path: "/open/**" }, then: deprioritize }
"#;

/// A route with the canary key: `/paid/v1/**` becomes `/v1/**`.
pub(crate) const KEY_ROUTE: &str = r#"
  paid:
    match: { host: paid.test, path: "/paid/**" }
    rewrite: { strip: /paid }
    upstream: api
    key: vendor
    token: { from: [Assay-Token, bearer] }
    operations:
      - { call: "GET /v1/**", query: any }
      - { call: "POST /v1/**", query: any, body: { limit: 1KiB } }
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
"#;

impl Rig {
    pub(crate) async fn start(parts: Parts) -> Self {
        Self::start_with(Issuer::new(), parts, |_| {}).await
    }

    /// The same, with an issuer that `before` has done something to.
    pub(crate) async fn start_with(issuer: Arc<Issuer>, parts: Parts, before: impl Fn(&Issuer)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        before(&issuer);
        Self::build(issuer, "127.0.0.1:9".parse().unwrap(), parts).await
    }

    /// With an attestation service at this address.
    pub(crate) async fn start_serving(service: SocketAddr, parts: Parts) -> Self {
        Self::build(Issuer::new(), service, parts).await
    }

    async fn build(issuer: Arc<Issuer>, service: SocketAddr, parts: Parts) -> Self {
        let api = match parts.script {
            Some(script) => Api { address: scripted(script).await, seen: Arc::default(), accepted: Arc::default() },
            None => Api::start().await,
        };
        let folder = TempDir::new().unwrap();
        files::write_keys(folder.path(), api.address);
        for key in &parts.keys {
            seal(folder.path(), key, api.address);
        }
        for (name, content) in &parts.files {
            files::write_secret(&folder.path().join(name), content);
        }
        let path = folder.path().join("assay.yaml");
        std::fs::write(&path, files::configuration(&parts, api.address)).unwrap();
        let log = Log::default();
        let loads = Loads::default();
        let gateway = launch_with(&path, issuer.clone(), log.clone(), service, loads.clone());
        let gateway = gateway.unwrap_or_else(|why| panic!("{why}"));
        Self { issuer, api, gateway, folder, loads, log }
    }

    /// Stops the gateway and starts another one with the same folder.
    pub(crate) fn restart(self) -> Self {
        self.restart_after(|_| {})
    }

    /// The same, with something done to the folder while no gateway runs.
    pub(crate) fn restart_after(self, between: impl FnOnce(&Path)) -> Self {
        let Self { issuer, api, gateway, folder, loads, log } = self;
        drop(gateway);
        between(folder.path());
        let path = folder.path().join("assay.yaml");
        let service = "127.0.0.1:9".parse().unwrap();
        let gateway = launch_with(&path, issuer.clone(), log.clone(), service, loads.clone());
        let gateway = gateway.unwrap_or_else(|why| panic!("{why}"));
        Self { issuer, api, gateway, folder, loads, log }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("assay.yaml")
    }

    /// Puts another secret in the place of the canary.
    pub(crate) fn rotate_key(&self, secret: &str) {
        let kek = MasterKey::from_file(&self.folder.path().join("kek.key")).unwrap();
        files::put_key(self.folder.path(), &kek, secret, self.api.address);
    }

    /// Rewrites the configuration with what `edit` makes of it.
    pub(crate) fn edit(&self, edit: impl Fn(&str) -> String) {
        let text = std::fs::read_to_string(self.path()).unwrap();
        let edited = edit(&text);
        assert_ne!(text, edited, "the edit changed nothing");
        std::fs::write(self.path(), edited).unwrap();
    }

    pub(crate) async fn get(&self, host: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", host, target, headers, b"").await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes).await
    }

    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        raw(self.gateway.public(), bytes).await
    }

    /// Waits until it holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !holds().await {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The newest log line for which `wanted` holds, once it is there.
    pub(crate) async fn logged(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        for _ in 0..200 {
            if let Some(line) = self.lines().into_iter().rev().find(&wanted) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no such line among {:#?}", self.lines());
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.log
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
            .collect()
    }

    pub(crate) fn log_text(&self) -> String {
        self.log.text()
    }

    pub(crate) async fn admin(&self, method: &str, path: &str) -> Answer {
        let address = self.gateway.admin().unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        raw(address, head.as_bytes()).await
    }

    /// The value of a metric with all these labels; 0 where it was never counted.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("GET", "/metrics").await.text();
        let line = text.lines().find(|line| {
            line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label))
        });
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }
}

pub(crate) fn launch(path: &Path, issuer: Arc<Issuer>, log: Log, service: SocketAddr) -> Result<GatewayHandle, String> {
    launch_with(path, issuer, log, service, Loads::default())
}

fn launch_with(
    path: &Path,
    issuer: Arc<Issuer>,
    log: Log,
    service: SocketAddr,
    loads: Loads,
) -> Result<GatewayHandle, String> {
    let overrides = settings::Overrides::default();
    let (settings, from_last_good) = match settings::load(path, &overrides) {
        Ok(loaded) => (loaded.settings, None),
        Err(report) => {
            let told = report.to_string();
            let report = LoadError { report: told.clone(), sources: report.sources };
            let (settings, from) = proxy::instead(path, &overrides, report).ok_or(told)?;
            (settings, Some(from))
        }
    };
    let path = path.to_owned();
    let dependencies = Dependencies {
        clock: issuer.clock.clone(),
        reload: Arc::new(move || {
            loads.pass();
            settings::load(&path, &settings::Overrides::default())
                .map(|loaded| loaded.settings)
                .map_err(|report| LoadError { report: report.to_string(), sources: report.sources })
        }),
        taken: Arc::new(|_| {}),
        from_last_good,
        local_service: Some(LocalService {
            address: service,
            internal_secret: HeaderValue::from_static("internal-secret"),
            key_sets: issuer.clone(),
            revocations: issuer,
            metrics: Arc::new(|| Some("# TYPE assay_challenges counter\nassay_challenges_total 7\n# EOF\n".to_owned())),
        }),
        access_log: Some(Box::new(log)),
    };
    proxy::start(settings, dependencies).map_err(|why| why.to_string())
}

/// A log that can be read back.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
