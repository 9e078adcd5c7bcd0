//! A folder with a configuration that is good, to be changed in one place by each test.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use settings::{Loaded, Overrides, Report, Settings, Severity, load};
use tempfile::TempDir;

/// Uses every section; each refusal test changes one thing in it.
pub(crate) const GOOD: &str = r#"assay: 1
listeners:
  public:
    address: 127.0.0.1:8443
    tls: { certificate: tls/cert.pem, key: tls/key.pem }
    trusted_proxies: [10.1.0.0/16]
    limits: { connections: 1000, head: 16KiB, head_timeout: 5s }
  probe: { address: 0.0.0.0:8081 }
  admin: { address: 127.0.0.1:9901, token_file: secrets/admin.token }
state: { dir: state }
attestation:
  serve: { host: api.example.com, path: /assay/v1, address: 127.0.0.1:8082 }
  token: { issuer: https://api.example.com/assay, audience: api.example.com, lifetime: 5m }
  apps:
    shop:
      linux: { require: [measurement] }
issuers:
  moving:
    profile: approov
    keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 }
    max_lifetime: 1h
keys:
  store: secrets/keys.sealed
  unlock: { file: secrets/kek.key }
our_faults:
  cannot_verify: deprioritize
  service_down: { accept_expired: 30m }
  key_sets: { refuse_after: 12h }
upstreams:
  shop:
    url: https://10.0.4.7:8443
    private_addresses: [10.0.4.0/24]
    concurrency: 100
    timeouts: { connect: 1s, read: 10s, idle: 30s }
  openai: { url: https://api.openai.com }
routes:
  shop-api:
    match: { host: api.example.com, path: "/**" }
    upstream: shop
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
  old-shop:
    match: { host: api.example.com, path: "/old/**" }
    upstream: shop
    token: { issuer: moving, bind: [Authorization] }
    policy: policies/old.yaml
  chat:
    match: { host: api.example.com, path: "/openai/**" }
    rewrite: { strip: /openai }
    upstream: openai
    key: openai
    ceilings: { device: { requests: 60/1h }, key: { requests: 10000/1d } }
    token: { from: [Assay-Token, bearer] }
    operations:
      - call: POST /v1/chat/completions
        body: { limit: 256KiB }
    policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }
log: { access: stderr, level: warn }
"#;

/// What must never be printed.
pub(crate) const SECRETS: [&str; 2] =
    ["c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==", "admin-token-admin-token-admin-token"];

pub(crate) struct Folder(TempDir);

impl Folder {
    /// The files that [`GOOD`] names.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["tls", "secrets", "policies"] {
            fs::create_dir(folder.path(name)).unwrap();
        }
        let made = rcgen::generate_simple_self_signed(vec!["api.example.com".to_owned()]).unwrap();
        folder.write("tls/cert.pem", made.cert.pem(), 0o644);
        folder.write("tls/key.pem", made.signing_key.serialize_pem(), 0o600);
        folder.write("secrets/approov.secret", format!("{}\n", SECRETS[0]), 0o600);
        folder.write("secrets/admin.token", format!("{}\n", SECRETS[1]), 0o600);
        folder.write("secrets/kek.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0o600);
        folder.write("secrets/keys.sealed", "not opened by the loader", 0o600);
        folder.write(
            "policies/old.yaml",
            "default: block\nrules:\n  - { name: genuine, when: { verdict: attested }, then: allow }\n",
            0o644,
        );
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    pub(crate) fn load(&self, text: impl AsRef<[u8]>) -> Result<Loaded, Report> {
        self.load_with(text, &Overrides::default())
    }

    pub(crate) fn load_with(&self, text: impl AsRef<[u8]>, overrides: &Overrides) -> Result<Loaded, Report> {
        self.write("assay.yaml", text, 0o644);
        load(&self.path("assay.yaml"), overrides)
    }

    /// Expects exactly one error, with this code and a remedy that says this; gives the report as it is printed.
    #[track_caller]
    pub(crate) fn refuses(&self, text: impl AsRef<str>, code: &str, remedy: &str) -> String {
        let text = text.as_ref();
        let report = self.load(text).err().unwrap_or_else(|| panic!("taken: {text}"));
        let errors: Vec<_> = report.problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "one error:\n{report}");
        assert_eq!(errors[0].code, code, "{report}");
        assert!(
            errors[0].hint.as_deref().unwrap_or_default().contains(remedy),
            "the remedy says {remedy:?}:\n{report}"
        );
        report.to_string()
    }

    /// The settings and the codes of the warnings.
    #[track_caller]
    pub(crate) fn takes(&self, text: impl AsRef<str>) -> (Settings, Vec<&'static str>) {
        let loaded = self.load(text.as_ref()).unwrap_or_else(|report| panic!("{report}"));
        let warnings = loaded.warnings.iter().filter(|warning| warning.severity == Severity::Warning);
        let codes = warnings.map(|warning| warning.code).collect();
        (loaded.settings, codes)
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }
}

/// [`GOOD`] with one text replaced, which has to be there exactly once.
pub(crate) fn with(old: &str, new: &str) -> String {
    assert_eq!(GOOD.matches(old).count(), 1, "{old:?} stands once in GOOD");
    GOOD.replace(old, new)
}
