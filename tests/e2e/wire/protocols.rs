//! Pipelining, HTTP/2 and streams: many requests on one connection, each with its own answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::files::Files;
use e2e::house::{House, SampleApi};
use e2e::upstream::{Recorder, ok};
use e2e::wire::{Connection, request};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

const KEY: &str = "sk_live_0123456789abcdef";

/// An API that answers with the request line it saw.
fn echo() -> Recorder {
    Recorder::answering(|seen| ok("text/plain", seen.line()))
}

#[test]
fn ten_pipelined_requests_get_ten_answers_in_their_order() {
    let api = echo();
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    let mut bytes = Vec::new();
    for number in 0..10 {
        // The fourth has no token, the seventh a body: neither shifts the others.
        let headers: &[(&str, &str)] = if number == 3 { &[] } else { &[("Assay-Token", &token)] };
        let (method, body): (_, &[u8]) =
            if number == 6 { ("POST", b"GET /own/body HTTP/1.1\r\n\r\n") } else { ("GET", b"") };
        bytes.extend(request(method, &format!("/own/{number}"), headers, body));
    }
    let mut connection = Connection::open(&house.public);
    connection.send(&bytes);
    for number in 0..10 {
        let answer = connection.answer().unwrap_or_else(|| panic!("no answer to request {number}"));
        if number == 3 {
            assert_eq!(answer.status, 401);
        } else {
            let method = if number == 6 { "POST" } else { "GET" };
            assert_eq!((answer.status, answer.text()), (200, format!("{method} /own/{number} HTTP/1.1")));
        }
    }
    assert_eq!(api.seen().len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_without_tls_is_served_with_the_same_rules() {
    let api = echo();
    let (house, api) =
        tokio::task::spawn_blocking(move || (House::together(Files::new(), &api.address, KEY), api)).await.unwrap();
    let token = tokio::task::block_in_place(|| house.token());
    let tcp = tokio::net::TcpStream::connect(&house.public).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |method: &str, path: String, token: &str, body: &'static [u8]| {
        let mut request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        if !token.is_empty() {
            request = request.header("assay-token", token);
        }
        let sent = sender.clone().send_request(request.body(Full::new(Bytes::from_static(body))).unwrap());
        async move {
            let answer = sent.await.unwrap();
            let status = answer.status();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8_lossy(&body).into_owned())
        }
    };
    // All at once on one connection.
    let together: Vec<_> =
        (0..10).map(|number| tokio::spawn(ask("GET", format!("/own/{number}"), &token, b""))).collect();
    for (number, one) in together.into_iter().enumerate() {
        assert_eq!(one.await.unwrap(), (StatusCode::OK, format!("GET /own/{number} HTTP/1.1")));
    }
    assert_eq!(ask("POST", "/own/post".into(), &token, b"hello").await.0, StatusCode::OK);
    assert_eq!(api.last().body, b"hello");
    assert_eq!(ask("GET", "/paid/v1/paid".into(), &token, b"").await.0, StatusCode::OK);
    assert_eq!(api.last().values("x-api-key"), [KEY]);
    let before = api.seen().len();
    let (status, body) = ask("GET", "/paid/v1/paid".into(), "", b"").await;
    assert!(status == StatusCode::UNAUTHORIZED && body.contains("attestation_required"), "{status} {body}");
    assert_eq!(ask("GET", "/paid/v1/paid".into(), "nonsense", b"").await.0, StatusCode::FORBIDDEN);
    for trick in ["/own/%2e%2e/x", "/own//x", "/own/;a", "/own/a%2fb"] {
        assert_eq!(ask("GET", trick.into(), &token, b"").await.0, StatusCode::BAD_REQUEST, "{trick}");
    }
    assert_eq!(api.seen().len(), before);
    drop(sender);
    connection.abort();
}

#[test]
fn events_pass_one_by_one() {
    let files = Files::new();
    let api = SampleApi::start(&files);
    let (address, key) = (api.address.clone(), api.key.clone());
    let house = House::together(files, &address, &key);
    let token = house.token();
    let mut stream = std::net::TcpStream::connect(&house.public).unwrap();
    std::io::Write::write_all(
        &mut stream,
        &request("GET", "/paid/v1/stream?n=4&ms=150", &[("Assay-Token", &token)], b""),
    )
    .unwrap();
    let (mut seen, mut piece, mut arrivals) = (Vec::new(), [0; 4096], Vec::new());
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    while arrivals.len() < 4 {
        let n = std::io::Read::read(&mut stream, &mut piece).unwrap();
        assert!(n > 0, "ended after {} events", arrivals.len());
        seen.extend_from_slice(&piece[..n]);
        let events = seen.windows(6).filter(|w| w == b"data: ").count();
        arrivals.resize_with(events, Instant::now);
    }
    let gaps: Vec<_> = arrivals.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
    assert!(gaps.iter().all(|gap| *gap > Duration::from_millis(40)), "{gaps:?}");
}
