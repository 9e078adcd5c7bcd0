//! The files that a gateway is started with.

use std::net::SocketAddr;
use std::path::Path;

use attest_core::random::SystemRandom;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};

use keystore::sealed::VersionState;

use super::{AUDIENCE, CANARY, ISSUER, Parts};

pub(super) fn configuration(parts: &Parts, api: SocketAddr) -> String {
    let Parts { upstreams, api: more, routes, token, state, top, public, remote, script: _, files: _, keys: _ } = parts;
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
state: {{ dir: state{state} }}
attestation:
  {source}
  token: {{ issuer: "{ISSUER}", audience: {AUDIENCE}{token} }}
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

pub(super) fn write_secret(path: &Path, content: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(content).unwrap();
}

pub(super) fn write_keys(folder: &Path, api: SocketAddr) {
    let random = SystemRandom;
    MasterKey::create_file(&folder.join("service.key"), &random).unwrap();
    let kek = MasterKey::create_file(&folder.join("kek.key"), &random).unwrap();
    let store = folder.join("keys.sealed");
    Keystore::create(&store, &kek, &GenerationMemory::in_process(), &random).unwrap();
    put_key(folder, &kek, CANARY, api);
}

/// A key beside the canary, with what an API wants it like.
pub(crate) struct MoreKey {
    pub(crate) name: &'static str,
    pub(crate) secret: Vec<u8>,
    /// `PORT` in it becomes the recording API's port.
    pub(crate) recipe: serde_json::Value,
    /// `https://host:port` and the hash of the roots, where it is not for the recording API.
    pub(crate) elsewhere: Option<(String, String)>,
}

/// Seals it; under the name of one that is there, it is the next version.
pub(crate) fn seal(folder: &Path, key: &MoreKey, api: SocketAddr) -> VersionState {
    let kek = MasterKey::from_file(&folder.join("kek.key")).unwrap();
    let recipe = key.recipe.to_string().replace("PORT", &api.port().to_string());
    let (scheme, host, trust) = match &key.elsewhere {
        Some((url, trust)) => {
            let (scheme, host) = url.split_once("://").unwrap();
            (scheme.to_owned(), host.to_owned(), trust.clone())
        }
        None => ("http".to_owned(), format!("127.0.0.1:{}", api.port()), "public".to_owned()),
    };
    let bounds = BoundsText {
        schemes: vec![scheme],
        hosts: vec![host],
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        paths: vec!["/v1/**".to_owned()],
        recipe: serde_json::from_str(&recipe).unwrap(),
        trust,
    };
    let memory = GenerationMemory::in_process();
    let mut editor = Keystore::edit(&folder.join("keys.sealed"), &kek, &memory).unwrap();
    let (name, secret) = (KeyName::parse(key.name).unwrap(), ApiKey::parse(&key.secret).unwrap());
    let put = editor.put(&name, &secret, Bounds::parse(&bounds).unwrap(), &SystemRandom).unwrap();
    editor.commit(&memory).unwrap();
    put.state
}

/// Makes a change of the store, as the commands do.
pub(crate) fn edit_keys(folder: &Path, change: impl FnOnce(&mut keystore::Editor)) {
    let kek = MasterKey::from_file(&folder.join("kek.key")).unwrap();
    let memory = GenerationMemory::in_process();
    let mut editor = Keystore::edit(&folder.join("keys.sealed"), &kek, &memory).unwrap();
    change(&mut editor);
    editor.commit(&memory).unwrap();
}

/// Seals a key; under the name of the one that is there, it takes its place.
pub(super) fn put_key(folder: &Path, kek: &MasterKey, secret: &str, api: SocketAddr) {
    let bounds = BoundsText {
        schemes: vec!["http".to_owned()],
        hosts: vec![format!("127.0.0.1:{}", api.port())],
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        paths: vec!["/v1/**".to_owned()],
        recipe: keystore::bounds::RecipeText::Header { name: "x-api-key".to_owned(), template: "{key}".to_owned() },
        trust: "public".to_owned(),
    };
    let memory = GenerationMemory::in_process();
    let mut editor = Keystore::edit(&folder.join("keys.sealed"), kek, &memory).unwrap();
    let (name, secret) = (KeyName::parse("vendor").unwrap(), ApiKey::parse(secret.as_bytes()).unwrap());
    let put = editor.put(&name, &secret, Bounds::parse(&bounds).unwrap(), &SystemRandom).unwrap();
    if put.state == VersionState::Next {
        editor.rotate(&name).unwrap();
    }
    editor.commit(&memory).unwrap();
}
