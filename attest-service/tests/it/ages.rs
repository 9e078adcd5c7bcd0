//! How old a device is, as its token tells policies: on SQLite and on PostgreSQL.

use std::time::{Duration, Instant};

use attest_store::{DeviceFilter, Page, Store};
use test_servers::Postgres;

use crate::{
    attester::Attester,
    gateway::verify,
    world::{Config, Folder, Reply, World},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Half of it is what an answer waits for the database at most.
const QUANTUM: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_tells_how_long_its_device_is_known_and_a_new_one_has_no_age() {
    tells_ages(Config::default()).await;
    if let Some(postgres) = Postgres::shared() {
        let state = format!("database: {{ url: '{}' }}", postgres.fresh_database());
        tells_ages(Config { state, ..Config::default() }).await;
    }
}

async fn tells_ages(config: Config) {
    let folder = Folder::new();
    let mut settings = folder.settings_of(&config);
    settings.quantum = QUANTUM;
    let world = folder.start_with(settings).await;
    let (known, failing) = (Attester::genuine(), Attester::patched());
    assert_eq!(age(&world, &known.attest(&world).await).await, None);
    failing.attest(&world).await;
    written(&world, 1).await;
    world.clock.advance(HOUR * 5 + HOUR / 2);
    eventually(&world, &known, HOUR * 5).await;
    let stranger = Attester::genuine();
    assert_eq!(age(&world, &stranger.attest(&world).await).await, None);
    assert_eq!(age(&world, &failing.attest(&world).await).await, None, "who never passed is not known");

    // A key that takes over is as old as the one before it, in that very request and ever after.
    let renewed = Attester::genuine();
    assert_eq!(age(&world, &renewed.attest_after(&known, &world).await).await, Some(HOUR * 5));
    written(&world, 3).await;
    world.clock.advance(HOUR);
    eventually(&world, &renewed, HOUR * 6).await;
}

/// An answer does not wait for long: on a busy machine the age may be in the next token.
async fn eventually(world: &World<'_>, attester: &Attester, expected: Duration) {
    for _ in 0..20 {
        if age(world, &attester.attest(world).await).await == Some(expected) {
            return;
        }
    }
    panic!("no token told {expected:?}");
}

async fn age(world: &World<'_>, reply: &Reply) -> Option<Duration> {
    verify(world, &reply.token()).await.device_age()
}

/// Waits until so many devices have rows.
async fn written(world: &World<'_>, devices: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let count = |store: &Store| store.devices(&DeviceFilter::default(), Page::default()).unwrap().rows.len();
    while world.store(count).await < devices {
        assert!(Instant::now() < deadline, "waited in vain for {devices} devices");
        tokio::task::yield_now().await;
    }
}
