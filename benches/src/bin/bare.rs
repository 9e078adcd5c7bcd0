//! The least that a Pingora proxy can be: what the gateway's cost is measured against.
//!
//! In: a port to listen on and an upstream's address. Out: every request forwarded as it came. Allocator, panic mode,
//! time-outs, keep-alive and pool are the gateway's, so that the difference is what Assay does and nothing else.
//!
//! usage: bare-pingora LISTEN-PORT UPSTREAM-ADDRESS

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::Server;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Forwards to one address.
struct Bare {
    peer: HttpPeer,
}

/// The gateway's defaults: `timeouts` of an upstream, `limits` of a listener.
const CONNECT: Duration = Duration::from_secs(2);
const READ: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);
/// How long the gateway waits for the unread rest of a body.
const DRAIN_BODY: Duration = Duration::from_secs(1);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(IDLE.as_secs()));
        }
        session.set_read_timeout(Some(IDLE));
        session.set_write_timeout(Some(IDLE));
        session.set_total_drain_timeout(Some(DRAIN_BODY));
        Ok(())
    }

    // The default adds a compression module to every request.
    fn init_downstream_modules(&self, _modules: &mut pingora_core::modules::http::HttpModules) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, upstream] = arguments.as_slice() else {
        eprintln!("usage: bare-pingora LISTEN-PORT UPSTREAM-ADDRESS");
        std::process::exit(2);
    };
    let Ok(upstream) = upstream.parse::<std::net::SocketAddr>() else {
        eprintln!("bare-pingora: {upstream} is not an address with a port");
        std::process::exit(2);
    };
    let mut peer = HttpPeer::new(upstream, false, String::new());
    peer.options.connection_timeout = Some(CONNECT);
    peer.options.total_connection_timeout = Some(CONNECT);
    peer.options.read_timeout = Some(READ);
    peer.options.write_timeout = Some(READ);
    peer.options.idle_timeout = Some(IDLE);

    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { peer });
    if let Some(logic) = service.app_logic_mut() {
        logic.server_options = Some(HttpServerOptions::default());
    }
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
