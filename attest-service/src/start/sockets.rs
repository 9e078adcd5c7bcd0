//! In: the addresses and certificates of the settings. Out: what is listened on, before anything else of a start is done.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    listener::{self, ListenError},
    service_settings::ServiceSettings,
};

/// What is listened on.
pub(super) struct Sockets {
    pub(super) own: (TcpListener, SocketAddr),
    pub(super) tls: Option<TlsAcceptor>,
    /// For the gateway in this process, where it can't use the own one.
    pub(super) internal: Option<(TcpListener, SocketAddr)>,
    pub(super) admin: Option<AdminSocket>,
}

/// Where operators and their tools come in.
pub(super) struct AdminSocket {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Sockets {
    /// Binds them all, or none.
    ///
    /// # Errors
    /// [`ListenError`] names the port or the file.
    pub(super) async fn bind(settings: &ServiceSettings) -> Result<Self, ListenError> {
        let tls = settings.tls.as_ref().map(listener::tls).transpose()?;
        let own = listener::bind(settings.address).await?;
        let internal = match &tls {
            Some(_) if settings.gateway_beside => Some(listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await?),
            Some(_) | None => None,
        };
        let admin = match &settings.admin {
            Some(admin) => {
                let tls = admin.tls.as_ref().map(listener::tls).transpose()?;
                let (socket, address) = listener::bind(admin.address).await?;
                Some(AdminSocket { socket, address, tls })
            }
            None => None,
        };
        Ok(Self { own, tls, internal, admin })
    }

    /// Where a gateway in this process reaches the service. A listener on all addresses is reached by loopback.
    pub(super) fn internal_address(&self) -> SocketAddr {
        let (_, address) = self.internal.as_ref().unwrap_or(&self.own);
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, address.port())
    }
}
