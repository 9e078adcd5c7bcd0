//! A running gateway, as whoever started it holds it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::reload::{LastReload, Reloader};
use crate::runtime::Runtime;

/// A gateway that serves. Dropping it stops the gateway and waits for it.
pub struct GatewayHandle {
    pub(super) addresses: Addresses,
    pub(super) reloader: Arc<Reloader>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) aside: tokio::runtime::Handle,
    pub(super) stop: watch::Sender<bool>,
    pub(super) ended: watch::Receiver<bool>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) public: SocketAddr,
    pub(super) probe: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

impl GatewayHandle {
    /// Where clients connect; with the port that port 0 became.
    pub fn public(&self) -> SocketAddr {
        self.addresses.public
    }

    /// Where `/livez` and `/readyz` are.
    pub fn probe(&self) -> Option<SocketAddr> {
        self.addresses.probe
    }

    /// Where metrics, status and reload are.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.addresses.admin
    }

    /// The number of the running configuration.
    pub fn generation(&self) -> u64 {
        self.runtime.generation.load().number
    }

    /// How the last reload went.
    pub fn last_reload(&self) -> LastReload {
        self.reloader.last()
    }

    /// Reads the configuration and takes it, if it is good: what SIGHUP does.
    ///
    /// # Errors
    /// The report for its author; what ran before goes on running.
    pub async fn reload(&self) -> Result<u64, String> {
        let reloader = self.reloader.clone();
        let reloaded = self.aside.spawn(async move { reloader.reload().await }).await;
        reloaded.unwrap_or_else(|_| Err("the gateway is stopping".to_owned()))
    }

    /// Has the gateway stop: no new connections, open requests get the drain time. Returns at once.
    pub fn shutdown(&self) {
        self.runtime.drain();
        let _ = self.stop.send(true);
    }

    /// Waits until the gateway has stopped. It must have been told to.
    pub async fn wait(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for GatewayHandle {
    fn drop(&mut self) {
        self.shutdown();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
