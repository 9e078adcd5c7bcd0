//! A store that gateways share, in a real PostgreSQL.

use std::time::Duration;

use attest_core::random::SystemRandom;
use key_sources::{KeySource, SourceError};
use keystore::{MasterKey, StoreError};
use settings::{KeyStorePlace, KeysSettings, PostgresSettings, ServerUrl, Unlock};
use test_servers::Postgres;

use crate::http::closed_port;
use crate::support::{Folder, add, around, names, put};

const SOON: Duration = Duration::from_secs(20);

fn place(url: &str, name: &str) -> KeyStorePlace {
    let database = PostgresSettings {
        url: ServerUrl::postgres(url).unwrap(),
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(5),
    };
    KeyStorePlace::Database { database, name: name.to_owned() }
}

/// Settings of one machine; `kek.key` is made where it is not there.
fn settings(folder: &Folder, url: &str, name: &str) -> KeysSettings {
    let kek = folder.path("kek.key");
    if !kek.exists() {
        MasterKey::create_file(&kek, &SystemRandom).unwrap();
    }
    folder.settings_at(place(url, name), Unlock::File(kek))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_sees_a_change_within_seconds_and_one_store_never_another() {
    let Some(server) = Postgres::shared() else { return };
    let (folder, url) = (Folder::new(), server.fresh_database());
    let writer = KeySource::with(&settings(&folder, &url, "keys"), around());
    let memory = writer.memory();
    assert!(!writer.exists().unwrap(), "not even the table is there");
    writer.create(&memory).await.unwrap();
    let gateway = KeySource::with(writer.settings(), around());
    let mut watch = gateway.watch().unwrap();
    // Nobody has opened it here: what is there is news.
    tokio::time::timeout(SOON, watch.changed()).await.unwrap();
    assert_eq!(names(&gateway.open(&memory).await.unwrap()), Vec::<String>::new());

    put(&writer, &memory, "openai").await;
    let begun = std::time::Instant::now();
    tokio::time::timeout(SOON, watch.changed()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(names(&gateway.open(&memory).await.unwrap()), ["openai"]);
    // Opened, and not changed since: nothing more to tell.
    let quiet = tokio::time::timeout(key_sources::watch::EVERY * 2, watch.changed()).await;
    assert!(quiet.is_err());

    let other = KeySource::with(&settings(&folder, &url, "staging"), around());
    assert!(!other.exists().unwrap());
    let why = other.open(&other.memory()).await.unwrap_err();
    assert!(matches!(why, SourceError::Document { .. }), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_change_it_at_once_the_second_is_refused_and_loses_nothing() {
    let Some(server) = Postgres::shared() else { return };
    let (folder, url) = (Folder::new(), server.fresh_database());
    let source = KeySource::with(&settings(&folder, &url, "keys"), around());
    let memory = source.memory();
    source.create(&memory).await.unwrap();
    let other = KeySource::with(source.settings(), around());
    let mut first = source.edit(&memory).await.unwrap();
    let mut second = other.edit(&memory).await.unwrap();
    add(&mut first, "openai");
    add(&mut second, "stripe");
    first.commit(&memory).unwrap();
    let why = second.commit(&memory).unwrap_err();
    assert!(matches!(why, StoreError::ChangedMeanwhile { .. }), "{why:?}");
    assert_eq!(names(&source.open(&memory).await.unwrap()), ["openai"]);
    put(&other, &memory, "stripe").await;
    assert_eq!(names(&source.open(&memory).await.unwrap()), ["openai", "stripe"]);
    assert_eq!(server.sql(url.rsplit('/').next().unwrap(), "SELECT name, generation FROM assay_key_stores"), "keys|3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_from_what_it_kept_while_the_server_is_away() {
    let Some(server) = Postgres::start() else { return };
    let (folder, url) = (Folder::new(), server.fresh_database());
    let source = KeySource::with(&settings(&folder, &url, "keys"), around());
    let memory = source.memory();
    source.create(&memory).await.unwrap();
    put(&source, &memory, "openai").await;
    source.open(&memory).await.unwrap();
    server.stop();
    let started = KeySource::with(source.settings(), around());
    assert_eq!(names(&started.open(&memory).await.unwrap()), ["openai"]);
    // Whoever wants to change it, or to look, is told.
    assert!(started.edit(&memory).await.is_err() && started.inspect(&memory).await.is_err());
    let mut watch = started.watch().unwrap();
    server.restart();
    put(&source, &memory, "stripe").await;
    tokio::time::timeout(SOON, watch.changed()).await.unwrap();
    assert_eq!(names(&started.open(&memory).await.unwrap()), ["openai", "stripe"]);

    // A copy that somebody put back is as old as it is.
    let kept = folder.path("state/keystore-keys.kept");
    let old = std::fs::read(&kept).unwrap();
    put(&source, &memory, "twilio").await;
    source.open(&memory).await.unwrap();
    std::fs::write(&kept, old).unwrap();
    server.stop();
    let why = KeySource::with(source.settings(), around()).open(&memory).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::RolledBack { .. })), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_touched_does_not_open() {
    let Some(server) = Postgres::shared() else { return };
    let (folder, url) = (Folder::new(), server.fresh_database());
    let source = KeySource::with(&settings(&folder, &url, "keys"), around());
    let memory = source.memory();
    source.create(&memory).await.unwrap();
    put(&source, &memory, "openai").await;
    let database = url.rsplit('/').next().unwrap();
    let host = "replace(convert_from(document, 'UTF8'), 'api.example.com', 'api.attacker.com')";
    server.sql(database, &format!("UPDATE assay_key_stores SET document = convert_to({host}, 'UTF8')"));
    let why = source.open(&memory).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::RecordChanged { .. })), "{why:?}");
    server.sql(database, "UPDATE assay_key_stores SET document = substring(document for 100)");
    let why = source.open(&memory).await.unwrap_err();
    assert!(matches!(why, SourceError::Store(StoreError::Truncated { .. })), "{why:?}");
    server.sql(database, "UPDATE assay_key_stores SET document = decode(repeat('00', 67108865), 'hex')");
    let why = source.open(&memory).await.unwrap_err();
    assert!(why.to_string().contains("over 64 MiB"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_in_bounded_time_without_the_password() {
    let folder = Folder::new();
    let url = format!("postgres://assay:canary-of-the-password@127.0.0.1:{}/assay", closed_port());
    let source = KeySource::with(&settings(&folder, &url, "keys"), around());
    let why = source.open(&source.memory()).await.unwrap_err();
    assert!(!format!("{why} {why:?} {source:?}").contains("canary"), "{why:?}");
    assert!(why.to_string().contains("127.0.0.1"), "{why}");
}
