//! Clients that do not play by the rules.

use std::{num::NonZeroU32, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    attester::Attester,
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

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // A reset after the answer is as good an end as a close.
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
