//! Stores in files, opened without a server: what is told apart, and what a gateway remembers.

use key_sources::{KeySource, SourceError, UnlockError};
use keystore::{MasterKey, StoreError};
use settings::Unlock;

use crate::support::{Folder, around, around_with_variables, names, private, put};

const PASSPHRASE: &str = "seven words that nobody has put together\n";

#[tokio::test]
async fn a_store_moves_from_file_to_environment_to_systemd_without_being_written() {
    let folder = Folder::new();
    let kek = folder.private("kek.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    let file = KeySource::with(&folder.settings(Unlock::File(kek.clone())), around());
    let memory = file.memory();
    file.create(&memory).await.unwrap();
    put(&file, &memory, "openai").await;
    let before = std::fs::read(folder.path("keys.sealed")).unwrap();

    let environment = Unlock::Environment("ASSAY_KEK".to_owned());
    let environment = KeySource::with(&folder.settings(environment), around_with_variables());
    assert_eq!(names(&environment.open(&memory).await.unwrap()), ["openai"]);

    // As systemd lays credentials out: a file of their name in $CREDENTIALS_DIRECTORY.
    private(&std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("assay-kek"), std::fs::read(kek).unwrap());
    let systemd = KeySource::with(&folder.settings(Unlock::Systemd("assay-kek".to_owned())), around_with_variables());
    assert_eq!(names(&systemd.open(&memory).await.unwrap()), ["openai"]);
    let absent = KeySource::with(&folder.settings(Unlock::Systemd("assay-none".to_owned())), around_with_variables());
    let why = absent.open(&memory).await.unwrap_err();
    assert!(matches!(why, SourceError::Unlock(UnlockError::Secret { .. })) && why.to_string().contains("assay-none"));
    assert_eq!(std::fs::read(folder.path("keys.sealed")).unwrap(), before);
}

#[tokio::test]
async fn another_passphrase_is_a_wrong_key_and_may_be_mended() {
    let folder = Folder::new();
    let path = folder.private("phrase", PASSPHRASE);
    let source = KeySource::with(&folder.settings(Unlock::PassphraseFile(path)), around());
    let memory = source.memory();
    source.create(&memory).await.unwrap();
    folder.private("phrase", "seven words that somebody has put together\n");
    let other = KeySource::with(source.settings(), around());
    let why = other.open(&memory).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::WrongKey { .. })), "{why:?}");
    folder.private("phrase", PASSPHRASE);
    other.open(&memory).await.unwrap();
}

#[tokio::test]
async fn an_old_store_is_refused_by_memory_and_on_a_fresh_machine_by_what_is_pinned() {
    let folder = Folder::new();
    MasterKey::create_file(&folder.path("kek.key"), &attest_core::random::SystemRandom).unwrap();
    let mut settings = folder.settings(Unlock::File(folder.path("kek.key")));
    let source = KeySource::with(&settings, around());
    source.create(&source.memory()).await.unwrap();
    let old = std::fs::read(folder.path("keys.sealed")).unwrap();
    put(&source, &source.memory(), "openai").await;
    std::fs::write(folder.path("keys.sealed"), old).unwrap();

    let why = source.open(&source.memory()).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::RolledBack { found: 1, seen: 2, .. })), "{why:?}");
    // Another machine has seen nothing.
    settings.state = folder.path("elsewhere");
    std::fs::create_dir(&settings.state).unwrap();
    let fresh = KeySource::with(&settings, around());
    fresh.inspect(&fresh.memory()).await.unwrap();
    settings.min_generation = std::num::NonZeroU64::new(2);
    let pinned = KeySource::with(&settings, around());
    for memory in [pinned.memory(), keystore::GenerationMemory::in_process()] {
        for why in [pinned.open(&memory).await.unwrap_err(), pinned.inspect(&memory).await.unwrap_err()] {
            assert!(matches!(why, SourceError::Store(StoreError::BelowMinimum { found: 1, least: 2, .. })), "{why:?}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_and_never_made_by_opening() {
    let folder = Folder::new();
    MasterKey::create_file(&folder.path("kek.key"), &attest_core::random::SystemRandom).unwrap();
    let source = KeySource::with(&folder.settings(Unlock::File(folder.path("kek.key"))), around());
    assert!(!source.exists().unwrap());
    assert!(source.open(&source.memory()).await.is_err() && source.head().is_err());
    assert!(!folder.path("keys.sealed").exists());
    source.create(&source.memory()).await.unwrap();
    assert!(source.exists().unwrap() && source.watch().is_none());
    let why = source.create(&source.memory()).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::Exists { .. })), "{why:?}");
}
