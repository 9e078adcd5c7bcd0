//! HTTP/1: heads, pipelining, parking, upgrades.

use std::time::Duration;

use settings::ConnectionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{Gateway, How, Seen, Upstream, counted, soon};

const ONE: &str = "GET /one HTTP/1.1\r\nHost: a\r\n\r\n";
const TWO: &str = "GET /two HTTP/1.1\r\nHost: a\r\n\r\n";

fn limits(change: impl FnOnce(&mut ConnectionLimits)) -> How {
    let mut how = How::default();
    change(&mut how.limits);
    how
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_a_finding_is_the_last_on_its_connection() {
    let mut upstream = Upstream::start().await;
    let mut gateway = Gateway::before(upstream.address);
    let heads = [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length_and_encoding",
        ),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", "bare_line_feed"),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "bad_request_line"),
        ("GET / HTTP/1.1\r\n\r\n", "no_host"),
    ];
    for (number, (head, finding)) in heads.into_iter().enumerate() {
        let mut client = gateway.connect().await;
        client.send([head, ONE].concat()).await;
        assert_eq!(client.response().await, (400, "refused".into()), "{finding}");
        assert_eq!(client.rest().await, "", "nothing more is served after {finding}");
        let Seen::Head { findings, listener, http2, .. } = gateway.head().await else { panic!() };
        assert_eq!((findings, listener.as_str(), http2), (vec![finding], "public", false));
        counted(&gateway.stats.malformed, number as u64 + 1).await;
    }
    assert!(upstream.whole.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_told_at_once() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send(b"\x16\x03\x01\x02\x00\x01").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    counted(&gateway.stats.malformed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_in_pieces_is_served_like_one_in_one() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    // Larger than any single read on the way.
    let head = format!("GET /one HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", "c".repeat(20_000));
    for piece in head.as_bytes().chunks(999) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await, (200, "GET /one 0".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_a_dribbled_head_with_408() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, limits(|limits| limits.head_timeout = Duration::from_millis(200)));
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHo").await;
    let (mut reader, mut writer) = client.io.into_split();
    // A byte every few milliseconds keeps no connection open.
    let dribble = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(b"o").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut answer = String::new();
    // The client that goes on may get a reset behind the answer.
    let _ = soon(reader.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && !answer.contains("Server"), "{answer}");
    counted(&gateway.stats.head_timeout, 1).await;
    soon(dribble).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_a_silent_connection() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, limits(|limits| limits.head_timeout = Duration::from_millis(100)));
    assert_eq!(gateway.connect().await.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_a_connection_that_rests_too_long() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, limits(|limits| limits.idle_timeout = Duration::from_millis(100)));
    let mut client = gateway.connect().await;
    client.send(ONE).await;
    assert_eq!(client.response().await.0, 200);
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_a_head_over_its_size_with_431() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, limits(|limits| limits.head_bytes = 2048));
    for request in
        [format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(3000)), format!("GET /{}", "a".repeat(100_000))]
    {
        let mut client = gateway.connect().await;
        client.send(request).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    counted(&gateway.stats.head_too_large, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_only_the_parser_refuses() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    counted(&gateway.stats.malformed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_a_pipelined_pair_twice_and_again_after_parking() {
    let mut upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        client.send([ONE, TWO].concat()).await;
        assert_eq!(client.response().await, (200, "GET /one 0".into()));
        assert_eq!(client.response().await, (200, "GET /two 0".into()));
    }
    assert_eq!(gateway.stats.accepted.get(), 1);
    for _ in 0..3 {
        assert_eq!(soon(upstream.whole.recv()).await.unwrap().target, "/one");
        assert_eq!(soon(upstream.whole.recv()).await.unwrap().target, "/two");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_fifty_pipelined_requests_of_every_framing_in_order() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    let mut wire = String::new();
    for number in 0..50 {
        wire += &match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
            _ => {
                format!("POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            }
        };
    }
    client.send(wire).await;
    for number in 0..50 {
        let (method, length) = if number % 3 == 0 { ("GET", 0) } else { ("POST", 3) };
        assert_eq!(client.response().await, (200, format!("{method} /{number} {length}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_while_the_first_is_in_flight_waits_for_its_turn() {
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until(b"one").await;
    client.send(TWO).await;
    upstream.go_on.notify_one();
    client.until(b"0\r\n\r\n").await;
    assert_eq!(client.response().await, (200, "GET /two 0".into()));
    assert!(matches!(gateway.head().await, Seen::Head { findings, .. } if findings.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_http_1_0_and_closes() {
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send("GET /old HTTP/1.0\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.ends_with("GET /old 0"), "{answer}");
    assert!(matches!(gateway.head().await, Seen::Head { findings, .. } if findings == ["http_1_0"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_shorter_than_the_http2_preface_is_answered_on_an_h2c_listener() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, How { h2c: true, ..How::default() });
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.rest().await.ends_with("GET / 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_connections_over_the_limit_and_counts_them() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, limits(|limits| limits.connections = 1));
    let mut first = gateway.connect().await;
    first.send(ONE).await;
    assert_eq!(first.response().await.0, 200);
    assert_eq!(gateway.connect().await.rest().await, "");
    assert_eq!((gateway.stats.refused.get(), gateway.stats.open.get()), (1, 1));
    first.send(TWO).await;
    assert_eq!(first.response().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_a_protocol_that_was_switched_to() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(client.until(b"\r\n\r\n").await.starts_with(b"HTTP/1.1 101 "));
    // Bytes that would be a broken head, were they still HTTP.
    for said in ["ping\n", "\0 HTTP\n"] {
        client.send(said).await;
        assert_eq!(client.until(b"\n").await, said.as_bytes());
    }
    assert_eq!(gateway.stats.malformed.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_was_not_asked_for_passes_nothing() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send("GET /switch HTTP/1.1\r\nHost: a\r\n\r\nping").await;
    client.until(b"\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_looks_like_a_switch_switches_nothing() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut client = gateway.connect().await;
    client.send(["GET /quote HTTP/1.1\r\nHost: a\r\n\r\n", ONE].concat()).await;
    assert_eq!(client.response().await, (200, "HTTP/1.1 101 is a quotation".into()));
    assert_eq!(client.response().await, (200, "GET /one 0".into()));
}
