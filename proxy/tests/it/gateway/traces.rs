//! Traces, against a collector that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;

use super::kit::{CANARY, KEY_ROUTE, OWN_ROUTE, Parts, Rig};

const CLIENTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Takes traces as a collector does.
struct Collector {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start() -> Self {
        let posts: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/otlp/v1/traces", axum::routing::post(take)).with_state(posts.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, posts }
    }

    /// Everything so far, as it was sent.
    fn bytes(&self) -> Vec<u8> {
        self.posts.lock().unwrap().concat()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let posts = self.posts.lock().unwrap();
        posts.iter().map(|post| ExportTraceServiceRequest::decode(post.clone()).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The server span of this route, once it is there.
    async fn whole(&self, route: &str) -> Span {
        let start = Instant::now();
        loop {
            let server = SpanKind::Server as i32;
            if let Some(span) = self.spans().into_iter().find(|span| span.kind == server && span.name == route) {
                return span;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "no span of {route} among {:#?}", self.spans());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(posts): State<Arc<Mutex<Vec<Bytes>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    posts.lock().unwrap().push(body);
    StatusCode::OK
}

async fn rig(collector: SocketAddr, sample: &str, public: &'static str) -> Rig {
    let top = traces_to(collector, sample);
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), top, public, ..Parts::default() }).await
}

fn traces_to(collector: SocketAddr, sample: &str) -> &'static str {
    format!("log: {{ traces: {{ otlp: \"http://{collector}/otlp\", sample: {sample} }} }}").leak()
}

const LOOPBACK: &str = ", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8]";

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// An attribute as text; numbers in decimal.
fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_traced_request_is_told_in_words_of_the_log_and_without_a_secret() {
    let collector = Collector::start().await;
    let rig = rig(collector.address, "100%", "").await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token), ("traceparent", CLIENTS), ("tracestate", "vendor=1")];
    let answer = rig.ask("POST", "own.test", "/v1/a?q=query-value", &headers, b"body-value").await;
    assert_eq!(answer.status, 200);
    let seen = rig.api.last();
    let line = rig.logged(|line| line["route"] == "own").await;
    let span = collector.whole("own").await;

    for (name, value) in [
        ("http.request.method", "POST"),
        ("url.scheme", "http"),
        ("url.path", "/v1/a"),
        ("http.response.status_code", "200"),
        ("server.address", "own.test"),
        ("assay.verdict", "attested"),
        ("assay.rule", "genuine"),
        ("assay.action", "allow"),
        ("assay.class", "attested"),
        ("assay.decision_id", line["id"].as_str().unwrap()),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(attribute(&span, "error.type"), None);
    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    let named = resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert_eq!(named.value.clone().unwrap().value, Some(Value::StringValue("assay-gateway".into())));

    // The sender's trace goes on, under our span.
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(line["trace"], hex(&span.trace_id));
    let ours = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    assert_eq!(seen.headers["traceparent"], *ours);
    assert_eq!(seen.headers["tracestate"], "vendor=1");
    let steps: Vec<Span> = collector.spans().into_iter().filter(|step| step.parent_span_id == span.span_id).collect();
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["connect", "first_byte"]);
    for step in &steps {
        assert!(span.start_time_unix_nano <= step.start_time_unix_nano, "{step:?}");
        assert!(step.start_time_unix_nano <= step.end_time_unix_nano, "{step:?}");
        assert!(step.end_time_unix_nano <= span.end_time_unix_nano, "{step:?}");
    }

    // On a route with a key, nobody learns which trace it was; nobody learns the key anywhere.
    let headers = [&headers[..], &[("baggage", "user=1")]].concat();
    assert_eq!(rig.get("paid.test", "/paid/v1/echo", &headers).await.status, 200);
    let seen = rig.api.last();
    assert_eq!(seen.headers["x-api-key"], CANARY);
    for name in ["traceparent", "tracestate", "baggage"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    collector.whole("paid").await;
    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for secret in [CANARY, &*token, "query-value", "body-value", "user=1", "vendor=1"] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_answer_and_an_upstream_that_is_away_a_failure() {
    let collector = Collector::start().await;
    let gone = OWN_ROUTE.replace("own", "gone").replace("upstream: api", "upstream: gone");
    let rig = Rig::start(Parts {
        routes: format!("{OWN_ROUTE}{gone}"),
        upstreams: format!("  gone: {{ url: \"http://{}\"{LOOPBACK} }}\n", nobody().await),
        top: traces_to(collector.address, "100%"),
        ..Parts::default()
    })
    .await;
    assert_eq!(rig.get("own.test", "/v1/a", &[]).await.status, 401);
    let refused = collector.whole("own").await;
    assert_eq!(attribute(&refused, "assay.action").as_deref(), Some("block"));
    assert_eq!(attribute(&refused, "http.response.status_code").as_deref(), Some("401"));
    assert_eq!((attribute(&refused, "error.type"), refused.status.unwrap_or_default().code), (None, 0));
    let answer = rig.get("gone.test", "/open/a", &[]).await;
    let failed = collector.whole("gone").await;
    assert_eq!(attribute(&failed, "http.response.status_code"), Some(answer.status.to_string()));
    assert_eq!(attribute(&failed, "error.type").as_deref(), answer.json()["code"].as_str());
    assert_eq!(failed.status.unwrap().code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_decides_what_is_recorded() {
    let collector = Collector::start().await;
    let headers = [("traceparent", CLIENTS)];
    let rig_of_clients = rig(collector.address, "0.0001%", "").await;
    assert_eq!(rig_of_clients.get("own.test", "/open/a", &headers).await.status, 200);
    let seen = rig_of_clients.api.last().headers["traceparent"].to_str().unwrap().to_owned();
    assert!(seen.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && seen.ends_with("-00"), "{seen}");
    assert_eq!(
        rig_of_clients.get("own.test", "/open/a", &[("traceparent", "00-x"), ("tracestate", "a=1")]).await.status,
        200
    );
    let seen = rig_of_clients.api.last().headers;
    assert!(!seen.contains_key("traceparent") && !seen.contains_key("tracestate"), "{seen:?}");
    let line = rig_of_clients.logged(|line| line["route"] == "own").await;
    assert_eq!(line.get("trace"), None);

    let rig_of_a_proxy = rig(collector.address, "0.0001%", ", trusted_proxies: [127.0.0.0/8]").await;
    assert_eq!(rig_of_a_proxy.get("own.test", "/open/a", &headers).await.status, 200);
    let span = collector.whole("own").await;
    let seen = rig_of_a_proxy.api.last().headers["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(seen, format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_spans_and_no_request() {
    let rig = rig(nobody().await, "100%", "").await;
    for _ in 0..20 {
        assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
    }
    let start = Instant::now();
    while rig.metric("assay_traces_dropped_total", &["why=\"not_sent\""]).await < 20.0 {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_before_the_end_and_a_stuck_collector_holds_it_a_second() {
    let collector = Collector::start().await;
    let rig_of_it = rig(collector.address, "100%", "").await;
    assert_eq!(rig_of_it.get("own.test", "/open/a", &[]).await.status, 200);
    rig_of_it.logged(|line| line["route"] == "own").await;
    rig_of_it.gateway.shutdown();
    rig_of_it.gateway.wait().await;
    assert!(collector.spans().iter().any(|span| span.name == "own"));

    // Accepts, and never answers.
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig_of_stuck = rig(stuck.local_addr().unwrap(), "100%", "").await;
    let start = Instant::now();
    assert_eq!(rig_of_stuck.get("own.test", "/open/a", &[]).await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    rig_of_stuck.logged(|line| line["route"] == "own").await;
    let start = Instant::now();
    rig_of_stuck.gateway.shutdown();
    rig_of_stuck.gateway.wait().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_collector_takes_a_restart() {
    let collector = Collector::start().await;
    let rig = rig(collector.address, "100%", "").await;
    rig.edit(|text| text.replace("sample: 100%", "sample: 50%"));
    let answer = rig.admin("POST", "/reload").await;
    assert_eq!(answer.status, 409);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("log.traces") && error.contains("restart"), "{error}");
}
