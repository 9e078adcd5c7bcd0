//! What the tests of the gateway share: an issuer, an API that remembers what it saw, a client of raw bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::EvidenceKinds;
use attest_core::feed::{FeedKey, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Revoked, SecretBytes};
use attest_core::random::SystemRandom;
use attest_core::tier::Tier;
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};
use proxy::{Dependencies, FetchKeySets, Fetched, GatewayHandle, LoadError, LocalService};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ISSUER: &str = "https://test.example/assay";
pub(crate) const AUDIENCE: &str = "api.test";
/// The secret that must never be seen by a client.
pub(crate) const CANARY: &str = "canary-7f3a91c2e5-do-not-show";

/// Signs tokens and serves its key set.
pub(crate) struct Issuer {
    secret: [u8; 32],
    decoy: [u8; 32],
    verdict_key: [u8; 32],
    feed: FeedKey,
    /// Whether it can be asked for key sets.
    pub(crate) up: AtomicBool,
    pub(crate) revoked: Mutex<Vec<String>>,
    pub(crate) number: AtomicU32,
    tokens: AtomicU32,
}

/// How a token is to be.
pub(crate) struct Token {
    pub(crate) genuine: bool,
    pub(crate) audience: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) life: i64,
    pub(crate) device: [u8; 16],
}

impl Default for Token {
    fn default() -> Self {
        Self { genuine: true, audience: AUDIENCE, issuer: ISSUER, secret: None, life: 300, device: [7; 16] }
    }
}

impl Issuer {
    pub(crate) fn new() -> Arc<Self> {
        attest_core::install_crypto();
        Arc::new(Self {
            secret: [1; 32],
            decoy: [2; 32],
            verdict_key: [3; 32],
            feed: FeedKey::from_seed(&[4; 32]).unwrap(),
            up: AtomicBool::new(true),
            revoked: Mutex::default(),
            number: AtomicU32::new(1),
            tokens: AtomicU32::new(0),
        })
    }

    pub(crate) fn token(&self) -> String {
        self.issue(&Token::default())
    }

    pub(crate) fn issue(&self, token: &Token) -> String {
        let now = SystemClock.now();
        let issued = UnixTime::from_secs(now.secs() - if token.life > 0 { 0 } else { 3600 });
        let exp = UnixTime::from_secs(now.secs() + token.life);
        let mut jti = [0; 16];
        jti[..4].copy_from_slice(&self.tokens.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let context = AsvContext { iss: token.issuer, aud: token.audience, kid: "k1", iat: issued, exp };
        let block = AsvBlock {
            passed: token.genuine,
            tier: if token.genuine { Tier::Affirming } else { Tier::Contraindicated },
            kinds: EvidenceKinds::EMPTY,
            ..AsvBlock::default()
        };
        let asv = asv::seal(&VerdictKey::new(self.verdict_key), &jti_text(&jti), context, &block);
        let claims = TokenClaims {
            iss: token.issuer,
            aud: token.audience,
            iat: issued,
            exp,
            jti,
            did: DeviceId::from_bytes(token.device),
            asv: &asv,
            arc: "AAAAAAAAAAAAAAAAAAAAAAAAAA",
            app: Some("shop"),
            ver: Some("3.2.1"),
            pay: None,
            cnf_jkt: None,
            ip: None,
        };
        let secret = token.secret.unwrap_or(if token.genuine { self.secret } else { self.decoy });
        issue(&claims, &SigningKey::hmac("k1", Algorithm::HS256, &secret).unwrap()).unwrap()
    }

    fn document(&self) -> KeySetDocument {
        KeySetDocument {
            format: attest_core::feed::FORMAT.to_owned(),
            number: self.number.load(Ordering::SeqCst).into(),
            issued: SystemClock.now().secs(),
            key_sets: vec![KeySetEntry {
                name: "default".to_owned(),
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                concealment: "decoy".to_owned(),
                max_lifetime_secs: 600,
                verdict_key: SecretBytes::new(&self.verdict_key),
                keys: vec![KeyDocument {
                    kid: "k1".to_owned(),
                    alg: "HS256".to_owned(),
                    state: KeyState::Active,
                    secret: Some(SecretBytes::new(&self.secret)),
                    decoy: Some(SecretBytes::new(&self.decoy)),
                    public_jwk: None,
                }],
            }],
            revoked: Revoked { devices: self.revoked.lock().unwrap().clone(), kids: vec![] },
        }
    }
}

#[async_trait]
impl FetchKeySets for Issuer {
    async fn fetch(&self) -> Result<Fetched, String> {
        if !self.up.load(Ordering::SeqCst) {
            return Err("the service is away".to_owned());
        }
        let payload = self.document().to_payload().unwrap();
        Ok(Fetched { document: self.feed.sign(&payload), pinned: self.feed.public_key().unwrap() })
    }
}

/// One request as the API saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An API that remembers what it saw, and answers by path.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the API saw nothing")
    }
}

async fn answer(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default().to_vec();
    let key = parts.headers.get("x-api-key").cloned().unwrap_or(HeaderValue::from_static("none"));
    seen.lock().unwrap().push(Seen {
        method: parts.method.clone(),
        target: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body,
    });
    let path = parts.uri.path().rsplit('/').next().unwrap_or_default();
    match path {
        "echo" => {
            let body = format!("{:?}", parts.headers);
            ([("x-echo-key", key), ("server", HeaderValue::from_static("secret-server/1.0"))], body).into_response()
        }
        "split" => {
            // The key in pieces, each a chunk of its own.
            let text = format!("before {} after", key.to_str().unwrap());
            let pieces: Vec<_> = text
                .as_bytes()
                .chunks(5)
                .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)))
                .collect();
            Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(query.parse().unwrap_or(100))).await;
            "slow".into_response()
        }
        "large" => vec![b'x'; 64 << 20].into_response(),
        "sse" => {
            let events = futures_util::stream::unfold(0, |n| async move {
                if n == 4 {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(if n == 0 { 0 } else { 150 })).await;
                Some((Ok::<_, std::io::Error>(format!("data: {n}\n\n")), n + 1))
            });
            ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
        }
        "redirect" => (StatusCode::FOUND, [("location", query)]).into_response(),
        "gzip" => ([("content-encoding", "gzip")], "looks compressed").into_response(),
        "partial" => (StatusCode::PARTIAL_CONTENT, [("content-range", "bytes 0-3/10")], "part").into_response(),
        _ => "ok".into_response(),
    }
}

/// A listener that answers each connection's first head with these bytes and closes.
pub(crate) async fn scripted(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut piece = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match tcp.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => head.extend_from_slice(&piece[..n]),
                }
            }
            let _ = tcp.write_all(answer).await;
        }
    });
    address
}

/// A gateway with its files.
pub(crate) struct Rig {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) api: Api,
    pub(crate) gateway: GatewayHandle,
    pub(crate) folder: TempDir,
    log: Log,
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
    /// At the top: `our_faults:` and the like.
    pub(crate) top: &'static str,
    /// Of the public listener, beside its address: `, h2c: true`.
    pub(crate) public: &'static str,
    /// Instead of a service in this process.
    pub(crate) remote: Option<String>,
    /// The one answer of the API, instead of those by path; it then remembers nothing.
    pub(crate) script: Option<&'static [u8]>,
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
      - { call: "GET /v1/**" }
      - { call: "POST /v1/**", body: { limit: 1KiB } }
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
            Some(script) => Api { address: scripted(script).await, seen: Arc::default() },
            None => Api::start().await,
        };
        let folder = TempDir::new().unwrap();
        write_keys(folder.path(), api.address);
        for (name, content) in &parts.files {
            write_secret(&folder.path().join(name), content);
        }
        let path = folder.path().join("assay.yaml");
        std::fs::write(&path, configuration(&parts, api.address)).unwrap();
        let log = Log::default();
        let gateway = launch(&path, issuer.clone(), log.clone(), service).unwrap_or_else(|why| panic!("{why}"));
        Self { issuer, api, gateway, folder, log }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("assay.yaml")
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
    let overrides = settings::Overrides::default();
    let settings = settings::load(path, &overrides).map_err(|report| report.to_string())?.settings;
    let path = path.to_owned();
    let dependencies = Dependencies {
        clock: Arc::new(SystemClock),
        reload: Arc::new(move || {
            settings::load(&path, &settings::Overrides::default())
                .map(|loaded| loaded.settings)
                .map_err(|report| LoadError { report: report.to_string(), sources: report.sources })
        }),
        local_service: Some(LocalService {
            address: service,
            internal_secret: HeaderValue::from_static("internal-secret"),
            key_sets: issuer,
        }),
        access_log: Some(Box::new(log)),
    };
    proxy::start(settings, dependencies).map_err(|why| why.to_string())
}

pub(crate) fn configuration(parts: &Parts, api: SocketAddr) -> String {
    let Parts { upstreams, api: more, routes, top, public, remote, script: _, files: _ } = parts;
    let serve = "serve: { host: attest.test, path: /assay/v1, unlock: { file: service.key } }".to_owned();
    let source = remote.as_ref().unwrap_or(&serve);
    // Where the service runs elsewhere, so do its apps.
    let apps = if remote.is_some() { "" } else { "apps: { shop: { linux: { require: [measurement] } } }" };
    let text = format!(
        r#"assay: 1
listeners:
  public: {{ address: 127.0.0.1:0{public} }}
  probe: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
state: {{ dir: state }}
attestation:
  {source}
  token: {{ issuer: "{ISSUER}", audience: {AUDIENCE} }}
  {apps}
keys:
  store: keys.sealed
  unlock: {{ file: kek.key }}
{top}
upstreams:
  api: {{ url: "http://127.0.0.1:PORT", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8]{more} }}
{upstreams}
routes:{routes}
"#
    );
    text.replace("PORT", &api.port().to_string())
}

fn write_secret(path: &Path, content: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(content).unwrap();
}

fn write_keys(folder: &Path, api: SocketAddr) {
    let random = SystemRandom;
    MasterKey::create_file(&folder.join("service.key"), &random).unwrap();
    let kek = MasterKey::create_file(&folder.join("kek.key"), &random).unwrap();
    let bounds = BoundsText {
        schemes: vec!["http".to_owned()],
        hosts: vec![format!("127.0.0.1:{}", api.port())],
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        paths: vec!["/v1/**".to_owned()],
        recipe: keystore::bounds::RecipeText::Header { name: "x-api-key".to_owned(), template: "{key}".to_owned() },
        trust: "public".to_owned(),
    };
    let memory = GenerationMemory::in_process();
    let store = folder.join("keys.sealed");
    Keystore::create(&store, &kek, &memory, &random).unwrap();
    let mut editor = Keystore::edit(&store, &kek, &memory).unwrap();
    let (name, secret) = (KeyName::parse("vendor").unwrap(), ApiKey::parse(CANARY.as_bytes()).unwrap());
    editor.put(&name, &secret, Bounds::parse(&bounds).unwrap(), &random).unwrap();
    editor.commit(&memory).unwrap();
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

/// One response, dechunked.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }
}

/// Sends bytes and reads to the end of the connection.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer: {}", String::from_utf8_lossy(&answer));
    parse(&answer)
}

pub(crate) fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(answer)));
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    if status == 100 {
        return parse(&answer[end + 4..]);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    let rest = &answer[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let length = headers.get("content-length").map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    let (body, whole) = if chunked { dechunked(rest) } else { (rest.to_vec(), length.is_none_or(|n| n == rest.len())) };
    Answer { status, headers, body, whole }
}

fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|end| end == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else { return (body, false) };
        body.extend_from_slice(chunk);
        let Some(next) = rest.get(line + 4 + size..) else { return (body, false) };
        rest = next;
    }
}
