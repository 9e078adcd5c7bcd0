//! Other settings without a restart; and what needs one.

use std::{num::NonZeroU32, time::Duration};

use attest_core::verdict::Verdict;

use crate::{
    attester::Attester,
    gateway::verify,
    world::{Config, Folder},
};

#[tokio::test]
async fn apps_policies_and_limits_hold_at_once() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let token = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested);

    let sample = "linux: { require: [measurement], min_version: '2.0' }".to_owned();
    let mut stricter = folder.settings_of(&Config { sample, ..Config::default() });
    stricter.limits.per_address_per_minute = NonZeroU32::new(4).unwrap();
    world.handle.reload(stricter).unwrap();
    let token = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.post("/challenge", "").await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);

    world.handle.reload(folder.settings()).unwrap();
    let token = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_nothing_changes() {
    let folder = Folder::new();
    let world = folder.start().await;
    let mut other = folder.settings();
    other.apps.clear();
    other.token.lifetime = Duration::from_secs(60);
    let refused = world.handle.reload(other).unwrap_err();
    assert_eq!(refused.setting, "attestation.token");
    assert!(refused.to_string().contains("from the next start on"), "{refused}");
    let token = Attester::genuine().attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested, "the apps are there still");

    let mut other = folder.settings();
    other.state.dir = folder.path().join("elsewhere");
    assert_eq!(world.handle.reload(other).unwrap_err().setting, "state");
}
