//! Answers that take their time, and upstreams that misbehave.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{KEY_ROUTE, OWN_ROUTE, Parts, Rig, raw, scripted};

/// A route for each upstream that answers what it is told.
fn odd_route(name: &str, port: u16) -> (String, String) {
    let upstream = format!(
        "  {name}: {{ url: \"http://127.0.0.1:{port}\", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8] }}\n"
    );
    let route = format!(
        "\n  {name}:\n    match: {{ host: {name}.test, path: \"/**\" }}\n    upstream: {name}\n    policy: {{ default: block, rules: [{{ name: all, when: {{ verdict: any }}, then: deprioritize }}] }}\n"
    );
    (upstream, route)
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one_scrubbed_or_not() {
    let rig = Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await;
    let token = rig.issuer.token();
    for (host, target) in [("own.test", "/v1/sse"), ("paid.test", "/paid/v1/sse")] {
        let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
        let head =
            format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nassay-token: {token}\r\nconnection: close\r\n\r\n");
        let start = Instant::now();
        tcp.write_all(head.as_bytes()).await.unwrap();
        let (mut seen, mut arrived) = (String::new(), Vec::new());
        let mut piece = [0; 4096];
        loop {
            let n = tcp.read(&mut piece).await.unwrap();
            if n == 0 {
                break;
            }
            seen.push_str(std::str::from_utf8(&piece[..n]).unwrap());
            while arrived.len() < 4 && seen.contains(&format!("data: {}\n\n", arrived.len())) {
                arrived.push(start.elapsed());
            }
        }
        assert_eq!(arrived.len(), 4, "{seen}");
        for (n, at) in arrived.iter().enumerate() {
            let due = Duration::from_millis(150 * n as u64);
            assert!(*at >= due && *at < due + Duration::from_millis(120), "{host}: event {n} at {at:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_its_seat_back() {
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), api: ", concurrency: 1", ..Parts::default() }).await;
    let token = rig.issuer.token();
    let mut stream = TcpStream::connect(rig.gateway.public()).await.unwrap();
    let head = format!("GET /v1/sse HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut piece = [0; 1024];
    assert!(stream.read(&mut piece).await.unwrap() > 0);
    let start = Instant::now();
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_nobody_asked_for_is_502() {
    let odd = scripted(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n").await;
    let (upstreams, routes) = odd_route("odd", odd.port());
    let rig = Rig::start(Parts { upstreams, routes, ..Parts::default() }).await;
    let answer = rig.get("odd.test", "/", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (502, "upstream_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chunked_answer_is_not_completed() {
    let odd = scripted(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nff\r\ncut").await;
    let (upstreams, routes) = odd_route("odd", odd.port());
    let rig = Rig::start(Parts { upstreams, routes, ..Parts::default() }).await;
    let answer = rig.get("odd.test", "/", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.whole, "{}", answer.text());
    assert!(!answer.text().contains("problems"), "nothing of ours is written into it");
    assert_eq!(rig.logged(|line| line["route"] == "odd").await["end"], "upstream_cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_and_an_upstream_that_is_not_there_are_502() {
    let odd = scripted(b"hello, this is no HTTP\r\n\r\n").await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let ((one, route), (two, other)) = (odd_route("odd", odd.port()), odd_route("gone", closed.port()));
    let rig = Rig::start(Parts { upstreams: one + &two, routes: route + &other, ..Parts::default() }).await;
    for host in ["odd.test", "gone.test"] {
        let answer = rig.get(host, "/", &[]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (502, "upstream_unreachable"), "{host}");
    }
    let line = rig.logged(|line| line["route"] == "gone").await;
    assert_eq!(line["attempt"], 3, "connecting is tried again, since nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_of_this_process_is_reached_without_a_policy_and_knows_who_asks() {
    let service = super::kit::Api::start().await;
    let rig = Rig::start_serving(service.address, Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() }).await;
    let answer = rig.ask("POST", "attest.test", "/assay/v1/challenge", &[("assay-internal", "forged")], b"{}").await;
    assert_eq!(answer.status, 200);
    let seen = service.last();
    assert_eq!(seen.target, "/assay/v1/challenge");
    let secrets: Vec<_> = seen.headers.get_all("assay-internal").iter().collect();
    assert_eq!(secrets, ["internal-secret"]);
    assert_eq!(seen.headers["assay-client-address"], "127.0.0.1");
    let large = vec![b'x'; 64 * 1024 + 1];
    assert_eq!(rig.ask("POST", "attest.test", "/assay/v1/attest", &[], &large).await.status, 413);
    assert_eq!(rig.get("attest.test", "/assay/v10/challenge", &[]).await.status, 404);
    let probe = rig.gateway.probe().unwrap();
    let ready = raw(probe, b"GET /readyz HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n").await;
    assert_eq!((ready.status, ready.text().as_str()), (200, "ready\n"));
}
