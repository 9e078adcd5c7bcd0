//! `listeners:` the sockets of this process and what a connection may cost.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

/// The three kinds of listener. At least one of `public` and the service's own address is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Clients: the gateway's routes, and the attestation API where it is served beside them.
    pub public: Option<PublicListener>,
    /// `/livez` and `/readyz` only; may be open to a cluster.
    pub probe: Option<SocketAddr>,
    /// Metrics, status and reload.
    pub admin: Option<AdminListener>,
}

/// The listener that clients reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicListener {
    /// Address and port; port 0 lets the system choose, and the process reports which.
    pub address: SocketAddr,
    /// Certificate and private key; absent only for plaintext listeners.
    pub tls: Option<TlsFiles>,
    /// `tls.client_ca_file`: roots of client certificates, PEM. Present: clients are asked for one, and need none. One that
    /// does not chain to these fails the handshake.
    pub client_ca_file: Option<PathBuf>,
    /// Networks whose `X-Forwarded-For` is believed; nobody by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether HTTP/2 with prior knowledge is taken on a plaintext listener.
    pub h2c: bool,
    /// What one connection may cost.
    pub limits: ConnectionLimits,
}

/// PEM files of a listener, both read and found to hold what they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key, not readable by others.
    pub key: PathBuf,
}

/// Bounds on what a client can make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections, all clients together. Default 20 000.
    pub connections: u32,
    /// Bytes of a request head. Default 32 KiB.
    pub head_bytes: usize,
    /// Time for a whole request head, from its first byte (the first on a connection: from accept). Default 10 s.
    pub head_timeout: Duration,
    /// Time a kept-alive connection may rest between requests. Default 60 s.
    pub idle_timeout: Duration,
    /// Time between two pieces of a request body. Default 60 s.
    pub body_timeout: Duration,
    /// Time for the client to take a piece of a response. Default 60 s.
    pub write_timeout: Duration,
    /// Time that open requests get at shutdown. Default 30 s.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            head_bytes: 32 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// The listener for metrics, status and reload. Not on loopback, it has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminListener {
    /// Address and port.
    pub address: SocketAddr,
    /// File with the bearer token that every request must carry; absent only on loopback.
    pub token_file: Option<PathBuf>,
}
