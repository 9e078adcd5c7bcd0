//! HTTP/2, gRPC, WebSocket, other issuers, a remote service, proxies in front.

use std::time::Duration;

use attest_core::time::{Clock, SystemClock};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::kit::{Issuer, KEY_ROUTE, OWN_ROUTE, Parts, Rig, elsewhere};

pub(super) async fn h2<B>(rig: &Rig) -> hyper::client::conn::http2::SendRequest<B>
where
    B: hyper::body::Body<Data = bytes::Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_goes_the_same_way() {
    let rig =
        Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), public: ", h2c: true", ..Parts::default() })
            .await;
    let token = rig.issuer.token();
    let mut client = h2(&rig).await;
    let request = |uri: &str| http::Request::get(format!("http://{uri}")).header("assay-token", &token);
    let answer = client.send_request(request("own.test/v1/a?b=1").body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(rig.api.last().target, "/v1/a?b=1");
    assert_eq!(rig.api.last().headers["host"], "own.test");
    let paid = client.send_request(request("paid.test/paid/v1/echo").body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(paid.status(), 200);
    let body = paid.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains(super::kit::CANARY));
    let dots = client.send_request(request("own.test/v1/%2e%2e/a").body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(dots.status(), 400);
    let head = http::Request::head("http://own.test/v1/a").body(Full::default()).unwrap();
    let refused = client.send_request(head).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_gets_a_refusal_as_a_status_of_its_own() {
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), public: ", h2c: true", ..Parts::default() }).await;
    let mut client = h2(&rig).await;
    for (token, status) in [(None, "16"), (Some("nonsense"), "7")] {
        let mut request =
            http::Request::post("http://own.test/pkg.Service/Call").header("content-type", "application/grpc");
        if let Some(token) = token {
            request = request.header("assay-token", token);
        }
        let answer = client.send_request(request.body(Full::from("\0\0\0\0\0")).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let collected = answer.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], status);
    }
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_passed_on_and_gives_its_seat_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 2048];
                let n = tcp.read(&mut head).await.unwrap();
                assert!(String::from_utf8_lossy(&head[..n]).to_ascii_lowercase().contains("upgrade: websocket"));
                // Pingora ends a tunnel whose 101 overtakes its own note that the request has no body: microseconds.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n";
                tcp.write_all(answer).await.unwrap();
                let mut frame = [0; 64];
                while let Ok(n @ 1..) = tcp.read(&mut frame).await {
                    tcp.write_all(&frame[..n]).await.unwrap();
                }
            });
        }
    });
    let upstreams = format!(
        "  ws: {{ url: \"http://127.0.0.1:{port}\", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8], concurrency: 1, streams: 8 }}\n"
    );
    let routes = OWN_ROUTE.replace("upstream: api", "upstream: ws");
    let rig = Rig::start(Parts { upstreams, routes, ..Parts::default() }).await;
    let token = rig.issuer.token();
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
        let head = format!(
            "GET /v1/ws HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        let n = tcp.read(&mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer[..n]));
        tcp.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        tcp.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
        tunnels.push(tcp);
    }
}

fn encode(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

/// A token as another issuer makes it: HS256, a fraction in `exp`, no `kid`.
fn foreign(secret: &[u8], claims: &str) -> String {
    let signing = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.as_bytes()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = aws_lc_rs::hmac::sign(&key, signing.as_bytes());
    format!("{signing}.{}", encode(signature.as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuer_s_tokens_are_taken_as_they_are_and_bound_to_their_header() {
    let secret = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let rig = Rig::start(Parts {
        top: "issuers: { approov: { profile: approov, keys: { secret_file: approov.secret, encoding: raw, algorithm: HS256 }, max_lifetime: 10m } }",
        routes: "
  moved:
    match: { host: moved.test, path: \"/**\" }
    upstream: api
    token: { issuer: approov, bind: [Authorization] }
    policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }
"
        .to_owned(),
        files: vec![("approov.secret", secret.to_vec())],
        ..Parts::default()
    })
    .await;
    let exp = SystemClock.now().secs() + 300;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"Bearer user-1");
    let pay = data_encoding::BASE64.encode(hash.as_ref());
    let token = foreign(secret, &format!(r#"{{"exp":{exp}.25,"did":"ExampleDID==","pay":"{pay}"}}"#));
    let with_bearer = format!("Bearer {token}");
    for (shown, user, status) in
        [(&token, "Bearer user-1", 200), (&with_bearer, "Bearer user-1", 200), (&token, "Bearer user-2", 403)]
    {
        let headers = [("approov-token", shown.as_str()), ("authorization", user)];
        assert_eq!(rig.get("moved.test", "/v1/a", &headers).await.status, status, "{user}");
    }
    assert_eq!(rig.logged(|line| line["status"] == 403).await["verdict"], "binding_mismatch");
    // The user's own credential is for the API; the attestation token is not.
    assert_eq!(rig.api.last().headers["authorization"], "Bearer user-1");
    assert!(!rig.api.last().headers.contains_key("approov-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_service_is_asked_with_its_token_and_held_to_its_pinned_key() {
    let issuer = Issuer::new();
    let parts = || Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() };
    let right = elsewhere(&issuer, "refresh: 1s", parts()).await;
    let mut wrong = elsewhere(&issuer, "refresh: 1s", parts()).await;
    let other = attest_core::feed::FeedKey::from_seed(&[99; 32]).unwrap().public_key().unwrap().to_string();
    wrong.files.retain(|(name, _)| *name != "feed.pub");
    wrong.files.push(("feed.pub", other.into_bytes()));
    for (parts, status) in [(right, 200), (wrong, 503)] {
        let rig = Rig::start_with(issuer.clone(), parts, |_| {}).await;
        let token = issuer.token();
        assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_client_and_its_scheme() {
    let rig = Rig::start(Parts {
        routes: OWN_ROUTE.to_owned(),
        public: ", trusted_proxies: [127.0.0.0/8]",
        ..Parts::default()
    })
    .await;
    rig.get("own.test", "/open/a", &[("x-forwarded-for", "6.6.6.6, 198.51.100.7"), ("x-forwarded-proto", "https")])
        .await;
    let headers = rig.api.last().headers;
    assert_eq!(headers["x-forwarded-for"], "198.51.100.7");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(rig.logged(|line| line["status"] == 200).await["address"], "198.51.100.7");
}
