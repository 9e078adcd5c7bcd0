//! Told to stop: what rests ends at once, what runs may finish, and not for ever.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy::listener::Drained;
use tokio::net::TcpStream;

use super::kit::{Gateway, How, Upstream, counted, soon};

#[tokio::test(flavor = "multi_thread")]
async fn ends_idle_and_half_sent_at_once_and_lets_a_stream_finish() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let (mut idle, mut silent, mut half, mut stream) =
        (gateway.connect().await, gateway.connect().await, gateway.connect().await, gateway.connect().await);
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.response().await;
    half.send("GET / HTTP/1.1\r\nHo").await;
    stream.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stream.until(b"one").await;

    gateway.stop.send(true).unwrap();
    for resting in [&mut idle, &mut silent, &mut half] {
        assert_eq!(resting.rest().await, "");
    }
    assert!(TcpStream::connect(gateway.address).await.is_err(), "nothing new is accepted");
    assert!(!gateway.ended.is_finished());
    upstream.go_on.notify_one();
    assert!(stream.rest().await.ends_with("two\r\n0\r\n\r\n"), "the stream finished whole");
    assert_eq!(soon(gateway.ended).await.unwrap().unwrap(), Drained { cut: 0 });
    counted(&gateway.stats.open, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_what_has_not_finished_by_the_drain_limit() {
    let upstream = Upstream::start().await;
    let mut how = How::default();
    how.limits.drain = Duration::from_millis(200);
    let gateway = Gateway::start(upstream.address, how);
    let mut stream = gateway.connect().await;
    stream.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stream.until(b"one").await;
    gateway.stop.send(true).unwrap();
    assert_eq!(soon(gateway.ended).await.unwrap().unwrap(), Drained { cut: 1 });
    assert!(!stream.rest().await.contains("0\r\n\r\n"), "a cut stream must not look whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_done_within_a_second_when_idle() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, How { h2c: true, ..How::default() });
    let mut idle = gateway.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.response().await;
    let tcp = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://a/one").body(Empty::<Bytes>::new()).unwrap();
    drop(soon(sender.send_request(request)).await.unwrap());
    // A client that says it speaks HTTP/2 and then nothing more.
    let mut mute = gateway.connect().await;
    mute.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;

    // Clients that have not even said which protocol they speak.
    let mut silent = gateway.connect().await;
    let mut half = gateway.connect().await;
    half.send("PRI * HT").await;

    let asked = Instant::now();
    gateway.stop.send(true).unwrap();
    assert_eq!(soon(gateway.ended).await.unwrap().unwrap(), Drained { cut: 0 });
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    silent.rest().await;
    half.rest().await;
    soon(connection).await.unwrap().unwrap();
    mute.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_server_cuts_at_once() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    let mut stream = gateway.connect().await;
    stream.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    stream.until(b"one").await;
    gateway.ended.abort();
    assert!(!stream.rest().await.contains("0\r\n\r\n"));
}
