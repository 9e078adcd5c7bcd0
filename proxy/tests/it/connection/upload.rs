//! Requests with bodies: waiting for a turn, leaving, being refused in the middle, broken codings.

use super::kit::{Gateway, Seen, Upstream, soon};

const BODY: usize = 300_000;

fn post(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_waits_while_its_body_arrives_and_passes_whole() {
    let mut upstream = Upstream::start().await;
    let mut gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    let body: Vec<u8> = (0..BODY).map(|n| n as u8).collect();
    client.send(post("/wait")).await;
    client.send(&body[..1000]).await;
    assert_eq!(gateway.event().await, Seen::Queued);
    client.send(&body[1000..2000]).await;
    gateway.turn.add_permits(1);
    client.send(&body[2000..]).await;
    assert_eq!(client.response().await, (200, format!("POST /wait {BODY}")));
    assert!(soon(upstream.whole.recv()).await.unwrap().body == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_behind_an_unread_body_frees_its_place() {
    let mut upstream = Upstream::start().await;
    let mut gateway = Gateway::before(upstream.address);
    for how in ["fin", "reset", "no body"] {
        let mut client = gateway.connect().await;
        if how == "no body" {
            client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
        } else {
            client.send(post("/wait")).await;
            client.send([b'a'; 2000]).await;
        }
        assert_eq!(gateway.event().await, Seen::Queued, "{how}");
        let tcp = client.io.into_std().unwrap();
        if how == "reset" {
            rustix::net::sockopt::set_socket_linger(&tcp, Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(tcp);
        assert_eq!(gateway.event().await, Seen::Left, "{how}");
    }
    assert!(upstream.whole.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_by_a_client_that_is_still_uploading() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    for _ in 0..20 {
        let mut client = gateway.connect().await;
        client.send(post("/refuse")).await;
        // More than the answer's way takes, less than what is thrown away for politeness' sake.
        client.send(vec![b'a'; 100_000]).await;
        client.send(vec![b'a'; 100_000]).await;
        assert_eq!(client.response().await, (400, "refused".into()));
        assert_eq!(client.rest().await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chunk_never_makes_a_whole_request() {
    let mut upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    for body in
        ["3;\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nno field\r\n\r\n", "3\r\nabc\r\n\r\n"]
    {
        for at_once in [true, false] {
            let mut client = gateway.connect().await;
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            if at_once {
                client.send([head, body].concat()).await;
            } else {
                client.send(head).await;
                client.send(body).await;
            }
            let answer = client.rest().await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{body:?}: {answer}");
        }
    }
    assert!(upstream.whole.try_recv().is_err());
}
