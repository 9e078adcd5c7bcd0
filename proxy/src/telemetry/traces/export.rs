//! From traces of ours to OTLP over HTTP: the one file that names types of the OpenTelemetry crates.
//!
//! In come requests that are over, from the queue; out go posts of many spans at once, one after the
//! other, each within its time. A batch that the collector does not take is lost and counted: nothing is
//! kept for it, and nothing waits. The client resolves names like the other clients of this process do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use outbound::{AddressRules, Dialer};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use settings::TracesSettings;
use tokio::sync::{mpsc, oneshot};

use super::{Step, Told, Trace};
use crate::telemetry::metrics::WhyLabels;

/// Requests told of in one post.
const BATCH: usize = 512;
/// How long spans are gathered: at most this late they are sent.
const GATHER: Duration = Duration::from_secs(1);
/// Time for a whole post.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: it says what was not taken, and nobody acts on it.
const MOST_ANSWER: usize = 64 << 10;
/// How often a collector that is away is complained of.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The way to the collector.
pub(super) struct Collector {
    exporter: SpanExporter,
    scope: InstrumentationScope,
    trouble: Trouble,
    dropped: Family<WhyLabels, Counter>,
    complaints: Complaints,
}

/// Why the last post failed: the exporter's own error only says that it did.
type Trouble = Arc<Mutex<Option<String>>>;

impl Collector {
    pub(super) fn new(settings: &TracesSettings, dropped: Family<WhyLabels, Counter>) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Names))
            .build()
            .map_err(|why| why.to_string())?;
        let trouble = Trouble::default();
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { client, trouble: trouble.clone() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .with_timeout(PATIENCE)
            // Its own would put the thread to sleep, and that is the thread of other tasks too.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|why| why.to_string())?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name(settings.service_name.clone());
        exporter.set_resource(&resource.with_attribute(version).build());
        let scope = InstrumentationScope::builder("assay").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { exporter, scope, trouble, dropped, complaints: Complaints::default() })
    }

    /// Sends what comes until it is told to stop; then what is left.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<(Trace, Told)>, mut stop: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        let mut open = true;
        loop {
            tokio::select! {
                got = waiting.recv_many(&mut batch, BATCH) => if got == 0 { return },
                _ = &mut stop, if open => open = false,
            }
            let until = tokio::time::Instant::now() + GATHER;
            while open && batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    got = waiting.recv_many(&mut batch, room) => if got == 0 { break },
                    () = tokio::time::sleep_until(until) => break,
                    _ = &mut stop => open = false,
                }
            }
            if !open {
                // What is in the queue can still be taken; nothing more comes in.
                waiting.close();
            }
            if !batch.is_empty() {
                self.send(&mut batch).await;
            }
        }
    }

    async fn send(&mut self, batch: &mut Vec<(Trace, Told)>) {
        let requests = batch.len();
        let spans = batch.drain(..).flat_map(|(trace, told)| spans(trace, told, &self.scope)).collect();
        match self.exporter.export(spans).await {
            Ok(()) => self.complaints.is_well(),
            Err(why) => {
                let lost = u64::try_from(requests).unwrap_or(u64::MAX);
                self.dropped.get_or_create(&WhyLabels { why: "not_sent" }).inc_by(lost);
                let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
                let told = trouble.unwrap_or_else(|| why.to_string());
                if self.complaints.is_due(Instant::now()) {
                    tracing::warn!(requests, "the collector of traces did not take them, they are lost: {told}");
                }
            }
        }
    }
}

/// One complaint at once, then one a minute, however often the collector comes and goes.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    /// Whether the log's last word is that it is away.
    away: bool,
}

impl Complaints {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= COMPLAIN_EVERY);
        if due {
            self.last = Some(now);
            self.away = true;
        }
        due
    }

    fn is_well(&mut self) {
        if std::mem::take(&mut self.away) {
            tracing::info!("the collector of traces takes them again");
        }
    }
}

/// Our own HTTP client, as the exporter wants it.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    trouble: Trouble,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let posted = self.post(request).await;
        if let Err(why) = &posted {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(innermost(why));
        }
        Ok(posted?)
    }
}

impl Client {
    async fn post(&self, request: Request<Bytes>) -> reqwest::Result<Response<Bytes>> {
        let request = reqwest::Request::try_from(request)?;
        let mut answer = self.client.execute(request).await.map_err(reqwest::Error::without_url)?;
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + piece.len() > MOST_ANSWER {
                break;
            }
            body.extend_from_slice(&piece);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = answer.status();
        Ok(response)
    }
}

/// Names of collectors, resolved and checked as everywhere. One may well be in a private network.
#[derive(Debug)]
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = Dialer::system().addresses(name.as_str(), 0, &AddressRules::any_private()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What it came from, as "connection refused": the outer ones say that a request was sent.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The spans of one request: its own first, then its parts.
fn spans(trace: Trace, told: Told, scope: &InstrumentationScope) -> Vec<SpanData> {
    let started = at(told.began);
    let span = |id: u64, parent: Option<u64>, name: String, kind, from, to| SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace.id),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: kind == SpanKind::Server && parent.is_some(),
        span_kind: kind,
        name: name.into(),
        start_time: from,
        end_time: to,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    };
    let mut whole =
        span(trace.span, trace.parent, told.route.to_string(), SpanKind::Server, started, started + told.took);
    let steps: Vec<SpanData> = (1_u64..)
        .zip(&told.steps)
        .map(|(n, Step { name, from, to })| {
            // Different from the whole's and from each other; an id is only compared.
            let id = (trace.span ^ n).max(1);
            span(id, Some(trace.span), (*name).to_owned(), SpanKind::Internal, started + *from, started + *to)
        })
        .collect();
    if told.status.is_none_or(|status| status.is_server_error()) {
        whole.status = Status::error("");
    }
    whole.attributes = attributes(told);
    std::iter::once(whole).chain(steps).collect()
}

/// # Source
/// OpenTelemetry semantic conventions for HTTP spans, 1.23 and later; `assay.*` are words of the access log.
fn attributes(told: Told) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", told.method.as_str().to_owned()),
        KeyValue::new("url.scheme", told.scheme),
        KeyValue::new("url.path", told.path),
        KeyValue::new("server.address", told.host),
        KeyValue::new("assay.decision_id", told.decision.text().as_str().to_owned()),
    ];
    if let Some(status) = told.status {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    }
    attributes.extend(told.failure.map(|word| KeyValue::new("error.type", word)));
    attributes.extend(told.rule.map(|rule| KeyValue::new("assay.rule", rule)));
    for (name, word) in [("assay.verdict", told.verdict), ("assay.action", told.action), ("assay.class", told.class)] {
        attributes.extend(word.map(|word| KeyValue::new(name, word)));
    }
    attributes
}

fn at(time: attest_core::time::UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_comes_and_goes_is_complained_of_once_a_minute() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        let said = (0..600).filter(|second| {
            if second % 2 == 0 {
                complaints.is_well();
            }
            complaints.is_due(now + Duration::from_secs(*second))
        });
        assert_eq!(said.count(), 10);
    }
}
