//! A clock that somebody sets: nothing is dated by it until it runs evenly.

use std::time::Duration;

use attest_core::{
    time::{Clock as _, UnixTime},
    verdict::Verdict,
};

use crate::{
    attester::{Attester, send},
    gateway::verify,
    world::Folder,
};

#[tokio::test]
async fn a_clock_that_jumps_stops_issuing_until_it_has_run_evenly() {
    for seconds in [61, -61, 7_200] {
        let folder = Folder::new();
        let world = folder.start().await;
        let attester = Attester::genuine();
        let request = attester.request(&world.challenge().await, |_| ());
        let set = |clock: &attest_core::time::FixedClock| {
            clock.set(UnixTime::from_millis(clock.now().millis() + seconds * 1_000));
        };
        set(&world.clock);
        for reply in [world.post("/challenge", "").await, send(&world, &request).await] {
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{seconds}");
        }
        assert!(!world.handle.health().clock);
        assert!(world.handle.metrics_text().contains("assay_clock_steady 0"));

        world.clock.advance(Duration::from_secs(60));
        let token = attester.attest(&world).await.token();
        assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested);
        // A challenge of before is over, or was never spent: it is not a way around.
        assert_ne!(send(&world, &request).await.status, 503);
    }
}

#[tokio::test]
async fn a_clock_that_is_corrected_by_a_minute_goes_on() {
    let folder = Folder::new();
    let world = folder.start().await;
    world.clock.set(UnixTime::from_millis(world.clock.now().millis() + 59_000));
    Attester::genuine().attest(&world).await.token();
}
