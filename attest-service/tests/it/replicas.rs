//! Two services on PostgreSQL and Redis behave as one; and PostgreSQL away.

use std::time::Duration;

use attest_core::{appraisal::DeviceState, b64u, device_key::DeviceId, measurement::Measurement, verdict::Verdict};
use attest_store::RotateWhen;
use test_servers::{Postgres, Redis};

use crate::{
    attester::{Attester, send},
    gateway::{document, verify},
    world::{Config, Folder, World, actor, sample},
};

/// What another process changed holds within this.
const A_SECOND: Duration = Duration::from_secs(1);

fn config(postgres: &Postgres, redis: &Redis) -> Config {
    let (database, shared) = (postgres.fresh_database(), redis.url());
    Config { state: format!("database: {{ url: '{database}' }}, shared: {{ url: '{shared}' }}"), ..Config::default() }
}

fn kid(token: &str) -> String {
    let header = b64u::decode(token.split('.').next().unwrap().as_bytes(), 1024).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_spent_a_device_banned_a_build_registered_and_a_key_rotated_at_one_hold_at_both() {
    let (Some(postgres), Some(redis)) = (Postgres::shared(), Redis::start()) else { return };
    let folder = Folder::new();
    let settings = folder.settings_of(&config(postgres, &redis));
    let one = folder.start_with(settings.clone()).await;
    let other = folder.start_with(settings).await;
    assert_eq!(one.handle.feed_public_key().to_string(), other.handle.feed_public_key().to_string());
    assert!(!folder.state().join("assay.db").exists(), "nothing is embedded");

    // A challenge of one is good at the other, once.
    let attester = Attester::genuine();
    let challenge = one.challenge().await;
    let token = send(&other, &attester.request(&challenge, |_| ())).await.token();
    let again = attester.request(&challenge, |request| request.binding = Some([1; 32]));
    assert_eq!(send(&one, &again).await.code(), "challenge_spent");
    let verified = verify(&one, &token).await;
    assert_eq!(verified.verdict(), Verdict::Attested);
    let device: DeviceId = verified.device().unwrap().parse().unwrap();

    // Banned at one: its token is revoked and its next attestation fails, at both.
    one.mark(device, DeviceState::Banned, None).await;
    let number = one.handle.health().revocation_number;
    within_a_second("the ban", || other.handle.health().revocation_number == number).await;
    for world in [&one, &other] {
        assert_eq!(verify(world, &token).await.verdict(), Verdict::Revoked);
        let next = attester.attest(world).await.token();
        assert_eq!(verify(world, &next).await.verdict(), Verdict::Failed);
    }

    // Registered at the other.
    let newer = Measurement::from_bytes([0x77; 32]);
    other.store(move |store| store.register(&actor(), &sample("2.0", newer)).unwrap()).await;
    let generation = other.handle.health().registry_generation;
    within_a_second("the build", || one.handle.health().registry_generation >= generation).await;
    let newcomer = Attester { measurement: newer, ..Attester::genuine() };
    let token = newcomer.attest_saying(&one, |request| request.version = "2.0".to_owned()).await.token();
    assert_eq!(verify(&other, &token).await.verdict(), Verdict::Attested);

    // Rotated at one: both sign with the new key, and the token of a moment before still passes.
    let before = kid(&token);
    one.store(|store| store.rotate(&actor(), RotateWhen::Now).unwrap()).await;
    let number = one.handle.health().key_set_number;
    within_a_second("the key", || other.handle.health().key_set_number == number).await;
    let signed = [newcomer_kid(&newcomer, &one).await, newcomer_kid(&newcomer, &other).await];
    assert!(signed[0] == signed[1] && signed[0] != before, "{before} {signed:?}");
    assert_eq!(verify(&other, &token).await.verdict(), Verdict::Attested);
    assert_eq!(document(&one).await, document(&other).await);
}

async fn newcomer_kid(attester: &Attester, world: &World<'_>) -> String {
    let token = attester.attest_saying(world, |request| request.version = "2.0".to_owned()).await.token();
    assert_eq!(verify(world, &token).await.verdict(), Verdict::Attested);
    kid(&token)
}

async fn within_a_second(what: &str, holds: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < A_SECOND, "{what}: not within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_or_silent_stops_issuing_and_heals() {
    let (Some(postgres), Some(redis)) = (Postgres::start(), Redis::start()) else { return };
    let folder = Folder::new();
    let mut settings = folder.settings_of(&config(&postgres, &redis));
    let database = settings.state.database.as_mut().unwrap();
    (database.connect_timeout, database.statement_timeout) = (A_SECOND, A_SECOND);
    let world = folder.start_with(settings).await;
    let attester = Attester::genuine();
    attester.attest(&world).await.token();
    let faults: [(&str, Act, Act); 2] =
        [("away", Postgres::stop, Postgres::restart), ("silent", Postgres::pause, Postgres::resume)];
    for (name, fault, repair) in faults {
        let request = attester.request(&world.challenge().await, |_| ());
        fault(&postgres);
        world.wait_until(name, |world| !world.handle.health().store).await;
        for reply in [world.post("/challenge", "").await, send(&world, &request).await] {
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{name}");
        }
        repair(&postgres);
        world.wait_until(name, |world| world.handle.health().can_issue()).await;
        // The challenge was not spent on our fault.
        send(&world, &request).await.token();
    }
}

/// Something done to the server.
type Act = fn(&Postgres);
