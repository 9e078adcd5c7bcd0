//! The key store from outside, as the gateway and the command line use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod format;
mod killed;
mod opened;
mod owners;
mod story;

use std::path::{Path, PathBuf};

use attest_core::random::SystemRandom;
use keystore::bounds::RecipeText;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};

/// The files of one store.
pub(crate) struct Place {
    pub(crate) store: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) memory: PathBuf,
}

impl Place {
    pub(crate) fn in_directory(dir: &Path) -> Self {
        Self { store: dir.join("keys.sealed"), key: dir.join("kek.key"), memory: dir.join("generations.json") }
    }

    pub(crate) fn create(&self) {
        let master = MasterKey::create_file(&self.key, &SystemRandom).unwrap();
        Keystore::create(&self.store, &master, &self.memory(), &SystemRandom).unwrap();
    }

    pub(crate) fn master(&self) -> MasterKey {
        MasterKey::from_file(&self.key).unwrap()
    }

    pub(crate) fn memory(&self) -> GenerationMemory {
        GenerationMemory::file(&self.memory)
    }

    pub(crate) fn open(&self) -> Keystore {
        Keystore::open(&self.store, &self.master(), &self.memory()).unwrap()
    }

    pub(crate) fn put(&self, name: &str, secret: &str) {
        let mut editor = Keystore::edit(&self.store, &self.master(), &self.memory()).unwrap();
        let (name, secret) = (KeyName::parse(name).unwrap(), ApiKey::parse(secret.as_bytes()).unwrap());
        editor.put(&name, &secret, bounds(), &SystemRandom).unwrap();
        editor.commit(&self.memory()).unwrap();
    }
}

/// Chat and files at one vendor.
pub(crate) fn bounds() -> Bounds {
    let text = BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.openai.com".into()],
        methods: vec!["GET".into(), "POST".into()],
        paths: vec!["/v1/chat/completions".into(), "/v1/files/*".into()],
        recipe: RecipeText::Header { name: "Authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    };
    Bounds::parse(&text).unwrap()
}
