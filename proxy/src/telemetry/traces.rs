//! Traces of some requests, told to an OpenTelemetry collector without ever making a request wait.
//!
//! In comes a request on a route, with the trace that its sender is in, if any; out go spans, batched by
//! a task of their own. Between the two is one bounded queue: when the collector is slower than we are,
//! or away, spans are dropped and counted, requests go on. No span holds a token, a key, a query or a
//! body: [`Told`] has no place for one.
//!
//! A facade: the types of the OpenTelemetry crates are named in `traces/export.rs` and nowhere else.

mod export;
mod traceparent;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use settings::TracesSettings;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::export::Collector;
use self::traceparent::Parent;
use super::metrics::WhyLabels;
use crate::decision_id::DecisionId;

/// Requests that may wait for the collector.
const ROOM: usize = 2048;
/// How long the last spans may take when the process ends.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Chooses requests to trace and takes what is told of them. There is none where traces are off.
pub(crate) struct Traces {
    /// Chosen of a million.
    sample: u64,
    mix: RandomState,
    next: AtomicU64,
    queue: mpsc::Sender<(Trace, Told)>,
    dropped: Family<WhyLabels, Counter>,
}

/// The trace that one request is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    /// Our own span.
    span: u64,
    /// The sender's.
    parent: Option<u64>,
    sampled: bool,
}

/// What is told of a request that is over.
pub(crate) struct Told {
    /// The route's name.
    pub route: Arc<str>,
    pub decision: DecisionId,
    pub method: Method,
    pub scheme: &'static str,
    pub host: String,
    /// The canonical path, without a query.
    pub path: String,
    pub status: Option<StatusCode>,
    /// Why there was no whole answer, or a failure: a fixed word, or the status.
    pub failure: Option<Cow<'static, str>>,
    pub verdict: Option<&'static str>,
    pub rule: Option<String>,
    pub action: Option<&'static str>,
    pub class: Option<&'static str>,
    /// When its head had been read, to the millisecond.
    pub began: UnixTime,
    /// How long it took.
    pub took: Duration,
    /// Its parts, in order.
    pub steps: Vec<Step>,
}

/// A part of a request, as time since its head was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub name: &'static str,
    pub from: Duration,
    pub to: Duration,
}

/// Tells the collector; ends with the process.
pub(crate) struct Exporter {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// Starts to tell the collector of these settings, on this runtime. Connects to nothing yet.
///
/// # Errors
/// What keeps the exporter from being made, in words for the operator.
pub(crate) fn start(
    settings: &TracesSettings,
    runtime: &tokio::runtime::Handle,
    dropped: Family<WhyLabels, Counter>,
) -> Result<(Traces, Exporter), String> {
    let collector = Collector::new(settings, dropped.clone())?;
    let (queue, waiting) = mpsc::channel(ROOM);
    let (stop, stopped) = oneshot::channel();
    let task = runtime.spawn(collector.run(waiting, stopped));
    Ok((Traces::new(settings.sample.into(), queue, dropped), Exporter { task, stop }))
}

impl Exporter {
    /// Tells what is left, for as long as a second.
    pub(crate) async fn flush(self) {
        let Self { mut task, stop } = self;
        let _ = stop.send(());
        if tokio::time::timeout(LAST_PATIENCE, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the collector did not take the last traces in time; they are lost");
        }
    }
}

impl Traces {
    fn new(sample: u64, queue: mpsc::Sender<(Trace, Told)>, dropped: Family<WhyLabels, Counter>) -> Self {
        Self { sample, mix: RandomState::new(), next: AtomicU64::new(0), queue, dropped }
    }

    /// The trace of a request with this head, if it is in one: chosen by us, or begun by its sender.
    ///
    /// Only a trusted proxy's choice counts. Clients would otherwise decide what we send, and how much;
    /// for the same reason the choice does not depend on the id of the trace, which clients make up.
    pub(crate) fn begin(&self, headers: &HeaderMap, trusted: impl FnOnce() -> bool) -> Option<Trace> {
        let parent = Parent::of(headers);
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let sampled = match &parent {
            Some(parent) if trusted() => parent.sampled,
            _ => self.mix.hash_one(count) % ALL < self.sample,
        };
        if !sampled && parent.is_none() {
            return None;
        }
        let id = parent.as_ref().map_or_else(|| self.fresh_id(count), |parent| parent.trace);
        Some(Trace { id, span: self.random(count, 0), parent: parent.map(|parent| parent.span), sampled })
    }

    /// Hands over what is told of a traced request. Never waits.
    pub(crate) fn finish(&self, trace: Trace, told: Told) {
        if self.queue.try_send((trace, told)).is_err() {
            self.dropped.get_or_create(&WhyLabels { why: "queue_full" }).inc();
        }
    }

    fn fresh_id(&self, count: u64) -> u128 {
        u128::from(self.random(count, 1)) << 64 | u128::from(self.random(count, 2))
    }

    /// Never zero: that is no id.
    fn random(&self, count: u64, what: u8) -> u64 {
        self.mix.hash_one((count, what)).max(1)
    }
}

/// What `sample` is a part of.
const ALL: u64 = 1_000_000;

impl Trace {
    /// Whether it is recorded. One that is not is still passed on, so that its sender's spans stay one trace.
    pub(crate) fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Whether its sender began it.
    pub(crate) fn is_continued(&self) -> bool {
        self.parent.is_some()
    }

    /// The id, for the log: 32 digits.
    pub(crate) fn id(&self) -> impl std::fmt::Display {
        traceparent::Id(self.id)
    }

    /// The header for the upstream, with our span as the parent.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        traceparent::header(self.id, self.span, self.sampled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::names;

    const CLIENTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traces(sample: u64) -> (Traces, mpsc::Receiver<(Trace, Told)>) {
        let (queue, waiting) = mpsc::channel(1);
        (Traces::new(sample, queue, Family::default()), waiting)
    }

    fn head(traceparent: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(names::TRACEPARENT, HeaderValue::from_static(traceparent))])
    }

    fn told() -> Told {
        Told {
            route: "r".into(),
            decision: crate::decision_id::DecisionIds::new().next(UnixTime::from_secs(1)),
            method: Method::GET,
            scheme: "https",
            host: "h".into(),
            path: "/".into(),
            status: Some(StatusCode::OK),
            failure: None,
            verdict: None,
            rule: None,
            action: None,
            class: None,
            began: UnixTime::from_secs(1),
            took: Duration::ZERO,
            steps: Vec::new(),
        }
    }

    #[test]
    fn a_client_does_not_decide_what_is_recorded() {
        let (traces, _waiting) = traces(0);
        let trace = traces.begin(&head(CLIENTS), || false).unwrap();
        assert!(!trace.is_sampled() && trace.is_continued());
        let header = trace.header().unwrap();
        assert!(header.to_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{header:?}");
        assert!(header.to_str().unwrap().ends_with("-00") && !header.to_str().unwrap().contains("b7ad6b7169203331"));
    }

    #[test]
    fn a_trusted_proxy_decides_both_ways() {
        let (none, _waiting) = traces(0);
        assert!(none.begin(&head(CLIENTS), || true).unwrap().is_sampled());
        let (all, _waiting) = traces(ALL);
        let unsampled = head("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        assert!(!all.begin(&unsampled, || true).unwrap().is_sampled());
        assert!(all.begin(&unsampled, || false).unwrap().is_sampled());
        assert!(all.begin(&HeaderMap::new(), || true).unwrap().is_sampled());
    }

    #[test]
    fn a_malformed_parent_is_ignored() {
        let (none, _waiting) = traces(0);
        assert_eq!(none.begin(&head("00-bad"), || true), None);
        let (all, _waiting) = traces(ALL);
        assert!(!all.begin(&head("00-bad"), || true).unwrap().is_continued());
    }

    #[test]
    fn about_the_share_asked_for_is_chosen_and_ids_differ() {
        let (traces, _waiting) = traces(10_000);
        let chosen: Vec<Trace> = (0..100_000).filter_map(|_| traces.begin(&HeaderMap::new(), || false)).collect();
        // 1 % of 100 000 is 1000, give or take ten standard deviations.
        assert!((690..1310).contains(&chosen.len()), "{}", chosen.len());
        let ids: std::collections::HashSet<String> = chosen.iter().map(|trace| trace.id().to_string()).collect();
        assert_eq!(ids.len(), chosen.len());
        assert!(ids.iter().all(|id| id.len() == 32));
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (traces, _waiting) = traces(ALL);
        let trace = traces.begin(&HeaderMap::new(), || false).unwrap();
        for _ in 0..3 {
            traces.finish(trace, told());
        }
        assert_eq!(traces.dropped.get_or_create(&WhyLabels { why: "queue_full" }).get(), 2);
    }
}
