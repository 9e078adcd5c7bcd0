//! What an app has to bring, what findings cost it, and what operators say of devices.

use std::time::Duration;

use attest_core::{appraisal::DeviceState, device_key::DeviceId, tier::Tier, verdict::Verdict};

use crate::{
    attester::{Attester, send},
    gateway::{verify, verify_by},
    tokens::claims,
    world::{Config, Folder, NOW, World, actor},
};

/// A service whose `sample` on Linux is asked for `what`.
async fn start<'a>(folder: &'a Folder, what: &str) -> World<'a> {
    let sample = format!("linux: {{ require: [measurement], danger_affirm_measurement_alone: true, {what} }}");
    folder.start_with(folder.settings_of(&Config { sample, ..Config::default() })).await
}

fn device(token: &str) -> DeviceId {
    claims(token)["did"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn findings_cost_what_the_configuration_says() {
    for (cost, verdict, tier) in [
        ("fail", Verdict::Failed, Tier::None),
        ("warn", Verdict::Attested, Tier::Warning),
        ("ignore", Verdict::Attested, Tier::Affirming),
    ] {
        let folder = Folder::new();
        let costs = ["tracer", "injected_library", "repackaged", "emulator", "root", "other"];
        let costs: Vec<_> = costs.iter().map(|finding| format!("{finding}: {cost}")).collect();
        let world = start(&folder, &format!("findings: {{ {} }}", costs.join(", "))).await;
        for finding in ["tracer:gdb", "injected-library:x.so", "repackaged", "emulator:qemu", "root", "something-new"] {
            let attester = Attester::genuine();
            let reply = attester.attest_saying(&world, |request| request.findings = vec![finding.to_owned()]).await;
            let verified = verify(&world, &reply.token()).await;
            assert_eq!((verified.verdict(), verified.tier()), (verdict, tier), "{finding} {cost}");
        }
    }
}

#[tokio::test]
async fn a_version_below_the_minimum_fails_although_its_build_is_live() {
    let folder = Folder::new();
    let world = start(&folder, "min_version: '1.0.1'").await;
    let token = Attester::genuine().attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);
    let folder = Folder::new();
    let world = start(&folder, "min_version: '0.10'").await;
    let token = Attester::genuine().attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn an_enrolled_device_passes_with_any_build_on_routes_for_development_alone() {
    let folder = Folder::new();
    let world = folder.start().await;
    let debug_build = Attester::patched();
    let id = device(&debug_build.attest(&world).await.token());
    let until = NOW.plus(Duration::from_secs(86_400));
    world.store(move |store| store.enrol(&actor(), &id, until, "ann's laptop", None).unwrap()).await;

    let token = debug_build.attest(&world).await.token();
    assert_eq!(verify_by(&world, &token, true).await.verdict(), Verdict::Attested);
    assert_eq!(verify_by(&world, &token, false).await.verdict(), Verdict::Failed);
    // The same device without its key is nobody.
    let mut forged = debug_build.request(&world.challenge().await, |_| ());
    forged.signature[3] ^= 1;
    let token = send(&world, &forged).await.token();
    assert_eq!(verify_by(&world, &token, true).await.verdict(), Verdict::Failed);

    world.clock.advance(Duration::from_secs(86_401));
    let token = debug_build.attest(&world).await.token();
    assert_eq!(verify_by(&world, &token, true).await.verdict(), Verdict::Failed);
}

#[tokio::test]
async fn a_forced_pass_and_a_forced_fail_hold_until_their_time() {
    let folder = Folder::new();
    let world = folder.start().await;
    let until = Some(NOW.plus(Duration::from_secs(3_600)));
    let (patched, genuine) = (Attester::patched(), Attester::genuine());
    world.mark(device(&patched.attest(&world).await.token()), DeviceState::ForcedPass, until).await;
    world.mark(device(&genuine.attest(&world).await.token()), DeviceState::ForcedFail, until).await;
    let verdicts = async || {
        let patched = patched.attest(&world).await.token();
        let genuine = genuine.attest(&world).await.token();
        (verify(&world, &patched).await.verdict(), verify(&world, &genuine).await.verdict())
    };
    assert_eq!(verdicts().await, (Verdict::Attested, Verdict::Failed));
    world.clock.advance(Duration::from_secs(3_601));
    assert_eq!(verdicts().await, (Verdict::Failed, Verdict::Attested));
}

#[tokio::test]
async fn a_renewed_key_keeps_what_was_said_of_the_one_before_it() {
    let folder = Folder::new();
    let world = folder.start().await;
    let before = Attester::genuine();
    let id = device(&before.attest(&world).await.token());
    world.mark(id, DeviceState::Banned, None).await;

    let after = Attester::genuine();
    let renewed = after.attest_after(&before, &world).await.token();
    assert_eq!(verify(&world, &renewed).await.verdict(), Verdict::Failed, "the first time, by the key that it names");
    let renewed_id = device(&renewed);
    let row = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            if let Some(row) = world.store(move |store| store.device(&renewed_id).unwrap()).await
                && row.renewed_from == Some(id)
            {
                return row;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let row = row.await.expect("the new key is linked to the old one");
    assert_eq!(row.state, DeviceState::Banned, "and from then on by itself");
    world.handle.refresh();
    let token = after.attest(&world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);
}

#[tokio::test]
async fn what_anybody_may_read_does_not_move_when_a_ban_goes_along_with_a_renewed_key() {
    let folder = Folder::new();
    let world = folder.start().await;
    let before = Attester::genuine();
    let id = device(&before.attest(&world).await.token());
    world.mark(id, DeviceState::Banned, None).await;
    let read = async || world.get("/health").await.body;
    let (told, number) = (read().await, world.handle.health().revocation_number);
    Attester::genuine().attest_after(&before, &world).await.token();
    tokio::time::timeout(Duration::from_secs(5), async {
        while world.handle.health().revocation_number == number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the ban of the new key");
    assert_eq!(read().await, told, "a client learns that its device is banned");
}

#[tokio::test]
async fn nobody_takes_over_a_device_without_its_key() {
    let folder = Folder::new();
    let world = folder.start().await;
    let (victim, thief) = (Attester::patched(), Attester::patched());
    let id = device(&victim.attest(&world).await.token());
    world.mark(id, DeviceState::ForcedPass, Some(NOW.plus(Duration::from_secs(3_600)))).await;
    let challenge = world.challenge().await;
    let mut request = thief.request_after(Some(&victim), &challenge, |_| ());
    let theft = thief.key.sign(&request.transcript(crate::world::KEY_SET)).unwrap();
    request.previous.as_mut().unwrap().signature = theft;
    let token = send(&world, &request).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);

    // With its consent, yes.
    let token = thief.attest_after(&victim, &world).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn sightings_reach_the_devices_row() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let token = attester.attest(&world).await.token();
    let id = device(&token);
    attester.attest_saying(&world, |request| request.findings = vec!["root".to_owned()]).await.token();
    let row = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            if let Some(row) = world.store(move |store| store.device(&id).unwrap()).await
                && row.passed == 2
            {
                return row;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let row = row.await.expect("two sightings");
    assert_eq!((row.app.as_str(), row.version.as_str(), row.failed), ("sample", "1.0", 0));
    assert_eq!((row.first_seen, row.last_seen), (NOW, NOW));
    assert_eq!(row.last_findings, ["root"]);
}
