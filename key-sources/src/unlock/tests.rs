//! Providers without a server, and what does not fit together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use attest_core::random::SystemRandom;
use attest_core::time::SystemClock;
use zeroize::Zeroizing;

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn around(variable: fn(&str) -> Option<Zeroizing<String>>) -> Around {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Around { clock, random, variable, dialer: outbound::Dialer::system() }
}

fn with_key() -> Around {
    around(|name| match name {
        "ASSAY_KEK" => Some(Zeroizing::new(KEY.to_owned())),
        "NO_KEY" => Some(Zeroizing::new("canary-that-is-no-key".to_owned())),
        _ => None,
    })
}

fn head(provider: KekProvider) -> KekHeader {
    KekHeader::new(&MasterKey::generate(&SystemRandom).unwrap(), provider).unwrap()
}

#[tokio::test]
async fn refuses_a_variable_that_is_absent_or_no_key_without_showing_it() {
    let (file, around) = (head(KekProvider::File {}), with_key());
    let absent = master_key(&Unlock::Environment("ABSENT".to_owned()), &file, &around).await.unwrap_err();
    assert!(absent.to_string().contains("ABSENT is not set"), "{absent}");
    let no_key = master_key(&Unlock::Environment("NO_KEY".to_owned()), &file, &around).await.unwrap_err();
    assert!(no_key.to_string().contains("$NO_KEY") && !format!("{no_key} {no_key:?}").contains("canary"), "{no_key}");
    let systemd = master_key(&Unlock::Systemd("kek".to_owned()), &file, &around).await.unwrap_err();
    assert!(matches!(systemd, UnlockError::NoCredentials), "{systemd:?}");
}

#[tokio::test]
async fn refuses_a_store_whose_key_comes_from_elsewhere_and_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek.key");
    MasterKey::create_file(&path, &SystemRandom).unwrap();
    let argon2id = passphrase::new_parameters(&SystemRandom).unwrap();
    let heads = [
        head(KekProvider::Passphrase { argon2id }),
        head(KekProvider::Vault { mount: "t".into(), key: "k".into(), wrapped: "vault:v1:AA".into() }),
        head(KekProvider::AwsKms { region: "r".into(), key_id: "k".into(), wrapped: "AA".into() }),
    ];
    for head in &heads {
        let why = master_key(&Unlock::File(path.clone()), head, &with_key()).await.unwrap_err();
        assert!(matches!(why, UnlockError::OtherProvider { wanted: "file", found } if found == head.provider().kind()));
        assert!(why.to_string().contains("kek rotate --to"), "{why}");
    }
    let why = master_key(&Unlock::PassphraseFile(path), &head(KekProvider::File {}), &with_key()).await.unwrap_err();
    assert!(matches!(why, UnlockError::OtherProvider { wanted: "passphrase", found: "file" }), "{why:?}");
}

#[tokio::test]
async fn file_environment_and_systemd_stand_in_for_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek.key");
    fs::write(&path, KEY).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let id = MasterKey::from_file(&path).unwrap().id();
    for provider in [KekProvider::File {}, KekProvider::Environment {}, KekProvider::Systemd {}] {
        let head = head(provider);
        for unlock in [Unlock::File(path.clone()), Unlock::Environment("ASSAY_KEK".to_owned())] {
            assert_eq!(master_key(&unlock, &head, &with_key()).await.unwrap().id(), id, "{unlock:?}");
        }
    }
    let (made, header) = new_master_key(&Unlock::Environment("ASSAY_KEK".to_owned()), &with_key()).await.unwrap();
    assert_eq!((made.id(), header.provider()), (id, &KekProvider::Environment {}));
}

#[tokio::test]
async fn a_passphrase_opens_with_what_the_head_says_and_is_refused_when_it_is_short_or_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phrase");
    let write = |text: &str, mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let unlock = Unlock::PassphraseFile(path.clone());
    write("seven words that nobody has put together\n", 0o600);
    let (key, header) = new_master_key(&unlock, &with_key()).await.unwrap();
    assert_eq!(master_key(&unlock, &header, &with_key()).await.unwrap().id(), key.id());
    write("seven words that somebody has put together\n", 0o600);
    assert_ne!(master_key(&unlock, &header, &with_key()).await.unwrap().id(), key.id());
    write("fifteen letters\n", 0o600);
    assert!(matches!(master_key(&unlock, &header, &with_key()).await, Err(UnlockError::Passphrase { .. })));
    write("seven words that nobody has put together\n", 0o640);
    let why = master_key(&unlock, &header, &with_key()).await;
    // Whoever runs the tests as root owns the file: then a group of root's may read it.
    let root = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&path).unwrap()) == 0;
    assert_eq!(why.is_ok(), root);
}
