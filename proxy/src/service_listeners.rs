//! The probe and the operators' listener of a process that runs the attestation service alone.
//!
//! In come the settings of both listeners and the service's figures; out go `/livez`, `/readyz` and `/metrics`, held against
//! the same token and the same browsers as a gateway's. In a process with a gateway that one has them.

use std::net::SocketAddr;
use std::sync::Arc;

use settings::Listeners;
use tokio::task::JoinSet;

use crate::admin::{self, AdminToken, MoreMetrics};
use crate::listener;
use crate::probe;
use crate::start::{StartError, serve_api};

/// Both listeners, for as long as this lives.
#[derive(Debug)]
pub struct ServiceListeners {
    probe: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    _serving: JoinSet<()>,
}

impl ServiceListeners {
    /// Listens where `listeners` says; needs a Tokio runtime. The public listener is none of its business.
    ///
    /// # Errors
    /// The address or the token that can't be used.
    pub fn start(listeners: &Listeners, figures: Arc<MoreMetrics>) -> Result<Self, StartError> {
        let mut serving = JoinSet::new();
        let probe = listeners.probe.map(|address| listener::bind(address, "listeners.probe")).transpose()?;
        let probe = probe.map(|bound| {
            let address = bound.local_addr();
            serving.spawn(serve_api(bound, probe::api_of_service()));
            address
        });
        let admin = match &listeners.admin {
            None => None,
            Some(admin) => {
                let token = admin.token_file.as_deref().map(AdminToken::from_file).transpose();
                let token = token.map_err(StartError::AdminToken)?;
                let bound = listener::bind(admin.address, "listeners.admin")?;
                let address = bound.local_addr();
                serving.spawn(serve_api(bound, admin::api_of_service(figures, token)));
                Some(address)
            }
        };
        Ok(Self { probe, admin, _serving: serving })
    }

    /// Where `/livez` and `/readyz` are.
    #[must_use]
    pub const fn probe(&self) -> Option<SocketAddr> {
        self.probe
    }

    /// Where `/metrics` is.
    #[must_use]
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }
}
