//! What the search of answers reaches beyond plain bodies: trailers from HTTP/2 to HTTP/2, gRPC, what was made from a key;
//! and that somebody is told.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keystore::Trust;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::kit::{CANARY, KEY_ROUTE, MoreKey, Parts, Rig, tls_api};
use super::protocols::h2;

const SECRET: &str = "http2-canary-0123456789abcdef";

/// An API on HTTP/2 that sends its key back: in the head, in the body, in trailers.
struct Careless {
    url: String,
    roots: String,
    trust: String,
}

async fn careless() -> Careless {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (root, servers) = tls_api::authority("servers");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let certificate = params.signed_by(&key, &servers).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = hyper::service::service_fn(|request| async move { Ok::<_, Infallible>(echo(&request)) });
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http2.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    let trust = Trust::in_private_roots(root.pem().as_bytes()).to_string();
    Careless { url, roots: root.pem(), trust }
}

type Frames = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn echo(request: &Request<Incoming>) -> Response<Frames> {
    let key = request.headers().get("x-api-key").cloned().unwrap_or(HeaderValue::from_static("none"));
    let said = key.to_str().unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("of-nothing-secret"));
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("grpc-message", HeaderValue::from_str(&format!("you sent {said}")).unwrap());
    let body = match request.uri().path().rsplit('/').next().unwrap() {
        // It ends where a key could go on.
        "partial" => format!("almost {}", &said[..12.min(said.len())]),
        _ => format!("\0\0\0\0\x20you sent {said}"),
    };
    let frames = vec![Ok(Frame::data(Bytes::from(body))), Ok(Frame::trailers(trailers))];
    let kind = request.headers().get("content-type").cloned().unwrap_or(HeaderValue::from_static("text/plain"));
    let answer = Response::builder().header("content-type", kind).header("x-echo", key);
    answer.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap()
}

async fn rig() -> Rig {
    let api = careless().await;
    let recipe = json!({ "kind": "header", "name": "x-api-key", "template": "{key}" });
    let key = MoreKey { name: "two", secret: SECRET.into(), recipe, elsewhere: Some((api.url.clone(), api.trust)) };
    let routes = r#"
  two:
    match: { host: two.test, path: "/v1/**" }
    upstream: two
    key: two
    operations:
      - { call: "GET /v1/**" }
      - { call: "POST /v1/**", body: { limit: 64KiB } }
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
"#;
    let upstreams =
        format!("  two: {{ url: \"{}\", ca_file: roots.pem, private_addresses: [127.0.0.0/8], http2: true }}", api.url);
    let files = vec![("roots.pem", api.roots.into_bytes())];
    Rig::start(Parts {
        routes: format!("{KEY_ROUTE}{routes}"),
        upstreams,
        keys: vec![key],
        files,
        public: ", h2c: true",
        ..Parts::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_are_masked_from_http_2_to_http_2() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let mut client = h2(&rig).await;
    let request = Request::get("http://two.test/v1/plain").header("assay-token", &token).body(Full::default()).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["x-echo"].as_bytes().iter().all(|byte| *byte == b'*'));
    let collected = answer.into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap().clone();
    assert_eq!(trailers["grpc-message"], format!("you sent {}", "*".repeat(SECRET.len())));
    assert_eq!(trailers["x-checksum"], "of-nothing-secret");
    let body = collected.to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains(SECRET) && body.ends_with(b"****"), "{body:?}");
    let line = rig.logged(|line| line["route"] == "two").await;
    assert_eq!(line["scrubbed"], 3, "head, body, trailers: {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_when_trailers_come_ends_the_stream_and_is_not_lost_in_silence() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let mut client = h2(&rig).await;
    let request =
        Request::get("http://two.test/v1/partial").header("assay-token", &token).body(Full::default()).unwrap();
    // An answer that lacks its end must not look whole: it had not begun, so there is none of it.
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 502);
    let said = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&said).contains("almost"), "{said:?}");
    let line = rig.logged(|line| line["route"] == "two").await;
    assert_eq!(line["detail"], "trailers_after_a_partial_match", "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_grpc_pass_as_they_are_and_its_head_and_trailers_do_not() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let mut client = h2(&rig).await;
    let request = Request::post("http://two.test/v1/pkg.Service/Call")
        .header("assay-token", &token)
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let answer = client.send_request(request.body(Full::from("\0\0\0\0\0")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["x-echo"].as_bytes().iter().all(|byte| *byte == b'*'));
    let collected = answer.into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], trailers["grpc-message"].to_str().unwrap().contains(SECRET)),
        (&"0".parse().unwrap(), false)
    );
    // Said by `assay check`: a message is framed, and may be compressed.
    assert!(String::from_utf8_lossy(&collected.to_bytes()).contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_only_says_it_is_grpc_is_searched() {
    // The request was none, or the API speaks HTTP/1.1: no gRPC then, whatever the answer calls itself.
    let script: &'static [u8] = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: {}\r\n\r\n{CANARY}",
            CANARY.len()
        )
        .into_bytes()
        .into_boxed_slice(),
    );
    let rig = Rig::start(Parts { routes: KEY_ROUTE.to_owned(), script: Some(script), ..Parts::default() }).await;
    let token = rig.issuer.token();
    let headers = [("assay-token", token.as_str()), ("content-type", "application/grpc")];
    for (method, body) in [("GET", &b""[..]), ("POST", b"\0\0\0\0\0")] {
        let answer = rig.ask(method, "paid.test", "/paid/v1/x", &headers, body).await;
        assert_eq!((answer.status, answer.text().contains(CANARY)), (200, false), "{method}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_comes_back_is_masked_as_the_key_is() {
    let recipe = json!({
        "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "timestamp": "unix_ms",
        "message": "{method} {path} {timestamp}", "timestamp_header": "x-time",
        "name": "x-api-key", "template": "v1={signature}",
    });
    let key = MoreKey { name: "vendor-signed", secret: SECRET.into(), recipe, elsewhere: None };
    let routes = KEY_ROUTE
        .replace("  paid:", "  signed:")
        .replace("paid.test", "signed.test")
        .replace("key: vendor", "key: vendor-signed");
    let rig = Rig::start(Parts { routes, keys: vec![key], ..Parts::default() }).await;
    let token = rig.issuer.token();
    let answer = rig.get("signed.test", "/paid/v1/echo", &[("assay-token", &token)]).await;
    assert_eq!(answer.status, 200);
    let sent = rig.api.last().headers["x-api-key"].to_str().unwrap().to_owned();
    let signature = sent.strip_prefix("v1=").unwrap();
    assert_eq!(signature.len(), 64);
    let said = format!("{}\n{}", answer.header("x-echo-key").unwrap_or_default(), answer.text());
    assert!(!said.contains(signature) && said.contains("****"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_with_a_key_is_in_the_audit_log_and_one_without_is_not() {
    let rig = Rig::start(Parts { routes: KEY_ROUTE.to_owned(), ..Parts::default() }).await;
    let token = rig.issuer.token();
    for _ in 0..3 {
        assert_eq!(rig.get("paid.test", "/paid/v1/items", &[("assay-token", &token)]).await.status, 200);
    }
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &[]).await.status, 401);
    let line = rig.logged(|line| line["status"] == 200).await;
    let folder = rig.folder.path().join("state/audit");
    let entries = || -> Vec<serde_json::Value> {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let text = files.filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
        let text: String = text.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let uses = || entries().into_iter().filter(|entry| entry["what"] == "key_use").collect::<Vec<_>>();
    rig.until("three entries", async || uses().len() >= 3).await;
    let uses = uses();
    assert_eq!(uses.len(), 3, "{uses:?}");
    let of_line = uses.iter().find(|entry| entry["decision"] == line["id"]).unwrap();
    assert_eq!(
        (&of_line["route"], &of_line["key"], &of_line["version"]),
        (&json!("paid"), &json!("vendor"), &json!(1))
    );
    assert_eq!((&of_line["device"], &of_line["status"]), (&line["device"], &json!(200)));
    assert_eq!(of_line["fingerprint"], line["key"]["fingerprint"]);
    assert!(of_line["fingerprint"].as_str().is_some_and(|text| text.len() == 16));
    assert_eq!(rig.metric("assay_key_audit_dropped_total", &[]).await, 0.0);
}
