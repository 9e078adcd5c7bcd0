//! Clients that do not play by the rules.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    attester::{Attester, send},
    world::{Folder, Reply, World},
};

#[tokio::test]
async fn what_is_no_envelope_is_400_and_says_where() {
    let folder = Folder::new();
    let world = folder.start().await;
    let good = Attester::genuine().request(&world.challenge().await, |_| ()).to_json();
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("device_key");
    let mut wrong = good.clone();
    wrong["app"] = "a b".into();
    let twice = good.to_string().replacen('{', "{\"app\":\"sample\",", 1);
    for body in ["", "not json", "[]", "{}", &without.to_string(), &wrong.to_string(), &twice] {
        let reply = world.post("/attest", body.to_owned()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "not_an_envelope"), "{body}");
        assert!(!reply.json()["detail"].as_str().unwrap().is_empty());
    }
    let reply = world.post("/challenge", "{\"key_set\":\"other\"}").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "not_an_envelope"));
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_413() {
    let folder = Folder::new();
    let world = folder.start().await;
    for path in ["/attest", "/challenge"] {
        // By hand: the service answers before it has read all, which HTTP clients take for a broken connection.
        let mut stream = TcpStream::connect(world.handle.address()).await.unwrap();
        let head = format!("POST /assay/v1{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 70_000]).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("too_large"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_cut_off() {
    // Paused time runs ahead whenever nothing else can happen, so the ten seconds cost none.
    let folder = Folder::new();
    let world = folder.start().await;
    let mut stream = TcpStream::connect(world.handle.address()).await.unwrap();
    let head = "POST /assay/v1/attest HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_cut_off() {
    let folder = Folder::new();
    let world = folder.start().await;
    let mut stream = TcpStream::connect(world.handle.address()).await.unwrap();
    stream.write_all(b"POST /assay/v1/att").await.unwrap();
    let began = tokio::time::Instant::now();
    read_to_end(&mut stream).await;
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_are_problems_too() {
    let folder = Folder::new();
    let world = folder.start().await;
    let reply = world.post("/nothing", "").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    let reply = Reply::of(world.client.get(world.url("/attest")).send().await.unwrap()).await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"));
}

#[tokio::test]
async fn a_client_over_its_rate_is_429_and_another_is_not() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.limits.per_address_per_minute = NonZeroU32::new(5).unwrap();
    let world = folder.start_with(settings).await;
    for _ in 0..5 {
        assert_eq!(world.post_for("192.0.2.1", "/challenge", "").await.status, 200);
    }
    let refused = world.post_for("192.0.2.1", "/challenge", "").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(world.post_for("198.51.100.1", "/challenge", "").await.status, 200);
}

#[tokio::test]
async fn nobody_but_the_gateway_names_the_client_address() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.limits.per_address_per_minute = NonZeroU32::new(3).unwrap();
    let world = folder.start_with(settings).await;
    let mut answers = Vec::new();
    for number in 0..6 {
        let request = world
            .client
            .post(world.url("/challenge"))
            .header("assay-internal", "guess")
            .header("assay-client-address", format!("192.0.2.{number}"));
        answers.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 429, 429, 429]);
}

#[tokio::test]
async fn a_flooding_network_is_refused_while_another_gets_in() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.limits.open_challenges = NonZeroU32::new(40).unwrap();
    let world = folder.start_with(settings).await;
    let attester = Attester::genuine();
    let mut statuses = Vec::new();
    for number in 0..12 {
        statuses.push(attest_from(&world, &attester, &format!("192.0.2.{number}")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 503, 503]);
    assert_eq!(attest_from(&world, &attester, "198.51.100.1").await.status, 200);
    // What is full now has room again when its challenges are over.
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(attest_from(&world, &attester, "192.0.2.1").await.status, 200);
}

async fn attest_from(world: &World<'_>, attester: &Attester, address: &str) -> Reply {
    let request = attester.request(&world.challenge().await, |_| ());
    world.post_for(address, "/attest", request.to_json().to_string()).await
}

#[tokio::test]
async fn what_is_refused_before_its_body_was_read_ends_its_connection() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.limits.per_address_per_minute = NonZeroU32::new(1).unwrap();
    let world = folder.start_with(settings).await;
    assert_eq!(world.post("/challenge", "").await.status, 200);
    let unread = world.post("/challenge", "{}").await;
    assert_eq!((unread.status, &unread.headers["connection"]), (429, &"close".parse().unwrap()));
    let nothing_to_read = world.post("/challenge", "").await;
    assert_eq!((nothing_to_read.status, nothing_to_read.headers.get("connection")), (429, None));
}

#[tokio::test]
async fn nesting_as_deep_as_a_body_is_large_is_no_envelope() {
    let folder = Folder::new();
    let world = folder.start().await;
    let good = Attester::genuine().request(&world.challenge().await, |_| ()).to_json().to_string();
    let deep = "[".repeat(60_000);
    let objects = "{\"a\":".repeat(10_000);
    for body in [deep.clone(), objects, good.replacen('{', &format!("{{\"extra\":{deep},"), 1)] {
        let began = tokio::time::Instant::now();
        let reply = world.post("/attest", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "not_an_envelope"));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    assert_eq!(send(&world, &Attester::genuine().request(&world.challenge().await, |_| ())).await.status, 200);
}

/// Every flood at once, each from an address of its own: challenges by the thousand, spent challenges again with other
/// words, nesting, bodies that never end. Genuine clients from other addresses are all served, the flooders get no more
/// than their rate, and what is held for them stays within their network's share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn genuine_clients_keep_their_rate_under_every_flood_at_once() {
    const RATE: u32 = 300;
    const ROOM: u32 = 2_000;
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.limits.per_address_per_minute = NonZeroU32::new(RATE).unwrap();
    settings.limits.open_challenges = NonZeroU32::new(ROOM).unwrap();
    settings.limits.concurrency = NonZeroU32::new(64).unwrap();
    let world = folder.start_with(settings).await;
    let stop = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let flooder = Attester::genuine();
    let spent = world.challenge().await;
    send(&world, &flooder.request(&spent, |_| ())).await.token();

    let flood = async |address: &str, path: &str, body: &dyn Fn() -> String| {
        let client = reqwest::Client::new();
        while !stop.load(Ordering::Relaxed) {
            let request = client
                .post(world.url(path))
                .header("assay-internal", world.handle.internal_secret())
                .header("assay-client-address", address);
            // Whoever is refused before his body was read may find the connection closed while he writes.
            let Ok(response) = request.body(body()).send().await else { continue };
            let status = response.status().as_u16();
            assert!([200, 400, 409, 429].contains(&status), "{path}: {status}");
            if status == 200 {
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let nonce = AtomicUsize::new(0);
    let replay = || {
        let binding = [nonce.fetch_add(1, Ordering::Relaxed).to_be_bytes(); 4].concat();
        let request = flooder.request(&spent, |request| request.binding = binding.try_into().ok());
        request.to_json().to_string()
    };
    let nesting = || "[".repeat(60_000);
    let empty = String::new;
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(world.handle.address()).await.unwrap();
        let head = format!(
            "POST /assay/v1/attest HTTP/1.1\r\nhost: x\r\nassay-internal: {}\r\nassay-client-address: 192.0.2.4\r\n\
             content-length: 60000\r\n\r\n{{",
            world.handle.internal_secret()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }

    let began = tokio::time::Instant::now();
    let genuine = async {
        let mut answers = 0;
        for number in 0..100 {
            let address = format!("198.51.{number}.1");
            let reply = attest_from(&world, &Attester::genuine(), &address).await;
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            answers += 1;
        }
        stop.store(true, Ordering::Relaxed);
        answers
    };
    let (answers, ..) = tokio::join!(
        genuine,
        flood("192.0.2.1", "/challenge", &empty),
        flood("192.0.2.1", "/challenge", &empty),
        flood("192.0.2.1", "/challenge", &empty),
        flood("192.0.2.2", "/attest", &replay),
        flood("192.0.2.3", "/attest", &nesting),
    );
    assert_eq!(answers, 100);
    let allowed = f64::from(RATE) * (1.0 + began.elapsed().as_secs_f64() / 60.0) + 2.0;
    assert!(served.load(Ordering::Relaxed) as f64 <= allowed, "{} of {allowed}", served.load(Ordering::Relaxed));
    let held = world.handle.metrics_text();
    let held = held.lines().find_map(|line| line.strip_prefix("assay_challenges_held ")).unwrap().parse::<u32>();
    assert_eq!(held, Ok(101), "replays hold nothing");
    drop(slow);
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // A reset after the answer is as good an end as a close.
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
