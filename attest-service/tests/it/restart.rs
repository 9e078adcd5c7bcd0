//! What a restart keeps, what it forgets, and what keeps it from starting.

use attest_core::{random::SystemRandom, verdict::Verdict};
use attest_service::StartError;
use attest_store::OpenError;
use keystore::MasterKey;

use crate::{
    attester::{Attester, send},
    gateway::{document, verify},
    tokens::claims,
    world::Folder,
};

#[tokio::test]
async fn secrets_builds_and_numbers_survive_and_challenges_do_not() {
    let folder = Folder::new();
    let attester = Attester::genuine();
    let before = folder.start().await;
    let token = attester.attest(&before).await.token();
    let verified = verify(&before, &token).await;
    let open = attester.request(&before.challenge().await, |_| ());
    let published = document(&before).await;
    before.handle.shutdown().await;

    let after = folder.start().await;
    assert_eq!(verify(&after, &token).await.verdict(), Verdict::Attested);
    assert_eq!(document(&after).await, published);
    let again = attester.attest(&after).await.token();
    assert_eq!(verify(&after, &again).await.device(), verified.device());
    let refused = send(&after, &open).await;
    assert_eq!((refused.status, refused.code().as_str()), (410, "challenge_expired"));
}

#[tokio::test]
async fn sightings_are_written_before_the_end_of_a_shutdown() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let mut device = None;
    for _ in 0..3 {
        let token = attester.attest(&world).await.token();
        device = verify(&world, &token).await.device().map(str::to_owned);
    }
    let stranger = Attester::patched();
    let failed = stranger.attest(&world).await.token();
    world.handle.shutdown().await;

    let world = folder.start().await;
    let device: attest_core::device_key::DeviceId = device.unwrap().parse().unwrap();
    let row = world.store(move |store| store.device(&device).unwrap()).await.unwrap();
    assert_eq!((row.passed, row.failed), (3, 0));
    // A device that never passed gets no row: its id is free to make.
    let stranger: attest_core::device_key::DeviceId = claims(&failed)["did"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.store(move |store| store.device(&stranger).unwrap()).await, None);
}

#[tokio::test]
async fn another_unlock_key_is_refused_by_name() {
    let folder = Folder::new();
    folder.start().await.handle.shutdown().await;
    let mut settings = folder.settings();
    settings.unlock = folder.path().join("another.key");
    MasterKey::create_file(&settings.unlock, &SystemRandom).unwrap();
    let Err(refused) = folder.try_start(settings.clone()).await else { panic!("it started") };
    assert!(matches!(refused, StartError::Open(OpenError::WrongUnlockKey { .. })));
    assert!(refused.to_string().contains("another.key"), "{refused}");

    settings.unlock = folder.path().join("absent.key");
    let Err(refused) = folder.try_start(settings).await else { panic!("it started") };
    assert!(refused.to_string().contains("absent.key"), "{refused}");
    // And the right one still opens it.
    folder.start().await.handle.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_and_an_unusable_folder_are_named_and_nothing_is_written() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = folder.settings();
    settings.address = taken.local_addr().unwrap();
    let Err(refused) = folder.try_start(settings).await else { panic!("it started") };
    assert!(refused.to_string().contains(&taken.local_addr().unwrap().to_string()), "{refused}");
    assert!(!folder.state().exists());

    let mut settings = folder.settings();
    settings.state.dir = folder.path().join("kek.key");
    let Err(refused) = folder.try_start(settings).await else { panic!("it started") };
    assert!(refused.to_string().contains("kek.key"), "{refused}");
}
