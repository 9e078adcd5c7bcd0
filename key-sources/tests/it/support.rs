//! Settings, a machine around them, and a store in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attest_core::random::SystemRandom;
use attest_core::time::{FixedClock, UnixTime};
use key_sources::{Around, KeySource};
use keystore::bounds::RecipeText;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName};
use outbound::Dialer;
use settings::{KeyServer, KeyStorePlace, KeysSettings, Scheme, Unlock};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// 30 August 2015, 12:36:00 UTC: the moment of AWS's own examples.
pub(crate) const NOW: i64 = 1_440_938_160;

/// A machine that has stood still at [`NOW`], with no variable set.
pub(crate) fn around() -> Around {
    Around {
        clock: Arc::new(FixedClock::new(UnixTime::from_secs(NOW))),
        random: Arc::new(SystemRandom),
        variable: |_| None,
        dialer: Dialer::system(),
    }
}

/// The same with variables. `fn` pointers carry nothing, so what is set is set for all tests.
pub(crate) fn around_with_variables() -> Around {
    Around { variable: |name| variables().get(name).map(|value| Zeroizing::new((*value).to_owned())), ..around() }
}

fn variables() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("ASSAY_KEK", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("ASSAY_NO_KEK", "a value that is no key and is not to be shown"),
        ("CREDENTIALS_DIRECTORY", env!("CARGO_TARGET_TMPDIR")),
        ("AWS_ACCESS_KEY_ID", crate::kms::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", crate::kms::SECRET_KEY),
        ("AWS_SESSION_TOKEN", crate::kms::SESSION_TOKEN),
    ])
}

/// A folder with secrets in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn private(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        private(&self.path(name), text);
        self.path(name)
    }

    /// A store in a file of this folder.
    pub(crate) fn settings(&self, unlock: Unlock) -> KeysSettings {
        self.settings_at(KeyStorePlace::File(self.path("keys.sealed")), unlock)
    }

    pub(crate) fn settings_at(&self, store: KeyStorePlace, unlock: Unlock) -> KeysSettings {
        let (state, audit) = (self.path("state"), self.path("state/audit"));
        fs::create_dir_all(&state).unwrap();
        KeysSettings { store, unlock, min_generation: None, state, audit }
    }
}

pub(crate) fn private(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A server of a test.
pub(crate) fn server(scheme: Scheme, port: u16, ca_file: Option<PathBuf>) -> KeyServer {
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    KeyServer { scheme, host: "localhost".to_owned(), port, ca_file, private_addresses: vec![loopback.into()] }
}

/// Puts a key into the store.
pub(crate) async fn put(source: &KeySource, memory: &GenerationMemory, name: &str) {
    let mut editor = source.edit(memory).await.unwrap();
    add(&mut editor, name);
    editor.commit(memory).unwrap();
}

pub(crate) fn add(editor: &mut keystore::Editor, name: &str) {
    let bounds = Bounds::parse(&BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.example.com".into()],
        methods: vec!["POST".into()],
        paths: vec!["/v1/**".into()],
        recipe: RecipeText::Header { name: "authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    });
    let secret = ApiKey::parse(format!("sk-0123456789abcdef-{name}").as_bytes()).unwrap();
    editor.put(&KeyName::parse(name).unwrap(), &secret, bounds.unwrap(), &SystemRandom).unwrap();
}

/// The names in an opened store.
pub(crate) fn names(opened: &key_sources::Opened) -> Vec<String> {
    opened.store.list().iter().map(|key| key.name.clone()).collect()
}
