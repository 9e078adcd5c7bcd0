//! In: the service's store and clock, and what the configuration says of apps and keys. Out: the admin API, for a listener
//! of its own. What is proven: it is not reachable where apps and gateways come in; each request is answered by the
//! configuration in force when it came.

use std::sync::Arc;

use arc_swap::ArcSwap;
use attest_admin::{AdminParts, Known};
use attest_core::time::Clock;
use attest_store::Store;
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use tower::ServiceExt as _;

use crate::service_settings::ServiceSettings;

/// The admin API of a running service.
pub(crate) struct Admin {
    store: Store,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Router>,
}

impl Admin {
    /// The API over `store`, knowing the apps of `settings`.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, settings: &ServiceSettings) -> Arc<Self> {
        let current = ArcSwap::from_pointee(routes(&store, &clock, settings));
        Arc::new(Self { store, clock, current })
    }

    /// Goes on with the apps of `settings`.
    pub(crate) fn reload(&self, settings: &ServiceSettings) {
        self.current.store(Arc::new(routes(&self.store, &self.clock, settings)));
    }

    /// What its listener serves.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(Arc::clone(self))
    }
}

async fn answer(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let routes = Router::clone(&admin.current.load());
    routes.oneshot(request).await.into_response()
}

fn routes(store: &Store, clock: &Arc<dyn Clock>, settings: &ServiceSettings) -> Router {
    let known =
        Known { apps: settings.apps.clone(), key_set: settings.token.key_set.clone(), keys_stale: settings.keys_stale };
    attest_admin::router(AdminParts { store: store.clone(), known, clock: Arc::clone(clock) })
}
