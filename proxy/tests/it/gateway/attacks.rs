//! What an adversary tries: ways around the response guard, around the canonical target, into the seats of others.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Api, CANARY, KEY_ROUTE, OWN_ROUTE, Parts, Rig, raw};

fn routes() -> String {
    format!("{OWN_ROUTE}{KEY_ROUTE}")
}

/// Everything that comes back before the connection ends, interim answers included.
async fn everything(rig: &Rig, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_back_in_no_interim_answer_and_no_reason_phrase() {
    let script = b"HTTP/1.1 103 Early Hints\r\nlink: </canary-7f3a91c2e5-do-not-show>\r\n\r\n\
                   HTTP/1.1 200 canary-7f3a91c2e5-do-not-show\r\ncontent-length: 2\r\n\r\nok";
    let rig = Rig::start(Parts { routes: routes(), script: Some(script), ..Parts::default() }).await;
    let token = rig.issuer.token();
    let ask =
        format!("GET /paid/v1/items HTTP/1.1\r\nhost: paid.test\r\nassay-token: {token}\r\nconnection: close\r\n\r\n");
    let answer = everything(&rig, ask.as_bytes()).await;
    assert!(answer.contains("HTTP/1.1 103 ") && answer.ends_with("ok"), "{answer}");
    assert!(!answer.contains(CANARY), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_a_transfer_coding_that_can_t_be_searched_is_not_passed_on() {
    let script = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let rig = Rig::start(Parts { routes: routes(), script: Some(script), ..Parts::default() }).await;
    let token = rig.issuer.token();
    let answer = rig.get("paid.test", "/paid/v1/items", &[("assay-token", &token)]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (502, "upstream_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_names_another_target_or_sender_than_the_one_that_policy_saw() {
    let rig = Rig::start(Parts { routes: routes(), ..Parts::default() }).await;
    let names = [
        "x-original-url",
        "X_Original_URL",
        "x-rewrite-url",
        "x-original-method",
        "x-original-uri",
        "x-original-host",
        "x-host",
        "x-forwarded-server",
        "x-forwarded-prefix",
        "x-forwarded-scheme",
        "x-forwarded-ssl",
        "x-forwarded-uri",
        "x-forwarded-method",
        "front-end-https",
        "x-url-scheme",
        "x-client-ip",
        "client-ip",
        "x-cluster-client-ip",
        "x-originating-ip",
        "x-remote-addr",
        "x-remote-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "x-envoy-external-address",
        "x-envoy-original-path",
        "x-http-path-override",
        "assay-internal",
        "assay_client_address",
    ];
    let sent: Vec<(&str, &str)> = names.iter().map(|name| (*name, "/v1/admin")).collect();
    assert_eq!(rig.get("own.test", "/open/x", &sent).await.status, 200);
    let seen = rig.api.last();
    for name in names {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_gets_the_host_that_policy_saw() {
    let rig = Rig::start(Parts { routes: routes(), ..Parts::default() }).await;
    for (sent, expected) in [
        ("own.test", "own.test"),
        ("OWN.Test.", "own.test"),
        ("own.test:80", "own.test"),
        ("Own.test.:81", "own.test:81"),
    ] {
        assert_eq!(rig.get(sent, "/open/x", &[]).await.status, 200, "{sent}");
        assert_eq!(rig.api.last().headers["host"], expected, "{sent}");
    }
}

/// As many as the service appraises at once.
const SEATS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_take_no_seat_at_the_service() {
    let service = Api::start().await;
    let rig = Rig::start_serving(service.address, Parts { routes: routes(), ..Parts::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..SEATS {
        let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
        tcp.write_all(b"POST /assay/v1/attest HTTP/1.1\r\nhost: attest.test\r\ncontent-length: 100\r\n\r\n{")
            .await
            .unwrap();
        slow.push(tcp);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = rig.ask("POST", "attest.test", "/assay/v1/challenge", &[], b"{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_for_the_service_arrives_whole() {
    let service = Api::start().await;
    let rig = Rig::start_serving(service.address, Parts { routes: routes(), ..Parts::default() }).await;
    let body = vec![b'x'; 64 * 1024];
    for more in [&[][..], &[("expect", "100-continue")]] {
        assert_eq!(rig.ask("POST", "attest.test", "/assay/v1/attest", more, &body).await.status, 200);
        let seen = service.last();
        assert_eq!(seen.body, body);
        assert!(!seen.headers.contains_key("expect"));
    }
    let body = vec![b'x'; 64 * 1024 + 1];
    assert_eq!(rig.ask("POST", "attest.test", "/assay/v1/attest", &[], &body).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_answers_under_no_name_that_a_page_could_point_at_it() {
    let rig = Rig::start(Parts { routes: routes(), ..Parts::default() }).await;
    let address = rig.gateway.admin().unwrap();
    let ask = |host: String| async move {
        raw(address, format!("GET /status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .status
    };
    for host in [address.to_string(), format!("localhost:{}", address.port()), "[::1]:9".to_owned()] {
        assert_eq!(ask(host.clone()).await, 200, "{host}");
    }
    for host in ["attacker.example", "attacker.example:80", "127.0.0.1.attacker.example"] {
        assert_eq!(ask(host.to_owned()).await, 403, "{host}");
    }
}

/// A route that takes all paths as they are.
const WIDE_ROUTE: &str = r#"
  wide:
    match: { host: wide.test, path: "/**" }
    upstream: api
    key: vendor
    operations: [{ call: "GET /v1/**" }]
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_browsers_read_as_another_host_is_taken_out() {
    for (script, kept) in [
        (b"HTTP/1.1 302 Found\r\nlocation: /v1/next?a=b\r\ncontent-length: 0\r\n\r\n".as_slice(), true),
        (b"HTTP/1.1 302 Found\r\nlocation: /\\elsewhere.example/x\r\ncontent-length: 0\r\n\r\n", false),
        (b"HTTP/1.1 302 Found\r\nlocation: /\t/elsewhere.example/x\r\ncontent-length: 0\r\n\r\n", false),
        (b"HTTP/1.1 302 Found\r\nlocation: /v1/%2e%2e/x\r\ncontent-length: 0\r\n\r\n", false),
        (b"HTTP/1.1 302 Found\r\nlocation: /v1/x%2f%2e%2e\r\ncontent-length: 0\r\n\r\n", false),
    ] {
        let rig = Rig::start(Parts { routes: WIDE_ROUTE.to_owned(), script: Some(script), ..Parts::default() }).await;
        let token = rig.issuer.token();
        let answer = rig.get("wide.test", "/v1/items", &[("assay-token", &token)]).await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location").is_some(), kept, "{}", String::from_utf8_lossy(script));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_another_protocol_than_websocket_is_not_passed_on() {
    let script = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nraw";
    let rig = Rig::start(Parts { routes: routes(), script: Some(script), ..Parts::default() }).await;
    let more = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk";
    let answer = everything(&rig, format!("GET /open/x HTTP/1.1\r\nhost: own.test\r\n{more}\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("raw"), "{answer}");
}

/// One frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Asks this often on one HTTP/2 connection, and leaves no room for a byte of the answers.
async fn ask_without_a_window(rig: &Rig, host: &str, method: &str, path: &str, times: u32) -> TcpStream {
    let field = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        [&[0x10, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    let head =
        [field(":method", method), field(":scheme", "http"), field(":authority", host), field(":path", path)].concat();
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(4, 0, 0, &no_window)].concat();
    for n in 0..times {
        // The head ends here, and so does the request.
        bytes.extend(frame(1, 5, 2 * n + 1, &head));
    }
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    tcp.write_all(&bytes).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    tcp
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_hold_no_seat_once_the_upstream_has_given_them() {
    let service = Api::start().await;
    let parts = Parts { routes: routes(), public: ", h2c: true", api: ", concurrency: 4", ..Parts::default() };
    let rig = Rig::start_serving(service.address, parts).await;
    let _held = ask_without_a_window(&rig, "own.test", "GET", "/open/x", 4).await;
    assert_eq!(rig.get("own.test", "/open/x", &[]).await.status, 200);
    let _held = ask_without_a_window(&rig, "attest.test", "POST", "/assay/v1/challenge", 90).await;
    assert_eq!(rig.ask("POST", "attest.test", "/assay/v1/challenge", &[], b"{}").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_that_nobody_reads_hold_spare_seats_for_a_moment_only() {
    let public = ", limits: { write_timeout: 6s }";
    let parts = Parts { routes: routes(), public, api: ", concurrency: 3", ..Parts::default() };
    let rig = Rig::start(parts).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut refused = false;
    let mut held = Vec::new();
    // All seats but the reserve are theirs, until a write has waited for a sixth of the time: on a busy machine that may be
    // over before anybody has asked.
    while !refused {
        assert!(Instant::now() < deadline, "never 503");
        held.clear();
        for _ in 0..2 {
            let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
            tcp.write_all(b"GET /open/large HTTP/1.1\r\nhost: own.test\r\n\r\n").await.unwrap();
            held.push(tcp);
        }
        for _ in 0..20 {
            refused = refused || rig.get("own.test", "/open/x", &[]).await.status == 503;
        }
    }
    while rig.get("own.test", "/open/x", &[]).await.status != 200 {
        assert!(Instant::now() < deadline, "never 200");
    }
    drop(held);
}

/// What libraries log, in this process.
struct Heard(Mutex<Vec<String>>);

static HEARD: Heard = Heard(Mutex::new(Vec::new()));

impl log::Log for Heard {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {} {}", record.level(), record.target(), record.args()));
    }
    fn flush(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_can_t_be_parsed_is_shown_in_no_log() {
    log::set_logger(&HEARD).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    for script in [
        b"HTTP/1.1 200 OK\r\nx-echo: canary-7f3a91c2e5-do-not-show\r\nbad name: x\r\n\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ncanary-7f3a91c2e5-do-not-show\r\n",
    ] {
        let rig = Rig::start(Parts { routes: routes(), script: Some(script), ..Parts::default() }).await;
        let token = rig.issuer.token();
        let ask = format!(
            "GET /paid/v1/items HTTP/1.1\r\nhost: paid.test\r\nassay-token: {token}\r\nconnection: close\r\n\r\n"
        );
        let answer = everything(&rig, ask.as_bytes()).await;
        assert!(!answer.contains(CANARY), "{answer}");
        rig.logged(|line| line["path"] == "/paid/v1/items").await;
    }
    let heard = HEARD.0.lock().unwrap();
    assert!(heard.iter().all(|line| !line.contains(CANARY)), "{heard:#?}");
}
