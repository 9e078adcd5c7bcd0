//! Stage 6 and 8: the APIs behind the gateway, and the addresses they are dialled at.
//!
//! In comes an upstream of the configuration; out go ready [`HttpPeer`]s, one for each address that was
//! resolved *and* checked, by `outbound`. What was checked is what is dialled: a peer holds an address, never a name.
//! Name and certificate stay those of the configuration, whatever address is behind them.
//!
//! Names are resolved again in the background. An answer that is empty, or holds nothing that may be
//! dialled, leaves the last good list in use for [`KEEP_STALE`]; after that there is no address, and
//! the client gets 502. An unchecked address is never used.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use attest_core::target::Scheme;
use http::HeaderValue;
use keystore::Trust;
use outbound::place::bare;
use outbound::{AddressRules, Dialer};
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use settings::UpstreamSettings;

use crate::admission::Admission;

mod resolve;
#[cfg(test)]
mod tests;

pub(crate) use resolve::keep_resolved;

/// How long addresses stay in use while their name can't be resolved.
const KEEP_STALE: Duration = Duration::from_secs(600);

/// Why an upstream can't be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The address is written out and may not be dialled.
    #[error("upstream {name}: {address} can't be used: {why}")]
    Forbidden { name: String, address: IpAddr, why: outbound::Forbidden },
    /// The roots can't be read.
    #[error("upstream {name}: {path}: {why}")]
    Roots { name: String, path: String, why: String },
    /// The host can't stand in a header.
    #[error("upstream {name}: its host is not a host")]
    Host { name: String },
}

/// One API: where it is, how many requests it takes at once.
pub(crate) struct Upstream {
    /// As the configuration has it.
    pub settings: UpstreamSettings,
    /// The name, for labels.
    pub name: Arc<str>,
    /// Its seats. The same ones before and after a reload.
    pub admission: Arc<Admission>,
    /// `Host` of requests that are not sent under the client's own.
    pub host: HeaderValue,
    /// Everything about a peer but its address.
    template: HttpPeer,
    peers: ArcSwap<Vec<HttpPeer>>,
    next: AtomicUsize,
    resolved: Mutex<Resolved>,
    dialer: Dialer,
    rules: AddressRules,
}

/// When the name was last resolved to something usable, and what was wrong since.
#[derive(Debug, Default, Clone)]
pub(crate) struct Resolved {
    /// The last success.
    pub at: Option<Instant>,
    /// The failure after it.
    pub problem: Option<String>,
}

impl Upstream {
    /// The upstream with its seats; addresses come from [`Self::resolve`], which asks `dialer`, except for a literal one.
    pub(crate) fn build(
        settings: UpstreamSettings,
        admission: Arc<Admission>,
        dialer: Dialer,
    ) -> Result<Self, UpstreamError> {
        let roots = settings.ca_file.as_deref().map(|path| roots(&settings, path)).transpose()?;
        let template = template(&settings, roots);
        let host = host_header(&settings).ok_or_else(|| UpstreamError::Host { name: settings.name.clone() })?;
        let upstream = Self {
            name: settings.name.as_str().into(),
            admission,
            host,
            template,
            peers: ArcSwap::default(),
            next: AtomicUsize::new(0),
            resolved: Mutex::default(),
            dialer,
            rules: AddressRules::listed(&settings.private_addresses),
            settings,
        };
        if let Some(address) = upstream.literal() {
            upstream.rules.check(address).map_err(|why| UpstreamError::Forbidden {
                name: upstream.settings.name.clone(),
                address,
                why,
            })?;
            upstream.use_addresses(&[SocketAddr::new(address, upstream.settings.port)]);
        }
        Ok(upstream)
    }

    /// The address, if the host is one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        bare(&self.settings.host).parse().ok()
    }

    /// A peer for attempt number `attempt` of a request, in turns over all addresses.
    pub(crate) fn peer(&self, attempt: usize) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let turn = match attempt {
            0 => self.next.fetch_add(1, Ordering::Relaxed),
            // The address after the one that just failed.
            _ => self.next.load(Ordering::Relaxed).wrapping_add(attempt - 1),
        };
        let at = turn.checked_rem(peers.len())?;
        peers.get(at).map(|peer| Box::new(peer.clone()))
    }

    /// Addresses in use.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.peers.load().iter().map(|peer| peer._address.to_string()).collect()
    }

    /// What the last resolution said.
    pub(crate) fn resolved(&self) -> Resolved {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `other` describes the same place, so that its addresses may be taken over.
    pub(crate) fn same_place(&self, other: &UpstreamSettings) -> bool {
        let same = |a: &UpstreamSettings, b: &UpstreamSettings| {
            (&a.host, a.port, &a.private_addresses) == (&b.host, b.port, &b.private_addresses)
        };
        same(&self.settings, other)
    }

    /// Takes over the addresses that `old` already resolved and checked.
    pub(crate) fn adopt(&self, old: &Self) {
        let addresses: Vec<SocketAddr> =
            old.peers.load().iter().filter_map(|peer| peer._address.as_inet().copied()).collect();
        if !addresses.is_empty() {
            self.use_addresses(&addresses);
        }
    }

    fn use_addresses(&self, addresses: &[SocketAddr]) {
        let peers = addresses.iter().map(|address| {
            let mut peer = self.template.clone();
            peer._address = PeerAddress::Inet(*address);
            peer
        });
        self.peers.store(Arc::new(peers.collect()));
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) =
            Resolved { at: Some(Instant::now()), problem: None };
    }

    fn note_problem(&self, problem: String) {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.problem = Some(problem);
        if resolved.at.is_none_or(|at| at.elapsed() > KEEP_STALE) {
            self.peers.store(Arc::default());
        }
    }
}

/// Everything that is the same for all addresses. Each deadline is set: Pingora's own defaults are none.
fn template(settings: &UpstreamSettings, roots: Option<Arc<CaType>>) -> HttpPeer {
    let unset = SocketAddr::from(([0, 0, 0, 0], 0));
    // The name is never empty: an empty one would switch certificate verification off.
    let tls = settings.scheme == Scheme::Https;
    let mut peer = HttpPeer::new(unset, tls, bare(&settings.host).to_owned());
    let timeouts = settings.timeouts;
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    // Pingora has one timer for the wait for a head and for gaps in the body after it.
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(timeouts.read);
    options.idle_timeout = Some(timeouts.idle);
    options.alpn = if settings.http2 { ALPN::H2H1 } else { ALPN::H1 };
    options.max_h2_streams = 100;
    options.ca = roots;
    // Pingora's pool doesn't look at roots and ALPN: two upstreams at one address must not share
    // connections that only one of them would have accepted.
    let mut group = DefaultHasher::new();
    (&settings.name, settings.http2, settings.trust.to_string()).hash(&mut group);
    peer.group_key = group.finish();
    peer
}

fn host_header(settings: &UpstreamSettings) -> Option<HeaderValue> {
    let UpstreamSettings { host, port, .. } = settings;
    if *port == settings.scheme.default_port() {
        HeaderValue::try_from(host.as_str()).ok()
    } else {
        HeaderValue::try_from(format!("{host}:{port}")).ok()
    }
}

/// The certificates of a PEM file: of the very bytes that keys are bound to.
fn roots(settings: &UpstreamSettings, path: &Path) -> Result<Arc<CaType>, UpstreamError> {
    let name = settings.name.clone();
    let problem = |why: String| UpstreamError::Roots { name: name.clone(), path: path.display().to_string(), why };
    let pem = std::fs::read(path).map_err(|why| problem(why.to_string()))?;
    if Trust::in_private_roots(&pem) != settings.trust {
        return Err(problem("it changed since the configuration was read".to_owned()));
    }
    let mut store = rustls::RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|why| problem(why.to_string()))?;
        store.add(certificate.clone()).map_err(|why| problem(why.to_string()))?;
        // Pingora's own parser panics on what it can't read; here that is one more bad file.
        let wrapped = std::panic::catch_unwind(|| WrappedX509::new(certificate.to_vec(), parse_x509))
            .map_err(|_| problem("it holds a certificate that can't be read".to_owned()))?;
        certificates.push(wrapped);
    }
    if certificates.is_empty() {
        return Err(problem("it holds no certificate".to_owned()));
    }
    Ok(Arc::from(certificates))
}
