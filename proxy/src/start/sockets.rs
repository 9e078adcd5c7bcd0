//! Every socket that the settings name, bound before anything else is tried.

use std::sync::Arc;

use settings::Settings;

use super::StartError;
use super::handle::Addresses;
use crate::admin::AdminToken;
use crate::listener::{self, BoundListener, Certificates};

/// All of them, with what stands before them.
pub(super) struct Sockets {
    pub(super) public: BoundListener,
    pub(super) probe: Option<BoundListener>,
    pub(super) admin: Option<BoundListener>,
    pub(super) tls: Option<Arc<Certificates>>,
    pub(super) admin_token: Option<AdminToken>,
}

impl Sockets {
    pub(super) fn bind(settings: &Settings) -> Result<Self, StartError> {
        let listeners = &settings.listeners;
        let public = listeners.public.as_ref().ok_or(StartError::NoPublicListener)?;
        if let Some(missing) = missing_roots() {
            return Err(StartError::NoRoots(missing));
        }
        std::fs::create_dir_all(&settings.state.dir)
            .map_err(|why| StartError::StateDir(format!("{}: {why}", settings.state.dir.display())))?;
        let tls = match &public.tls {
            None => None,
            Some(files) => Some(Certificates::load(files.clone(), public.client_ca_file.clone())?),
        };
        let admin_token = match listeners.admin.as_ref().and_then(|admin| admin.token_file.as_deref()) {
            Some(path) => Some(AdminToken::from_file(path).map_err(StartError::AdminToken)?),
            None => None,
        };
        Ok(Self {
            public: listener::bind(public.address, "listeners.public")?,
            probe: listeners.probe.map(|address| listener::bind(address, "listeners.probe")).transpose()?,
            admin: listeners
                .admin
                .as_ref()
                .map(|admin| listener::bind(admin.address, "listeners.admin"))
                .transpose()?,
            tls,
            admin_token,
        })
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            public: self.public.local_addr(),
            probe: self.probe.as_ref().map(BoundListener::local_addr),
            admin: self.admin.as_ref().map(BoundListener::local_addr),
        }
    }
}

/// Pingora panics on roots that are not there; here that is said by name.
fn missing_roots() -> Option<String> {
    let path = std::env::var_os("SSL_CERT_FILE")?;
    (!std::path::Path::new(&path).exists()).then(|| path.to_string_lossy().into_owned())
}
