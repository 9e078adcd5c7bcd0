//! What the listeners count, as figures.

use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labels::WhyLabels;
use crate::connection::ConnectionStats;

/// What the listeners count: connections that never became a request have no other place to be seen.
#[derive(Debug, Default)]
pub(crate) struct Listeners(OnceLock<std::sync::Arc<ConnectionStats>>);

impl Listeners {
    /// Begins to tell these counts.
    pub(crate) fn watch(&self, stats: std::sync::Arc<ConnectionStats>) {
        // There is one edge in the life of a process.
        let _ = self.0.set(stats);
    }

    /// Open connections of clients.
    pub(crate) fn open(&self) -> u64 {
        self.0.get().map_or(0, |stats| stats.open.get())
    }
}

impl Collector for Listeners {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(stats) = self.0.get() else { return Ok(()) };
        let open = ConstGauge::new(stats.open.get());
        open.encode(encoder.encode_descriptor("connections", "Open client connections", None, open.metric_type())?)?;
        let accepted = ConstCounter::new(stats.accepted.get());
        let help = "Client connections accepted";
        accepted.encode(encoder.encode_descriptor("connections_accepted", help, None, accepted.metric_type())?)?;
        let help = "Connections that ended without a request, by reason";
        let mut family = encoder.encode_descriptor("connections_ended", help, None, MetricType::Counter)?;
        for (why, count) in [
            ("limit", &stats.refused),
            ("head_timeout", &stats.head_timeout),
            ("head_too_large", &stats.head_too_large),
            ("malformed", &stats.malformed),
            ("tls", &stats.tls_failed),
            ("panic", &stats.panicked),
        ] {
            ConstCounter::new(count.get()).encode(family.encode_family(&WhyLabels { why })?)?;
        }
        Ok(())
    }
}
