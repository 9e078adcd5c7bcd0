//! From a place to a connection: resolve, check, dial that very address.
//!
//! In come a place and the rules for its addresses; out goes a connection to an address that passed them, over TLS under
//! the place's own name. Between the check and the dial nobody is asked again, so an answer that changes changes nothing.
//! One forbidden address among good ones is left out; a name that has no others is refused.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use attest_core::target::Scheme;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address::{AddressRules, Forbidden};
use crate::place::{Place, bare};
use crate::resolve::{Resolve, SystemResolver};
use crate::tls::Tls;

/// More addresses of a name than this are not looked at.
const MOST_ADDRESSES: usize = 64;
/// Time for one answer of a resolver.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);

/// Opens connections to places.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: Arc<dyn Resolve>,
}

/// A connection, to an address that was checked.
pub struct Connection {
    /// Where it leads.
    pub address: SocketAddr,
    pub(crate) stream: Box<dyn Stream>,
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no connection. Hosts and addresses are those of the configuration and of the resolver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The resolver has no answer.
    #[error("{host}: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No address may be dialled; the last one's reason.
    #[error("{host}: {address} can't be used: {why}")]
    Forbidden {
        /// The name.
        host: String,
        /// An address it stands for.
        address: IpAddr,
        /// The reason against it.
        why: Forbidden,
    },
    /// `http://` to another machine.
    #[error("{host}: http:// leads to another machine; only loopback is spoken to in plain text")]
    NotEncrypted {
        /// The name.
        host: String,
    },
    /// Nobody takes the connection.
    #[error("{host}: {why}")]
    Connect {
        /// The name.
        host: String,
        /// The last address's error.
        why: String,
    },
    /// Whoever took it is not who it should be, or speaks no TLS.
    #[error("{host}: TLS: {why}")]
    Tls {
        /// The name.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// It took too long.
    #[error("{host}: no connection in time")]
    TimedOut {
        /// The name.
        host: String,
    },
}

impl Dialer {
    /// Names mean what `resolver` says.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver }
    }

    /// Names mean what the system says.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemResolver))
    }

    /// The addresses of `host` that may be dialled under `rules`: at least one, each once. `host` may be an address
    /// itself, IPv6 with or without brackets; it is checked like any other.
    ///
    /// # Errors
    /// No answer within 5 s, or none that may be dialled.
    pub async fn addresses(&self, host: &str, port: u16, rules: &AddressRules) -> Result<Vec<SocketAddr>, DialError> {
        let host = bare(host);
        let failed = |why: String| DialError::Resolve { host: host.to_owned(), why };
        let found = match host.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => match timeout(RESOLVER_PATIENCE, self.resolver.resolve(host)).await {
                Ok(answer) => answer.map_err(|why| failed(why.to_string()))?,
                Err(_elapsed) => return Err(failed("no answer from the resolver".to_owned())),
            },
        };
        let mut usable = Vec::new();
        let mut refused = failed("no address".to_owned());
        for address in found.into_iter().take(MOST_ADDRESSES) {
            let whole = SocketAddr::new(address, port);
            match rules.check(address) {
                Ok(()) if usable.contains(&whole) => {}
                Ok(()) => usable.push(whole),
                Err(why) => refused = DialError::Forbidden { host: host.to_owned(), address, why },
            }
        }
        if usable.is_empty() { Err(refused) } else { Ok(usable) }
    }

    /// A connection to `place`, over TLS where its scheme is `https`. All of it within `patience`; each address gets its
    /// share of what is left.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(
        &self,
        place: &Place,
        rules: &AddressRules,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Connection, DialError> {
        let until = Instant::now() + patience;
        let host = || place.bare_host().to_owned();
        let found = timeout_at(until, self.addresses(place.host(), place.port(), rules)).await;
        let mut addresses = found.map_err(|_elapsed| DialError::TimedOut { host: host() })??;
        if place.scheme() == Scheme::Http {
            addresses.retain(|address| crate::address::is_loopback(address.ip()));
            if addresses.is_empty() {
                return Err(DialError::NotEncrypted { host: host() });
            }
        }
        let mut last = DialError::TimedOut { host: host() };
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            let share = until.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            last = match timeout(share, open(place, address, tls)).await {
                Ok(Ok(stream)) => return Ok(Connection { address, stream }),
                Ok(Err(why)) => why,
                Err(_elapsed) => DialError::TimedOut { host: host() },
            };
        }
        Err(last)
    }
}

async fn open(place: &Place, address: SocketAddr, tls: &Tls) -> Result<Box<dyn Stream>, DialError> {
    let host = || place.bare_host().to_owned();
    let failed = |why: std::io::Error| DialError::Connect { host: host(), why: why.to_string() };
    let tcp = TcpStream::connect(address).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    if place.scheme() == Scheme::Http {
        return Ok(Box::new(tcp));
    }
    let refused = |why: String| DialError::Tls { host: host(), why };
    let name = ServerName::try_from(host()).map_err(|why| refused(why.to_string()))?;
    let stream = TlsConnector::from(tls.config()).connect(name, tcp).await.map_err(|why| refused(why.to_string()))?;
    Ok(Box::new(stream))
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}
