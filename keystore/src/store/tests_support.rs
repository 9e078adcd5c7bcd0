//! What several unit tests of this crate need: bounds that are good, a store with two keys.

use std::path::{Path, PathBuf};

use attest_core::random::SystemRandom;

use crate::bounds::{Bounds, BoundsText, RecipeText};
use crate::{ApiKey, GenerationMemory, KeyName, Keystore, MasterKey};

/// Good bounds for one host.
pub(crate) fn bounds(host: &str) -> BoundsText {
    BoundsText {
        schemes: vec!["https".into()],
        hosts: vec![host.into()],
        methods: vec!["GET".into(), "POST".into()],
        paths: vec!["/v1/**".into()],
        recipe: RecipeText::Header { name: "authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    }
}

/// A store with the keys `openai` and `stripe`, in a directory of its own.
pub(crate) struct Sample {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) master: MasterKey,
    pub(crate) memory: GenerationMemory,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sample = Self {
            path: dir.path().join("keys.sealed"),
            dir,
            master: MasterKey::generate(&SystemRandom).unwrap(),
            memory: GenerationMemory::in_process(),
        };
        Keystore::create(&sample.path, &sample.master, &sample.memory, &SystemRandom).unwrap();
        sample.put("openai", "sk-openai-0123456789abcdef", "api.openai.com");
        sample.put("stripe", "sk-stripe-0123456789abcdef", "api.stripe.com");
        sample
    }

    pub(crate) fn put(&self, name: &str, secret: &str, host: &str) {
        let mut editor = Keystore::edit(&self.path, &self.master, &self.memory).unwrap();
        let bounds = Bounds::parse(&bounds(host)).unwrap();
        editor.put(&name_of(name), &ApiKey::parse(secret.as_bytes()).unwrap(), bounds, &SystemRandom).unwrap();
        editor.commit(&self.memory).unwrap();
    }

    /// Opens it as a machine would that has never seen it.
    pub(crate) fn open(&self) -> Result<Keystore, crate::StoreError> {
        self.open_at(&self.path)
    }

    pub(crate) fn open_at(&self, path: &Path) -> Result<Keystore, crate::StoreError> {
        Keystore::open(path, &self.master, &GenerationMemory::in_process())
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        std::fs::write(&self.path, text).unwrap();
    }
}

pub(crate) fn name_of(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}
