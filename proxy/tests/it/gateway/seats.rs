//! What holds a seat at an upstream and what doesn't: uploads, streams, unread answers, clients that left.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Kept, OWN_ROUTE, Parts, Rig};
use super::protocols::h2;

/// One seat, which attested requests wait for up to five seconds.
const ONE_SEAT: &str = ", concurrency: 1, queue: { deadline: 5s, length: 10 }";

async fn rig(api: &'static str) -> Rig {
    Rig::start(Parts { routes: OWN_ROUTE.to_owned(), api, public: ", h2c: true", ..Parts::default() }).await
}

impl Rig {
    /// Sends these bytes and leaves the connection open.
    async fn begin(&self, head: String) -> TcpStream {
        let mut tcp = TcpStream::connect(self.gateway.public()).await.unwrap();
        tcp.write_all(head.as_bytes()).await.unwrap();
        tcp
    }

    /// An attested upload of so many bytes, of which only the first few come.
    async fn begin_upload(&self, length: usize) -> TcpStream {
        let token = self.issuer.token();
        self.begin(format!(
            "POST /v1/upload HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\ncontent-length: {length}\r\n\r\nfirst"
        ))
        .await
    }

    async fn of_api(&self, metric: &str) -> f64 {
        self.metric(metric, &["upstream=\"api\""]).await
    }

    /// Waits until as many wait for a seat.
    async fn until_waiting(&self, count: f64) {
        self.until("waiting", async || self.of_api("assay_waiting").await == count).await;
    }
}

/// The status line and what came after it until the connection paused.
async fn status(tcp: &mut TcpStream) -> String {
    let mut answer = vec![0; 12];
    let read = tokio::time::timeout(Duration::from_secs(10), tcp.read_exact(&mut answer)).await;
    read.expect("no answer came").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_uploads_of_attested_clients_hold_no_seat() {
    let rig = rig(", concurrency: 2").await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    // Small ones are waited for before anything is taken; of large ones this client gets two of four places.
    let mut small = Vec::new();
    for _ in 0..6 {
        small.push(rig.begin_upload(1_000).await);
    }
    let mut large = vec![rig.begin_upload(200_000).await, rig.begin_upload(200_000).await];
    rig.until("uploads", async || rig.of_api("assay_uploads").await == 2.0).await;
    let inflight = rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await;
    assert_eq!(inflight, 0.0);
    assert_eq!(rig.get("own.test", "/v1/a", &headers).await.status, 200);
    let mut third = rig.begin_upload(200_000).await;
    assert_eq!(status(&mut third).await, "HTTP/1.1 503");
    assert!(rig.metric("assay_shed_total", &["why=\"uploads\""]).await > 0.0);
    // Whoever goes on is served, whole.
    large[0].write_all(&vec![b'x'; 200_000 - 5]).await.unwrap();
    assert_eq!(status(&mut large[0]).await, "HTTP/1.1 200");
    assert_eq!(rig.api.seen().iter().filter(|seen| seen.body.len() == 200_000).count(), 1);
    small[0].write_all(&[b'x'; 995]).await.unwrap();
    assert_eq!(status(&mut small[0]).await, "HTTP/1.1 200");
    drop(large);
    rig.until("uploads", async || rig.of_api("assay_uploads").await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_an_unread_body_that_leaves_the_queue_leaves_it_at_once() {
    let rig = rig(ONE_SEAT).await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    let leaves = async {
        rig.until("a seat in use", async || {
            rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await == 1.0
        })
        .await;
        let upload = rig.begin_upload(200_000).await;
        rig.until_waiting(1.0).await;
        let left = Instant::now();
        drop(upload);
        rig.until_waiting(0.0).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    };
    let (answer, ()) = tokio::join!(rig.get("own.test", "/v1/slow?3000", &headers), leaves);
    assert_eq!(answer.status, 200);
    assert_eq!(rig.logged(|line| line["path"] == "/v1/upload").await["end"], "client_gone");
    assert!(rig.api.seen().iter().all(|seen| seen.target != "/v1/upload"));
}

/// A body that begins and does not go on.
fn stalled() -> BoxBody<Bytes, Infallible> {
    let first = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"first"))) });
    BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(first, futures_util::stream::pending())))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_too_with_a_body_and_without() {
    let rig = rig(ONE_SEAT).await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    let leaves = async {
        rig.until("a seat in use", async || {
            rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await == 1.0
        })
        .await;
        for (method, body) in [("GET", BodyExt::boxed(Empty::new())), ("POST", stalled())] {
            let mut client = h2(&rig).await;
            let request = http::Request::builder().method(method).uri("http://own.test/v1/left");
            let request = request.header("assay-token", &token).body(body).unwrap();
            let waits = tokio::spawn(async move { client.send_request(request).await.map(drop) });
            rig.until_waiting(1.0).await;
            let left = Instant::now();
            waits.abort();
            rig.until_waiting(0.0).await;
            assert!(left.elapsed() < Duration::from_secs(1), "{method}: {:?}", left.elapsed());
        }
    };
    let (answer, ()) = tokio::join!(rig.get("own.test", "/v1/slow?4000", &headers), leaves);
    assert_eq!(answer.status, 200);
    assert!(rig.api.seen().iter().all(|seen| seen.target != "/v1/left"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_by_a_client_that_is_still_uploading() {
    let rig = rig(", concurrency: 1, queue: { deadline: 200ms, length: 10 }").await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    let uploads = async {
        rig.until("a seat in use", async || {
            rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await == 1.0
        })
        .await;
        let (mut reads, mut writes) = rig.begin_upload(20_000_000).await.into_split();
        let writer = tokio::spawn(async move { while writes.write_all(&[b'x'; 16 * 1024]).await.is_ok() {} });
        let mut answer = Vec::new();
        // However the connection ends, the answer came before.
        let _ = tokio::time::timeout(Duration::from_secs(10), reads.read_to_end(&mut answer)).await.unwrap();
        let answer = super::kit::parse(&answer);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("overloaded")));
        let retry: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&retry));
        writer.await.unwrap();

        let mut client = h2(&rig).await;
        let request = http::Request::post("http://own.test/v1/upload").header("assay-token", &token);
        let answer = client.send_request(request.body(stalled()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 503);
        // The connection is as good as before.
        let request = http::Request::get("http://own.test/nothing").body(BodyExt::boxed(Empty::new())).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 401);
    };
    let (answer, ()) = tokio::join!(rig.get("own.test", "/v1/slow?2000", &headers), uploads);
    assert_eq!(answer.status, 200);
    assert!(rig.api.seen().iter().all(|seen| seen.target != "/v1/upload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_of_a_small_upload_the_connection_stays() {
    let rig = rig(", concurrency: 1, queue: { deadline: 200ms, length: 10 }").await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    let mut kept = Kept::to(rig.gateway.public()).await;
    let uploads = async {
        rig.until("a seat in use", async || {
            rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await == 1.0
        })
        .await;
        let refused = kept.ask("POST", "own.test", "/v1/upload", &token, &[b'x'; 30_000]).await;
        assert_eq!(refused.status, 503);
        // Refused by policy, before its body was looked at.
        assert_eq!(kept.ask("POST", "own.test", "/v1/upload", "nonsense", &[b'x'; 30_000]).await.status, 403);
    };
    let (answer, ()) = tokio::join!(rig.get("own.test", "/v1/slow?1500", &headers), uploads);
    assert_eq!(answer.status, 200);
    assert_eq!(kept.ask("POST", "own.test", "/v1/upload", &token, &[b'x'; 30_000]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_refused_over_their_cap_before_the_api_is_asked_where_it_can_be_known() {
    let rig = rig(", concurrency: 2, streams: 4").await;
    let token = rig.issuer.token();
    let endless = |accept: &str| {
        format!("GET /v1/endless HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\naccept: {accept}\r\n\r\n")
    };
    let (mut first, mut second) = (rig.begin(endless("*/*")).await, rig.begin(endless("*/*")).await);
    assert_eq!(status(&mut first).await, "HTTP/1.1 200");
    assert_eq!(status(&mut second).await, "HTTP/1.1 200");
    assert_eq!(rig.of_api("assay_streams").await, 2.0);
    let asked = rig.api.seen().len();
    // Half of the places are this client's.
    let told = rig.get("own.test", "/v1/endless", &[("assay-token", &token), ("accept", "text/event-stream")]).await;
    assert_eq!((told.status, told.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(rig.api.seen().len(), asked);
    let untold = rig.get("own.test", "/v1/endless", &[("assay-token", &token)]).await;
    assert_eq!((untold.status, untold.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(rig.metric("assay_shed_total", &["class=\"attested\"", "why=\"streams\""]).await, 2.0);
    // What is no stream is served all the while.
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
    drop((first, second));
    rig.until("streams", async || rig.of_api("assay_streams").await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_their_answers_keep_no_seat() {
    // Two seats for spare traffic, and places for a few that last.
    let rig = rig(", concurrency: 3, reserve: 1, streams: 16").await;
    let large = || rig.begin("GET /open/large HTTP/1.1\r\nhost: own.test\r\n\r\n".to_owned());
    let mut unread = vec![large().await, large().await];
    rig.until("seats in use", async || {
        rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"unattested\""]).await == 2.0
    })
    .await;
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 503);
    rig.until("seats given back", async || {
        rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"unattested\""]).await == 0.0
    })
    .await;
    assert_eq!(rig.of_api("assay_streams").await, 2.0);
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
    // Whoever reads after all gets all of it.
    let mut first = unread.swap_remove(0);
    let (mut piece, mut read) = (vec![0; 1 << 16], 0);
    while read < 64 << 20 {
        let n = tokio::time::timeout(Duration::from_secs(10), first.read(&mut piece)).await.unwrap().unwrap();
        assert!(n > 0, "cut after {read}");
        read += n;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spare_traffic_gets_no_seat_while_unread_answers_have_all_its_places() {
    // Of four places one is for the upper classes, and two are this client's.
    let rig = rig(", concurrency: 4, reserve: 1, streams: 4").await;
    let large = || rig.begin("GET /open/large HTTP/1.1\r\nhost: own.test\r\n\r\n".to_owned());
    let _unread = [large().await, large().await];
    rig.until("streams", async || rig.of_api("assay_streams").await == 2.0).await;
    let refused = rig.get("own.test", "/open/a", &[]).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(rig.metric("assay_shed_total", &["class=\"unattested\"", "why=\"streams\""]).await, 1.0);
    let token = rig.issuer.token();
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_on_spare_capacity_ends_when_an_attested_request_waits_for_its_seat() {
    let api = ", concurrency: 2, reserve: 1, streams: 2, queue: { deadline: 10s, length: 10 }";
    let public = ", trusted_proxies: [127.0.0.0/8]";
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), api, public, ..Parts::default() }).await;
    let token = rig.issuer.token();
    let attested = |path: &str, from: u8| {
        rig.begin(format!(
            "GET /v1/{path} HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\nx-forwarded-for: 192.0.2.{from}\r\n\r\n"
        ))
    };
    let _first = attested("endless", 1).await;
    rig.until("a stream", async || rig.of_api("assay_streams").await == 1.0).await;
    let mut slow =
        rig.begin("GET /open/large HTTP/1.1\r\nhost: own.test\r\nx-forwarded-for: 192.0.2.2\r\n\r\n".to_owned()).await;
    let in_use = |class: &'static str| {
        let rig = &rig;
        async move { rig.metric("assay_inflight", &["upstream=\"api\"", &format!("class=\"{class}\"")]).await }
    };
    rig.until("its seat", async || in_use("unattested").await == 1.0).await;
    // The places are taken before it needs one; then the other seat.
    let _second = attested("endless", 3).await;
    rig.until("two streams", async || rig.of_api("assay_streams").await == 2.0).await;
    let _unread = attested("large", 4).await;
    rig.until("the other seat", async || in_use("attested").await == 1.0).await;
    let reading = tokio::spawn(async move {
        let (mut piece, mut read) = (vec![0; 256 << 10], 0);
        while let Ok(n @ 1..) = slow.read(&mut piece).await {
            read += n;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        read
    });
    let waiting = rig.get("own.test", "/v1/a", &[("assay-token", &token), ("x-forwarded-for", "192.0.2.5")]).await;
    assert_eq!(waiting.status, 200, "{}", waiting.text());
    assert!(reading.await.unwrap() < 64 << 20, "it was cut");
    let line = rig.logged(|line| line["path"] == "/open/large").await;
    assert_eq!(line["end"], "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_asks_for_a_pause_gets_it_from_spare_traffic() {
    let script =
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), script: Some(script), ..Parts::default() }).await;
    let token = rig.issuer.token();
    rig.until("paused", async || {
        assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.header("retry-after"), Some("3600"));
        rig.get("own.test", "/open/a", &[]).await.header("retry-after") != Some("3600")
    })
    .await;
    assert!(rig.metric("assay_shed_total", &["class=\"unattested\"", "why=\"paused\""]).await > 0.0);
    // Attested requests go on.
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.header("retry-after"), Some("3600"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adaptive_limit_begins_where_it_is_told_and_a_reload_can_fix_it() {
    let rig = rig(", concurrency: { adaptive: { min: 4, max: 100, start: 20 } }").await;
    let token = rig.issuer.token();
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
    assert_eq!(rig.of_api("assay_concurrency_limit").await, 20.0);
    assert_eq!(rig.of_api("assay_concurrency_gradient").await, 1.0);
    rig.edit(|text| text.replace("concurrency: { adaptive: { min: 4, max: 100, start: 20 } }", "concurrency: 7"));
    rig.gateway.reload().await.unwrap();
    assert_eq!(rig.of_api("assay_concurrency_limit").await, 7.0);
}
