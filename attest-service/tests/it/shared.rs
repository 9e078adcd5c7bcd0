//! Two services that share a Redis: one challenge, one appraisal, one answer, one limit; and what happens while it is away.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use attest_service::ServiceSettings;
use test_servers::Redis;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    attester::{Attester, send},
    challenges::futures_join,
    world::{Config, Folder, Reply, World},
};

fn settings(folder: &Folder, redis: &Redis) -> ServiceSettings {
    folder.settings_of(&Config { state: format!("shared: {{ url: '{}' }}", redis.url()), ..Config::default() })
}

/// Something done to the server.
type Act = fn(&Redis);

/// Two services of one state and one Redis.
async fn two<'a>(folder: &'a Folder, settings: &ServiceSettings) -> (World<'a>, World<'a>) {
    let one = folder.start_with(settings.clone()).await;
    (one, folder.start_with(settings.clone()).await)
}

fn appraised(world: &World<'_>) -> usize {
    let text = world.handle.metrics_text();
    let lines = text.lines().filter(|line| line.starts_with("assay_attestations_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_tasks_at_two_services_one_is_appraised() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let (one, other) = two(&folder, &settings(&folder, &redis)).await;
    let attester = Attester::genuine();
    for _ in 0..5 {
        let before = appraised(&one) + appraised(&other);
        let challenge = one.challenge().await;
        let requests: Vec<_> = (0..64_u8)
            .map(|number| Arc::new(attester.request(&challenge, |request| request.binding = Some([number; 32]))))
            .collect();
        let worlds = [&one, &other];
        let replies =
            futures_join(requests.iter().enumerate().map(|(number, request)| send(worlds[number % 2], request))).await;
        let passed: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(passed.len(), 1);
        assert!(replies.iter().filter(|reply| reply.status != 200).all(|reply| reply.code() == "challenge_spent"));
        let began = tokio::time::Instant::now();
        while appraised(&one) + appraised(&other) == before {
            assert!(began.elapsed() < Duration::from_secs(5), "not counted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(appraised(&one) + appraised(&other), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_reply_is_given_again_at_the_other_service_byte_for_byte() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let (one, other) = two(&folder, &settings(&folder, &redis)).await;
    let attester = Attester::genuine();
    let request = attester.request(&one.challenge().await, |_| ());

    // Both at once: whoever is second waits for the first.
    let worlds = [&one, &other];
    let replies = futures_join((0..16).map(|number| send(worlds[number % 2], &request))).await;
    let bodies: BTreeSet<_> = replies.iter().map(|reply| (reply.token(), reply.body.clone())).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(send(&other, &request).await.body, replies[0].body);
    assert!(other.handle.metrics_text().contains("assay_answers_shared_total"));

    let mut stranger = request.clone();
    stranger.signature = [1; 64];
    for world in worlds {
        assert_eq!(send(world, &stranger).await.code(), "challenge_spent");
    }
    let spent = attester.request(&request.challenge, |request| request.binding = Some([9; 32]));
    assert_eq!(send(&other, &spent).await.code(), "challenge_spent");
}

#[tokio::test]
async fn nothing_old_is_accepted_after_a_restart_or_a_flush() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let (one, other) = two(&folder, &settings(&folder, &redis)).await;
    let attester = Attester::genuine();
    let forget: [(&str, Act); 2] = [("flush", Redis::flush), ("restart", Redis::restart)];
    for (name, forget) in forget {
        let challenge = one.challenge().await;
        let spent = attester.request(&challenge, |_| ());
        send(&one, &spent).await.token();
        let open = attester.request(&one.challenge().await, |_| ());
        forget(&redis);
        // Until they have noticed they say that it is away; never do they accept it.
        for (world, request) in [(&one, &spent), (&other, &spent), (&one, &open), (&other, &open)] {
            let began = tokio::time::Instant::now();
            loop {
                let reply = send(world, request).await;
                if (reply.status, reply.code().as_str()) == (410, "challenge_expired") {
                    break;
                }
                assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{name}");
                assert!(began.elapsed() < Duration::from_secs(10), "{name}: still away");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        heals(&one, &attester).await;
    }
}

/// Attests until it works; before that the fault is ours and said aloud.
async fn heals(world: &World<'_>, attester: &Attester) {
    let began = tokio::time::Instant::now();
    loop {
        let reply = world.post("/challenge", "").await;
        if reply.status == 200 {
            let challenge = reply.json()["challenge"].as_str().unwrap().to_owned();
            let challenge = attest_core::b64u::decode(challenge.as_bytes(), 100).unwrap();
            let reply = send(world, &attester.request(&challenge, |_| ())).await;
            if reply.status == 200 {
                return;
            }
        } else {
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it did not heal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_shared_store_that_is_slow_or_away_is_503_soon_and_heals() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let world = folder.start_with(settings(&folder, &redis)).await;
    let attester = Attester::genuine();
    heals(&world, &attester).await;
    let faults: [(&str, Act, Act); 2] = [("slow", Redis::pause, Redis::resume), ("away", Redis::kill, Redis::restart)];
    for (name, fault, repair) in faults {
        let request = attester.request(&world.challenge().await, |_| ());
        fault(&redis);
        let unavailable = async |path: &str, body: String| {
            let began = tokio::time::Instant::now();
            let reply = world.post(path, body).await;
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{name}");
            assert!(reply.headers.contains_key("retry-after"));
            assert!(began.elapsed() < Duration::from_secs(3), "{name}: {:?}", began.elapsed());
        };
        // No token from the first moment on; challenges until it is noticed, and they are worth nothing.
        for _ in 0..3 {
            unavailable("/attest", request.to_json().to_string()).await;
        }
        world.wait_until(name, |world| world.handle.health().shared_state == Some(false)).await;
        unavailable("/challenge", String::new()).await;
        assert_eq!(world.get("/health").await.status, 503);
        repair(&redis);
        heals(&world, &attester).await;
        world.wait_until(name, |world| world.handle.health().can_issue()).await;
    }
}

#[tokio::test]
async fn a_service_starts_while_the_shared_store_is_away() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let settings = settings(&folder, &redis);
    redis.kill();
    let world = folder.start_with(settings).await;
    assert_eq!(world.post("/challenge", "").await.status, 503);
    redis.restart();
    heals(&world, &Attester::genuine()).await;
}

#[tokio::test]
async fn a_flooding_network_fills_its_share_at_both_services_and_another_gets_in() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let mut settings = settings(&folder, &redis);
    settings.limits.open_challenges = NonZeroU32::new(40).unwrap();
    let (one, other) = two(&folder, &settings).await;
    let attester = Attester::genuine();
    let mut statuses = Vec::new();
    for number in 0..12 {
        let world = [&one, &other][number % 2];
        statuses.push(attest_from(world, &attester, &format!("192.0.2.{number}")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 503, 503]);
    assert_eq!(attest_from(&one, &attester, "198.51.100.1").await.status, 200);
}

#[tokio::test]
async fn a_client_has_one_rate_at_both_services() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let mut settings = settings(&folder, &redis);
    settings.limits.per_address_per_minute = NonZeroU32::new(6).unwrap();
    let (one, other) = two(&folder, &settings).await;
    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push([&one, &other][number % 2].post_for("192.0.2.1", "/challenge", "").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(one.post_for("198.51.100.1", "/challenge", "").await.status, 200);
}

async fn attest_from(world: &World<'_>, attester: &Attester, address: &str) -> Reply {
    let challenge = world.post_for(address, "/challenge", "").await;
    let challenge = challenge.json()["challenge"].as_str().unwrap().to_owned();
    let request = attester.request(&attest_core::b64u::decode(challenge.as_bytes(), 100).unwrap(), |_| ());
    world.post_for(address, "/attest", request.to_json().to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_an_answer_to_be_had_again() {
    let Some(redis) = Redis::start() else { return };
    let folder = Folder::new();
    let (one, other) = two(&folder, &settings(&folder, &redis)).await;
    let attester = Attester::genuine();
    for pause_micros in (0..2_000).step_by(100) {
        let request = attester.request(&one.challenge().await, |_| ());
        let body = request.to_json().to_string();
        let mut stream = TcpStream::connect(one.handle.address()).await.unwrap();
        let head = format!("POST /assay/v1/attest HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        // Gone at some moment of the work.
        tokio::time::sleep(Duration::from_micros(pause_micros)).await;
        drop(stream);
        let again = send(&other, &request).await;
        assert_eq!(again.status, 200, "after {pause_micros} µs: {}", String::from_utf8_lossy(&again.body));
    }
}
