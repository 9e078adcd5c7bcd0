//! The attestation service of this very process, behind the public listener.
//!
//! In come requests under the service's own host and prefix; out they go to its loopback address with
//! a secret that shows the service who forwards, and with the client's address. No policy judges them:
//! an app that asks for its first token has none. They are bounded all the same, in number and size.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use attest_core::target::Scheme;
use http::HeaderValue;
use keystore::Trust;
use settings::{Concurrency, Queue, ServeSettings, Timeouts, UpstreamSettings};

use crate::admission::{self, Admission};
use crate::upstream::{Upstream, UpstreamError};

/// Bytes of body: the service's own bound on an envelope.
pub(crate) const MOST_BODY: u64 = 64 * 1024;

/// The way to the service.
pub(crate) struct Internal {
    host: Option<String>,
    prefix: String,
    /// Where it listens.
    pub upstream: Arc<Upstream>,
    /// What proves to it that a request came through this gateway.
    pub secret: HeaderValue,
}

impl Internal {
    /// The way to the service at `address`.
    pub(crate) fn new(
        serve: &ServeSettings,
        address: SocketAddr,
        secret: HeaderValue,
        admission: Option<Arc<Admission>>,
    ) -> Result<Self, UpstreamError> {
        let settings = upstream_settings(serve, address);
        let admission = match admission {
            Some(admission) => admission,
            None => admission::open(&settings),
        };
        let upstream = Arc::new(Upstream::build(settings, admission, outbound::Dialer::system())?);
        let host = serve.host.as_deref().map(str::to_ascii_lowercase);
        Ok(Self { host, prefix: serve.path.clone(), upstream, secret })
    }

    /// Whether a canonical host and path are the service's.
    pub(crate) fn serves(&self, host: &str, path: &str) -> bool {
        let below =
            path.strip_prefix(self.prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        below && self.host.as_deref().is_none_or(|own| own == host)
    }
}

fn upstream_settings(serve: &ServeSettings, address: SocketAddr) -> UpstreamSettings {
    let concurrency = Concurrency::Fixed(serve.limits.concurrency.get().max(2));
    UpstreamSettings {
        name: NAME.to_owned(),
        scheme: Scheme::Http,
        host: match address.ip() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        },
        port: address.port(),
        // It is the address that this process bound itself.
        private_addresses: vec![address.ip().into()],
        danger_plaintext_loopback: true,
        concurrency,
        reserve: 1,
        queue: Queue::beside(concurrency),
        streams: concurrency.most().saturating_mul(4),
        timeouts: Timeouts::default(),
        ca_file: None,
        trust: Trust::PublicRoots,
        http2: false,
        preset: None,
    }
}

/// What log and metrics call it. No upstream of a configuration has a name with a blank.
pub(crate) const NAME: &str = "attestation service";
