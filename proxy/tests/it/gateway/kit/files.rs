//! The files that a gateway is started with.

use std::net::SocketAddr;
use std::path::Path;

use attest_core::random::SystemRandom;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};

use keystore::sealed::VersionState;

use super::{AUDIENCE, CANARY, ISSUER, Parts};

pub(super) fn configuration(parts: &Parts, api: SocketAddr) -> String {
    let Parts { upstreams, api: more, routes, token, state, top, public, remote, script: _, files: _ } = parts;
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
