//! Who listens where: somebody has to be able to reach what the file describes, and no two listeners want one port.

use attest_core::target::PathGlob;
use policies::yaml::Place;

use super::rows;
use crate::{
    check::{Check, listeners::overlap},
    file::RawDocument,
    model::{AttestationSource, HostPattern, Listeners, RouteSettings, ServeSettings},
    shape::Fault,
};

impl Check<'_, '_> {
    /// The service's own listeners beside those of the gateway.
    fn refuse_same_ports(&self, raw: &RawDocument, listeners: &Listeners, serve: &ServeSettings) {
        let raw_serve = raw.attestation.value.as_ref().and_then(|attestation| attestation.serve.value.as_ref());
        let admin = serve.admin.as_ref().map(|admin| admin.address);
        let gateway = [
            listeners.public.as_ref().map(|public| public.address),
            listeners.probe,
            listeners.admin.as_ref().map(|admin| admin.address),
        ];
        let taken = |address| gateway.iter().any(|other| overlap(address, *other));
        if let (true, Some(at)) = (taken(serve.address), raw_serve.and_then(|serve| serve.address.at)) {
            let fault = Fault::new("the attestation API and a listener listen on the same port");
            let hint =
                "give each a port of its own, or take `address` out to reach the API through the public listener";
            self.refuse(at, "same_port", fault.hint(hint));
        }
        let at = raw_serve.and_then(|serve| serve.admin.value.as_ref()).and_then(|admin| admin.address.at);
        if let (true, Some(at)) = (taken(admin) || overlap(admin, serve.address), at) {
            let fault = Fault::new("the admin API and another listener listen on the same port");
            self.refuse(at, "same_port", fault.hint("give each a port of its own"));
        }
    }

    /// Somebody has to be able to reach what the file describes.
    pub(super) fn refuse_missing_listeners(
        &self,
        raw: &RawDocument,
        top: Place,
        listeners: &Listeners,
        source: Option<&AttestationSource>,
        routes: &[RouteSettings],
    ) {
        let has_routes = rows(&raw.routes).next().is_some();
        let no_public = raw.listeners.is_absent()
            || raw.listeners.value.as_ref().is_some_and(|listeners| listeners.public.is_absent());
        let listeners_at = raw.listeners.at.unwrap_or(top);
        let write = "write listeners: { public: { address: 0.0.0.0:8443, tls: … } }";
        if has_routes && no_public {
            self.refuse(
                listeners_at,
                "no_listener",
                Fault::new("there are routes, and no `public` listener that clients could reach").hint(write),
            );
        }
        let serve = match source {
            Some(AttestationSource::Serve(serve)) => serve,
            _ => {
                if !has_routes {
                    let fault =
                        Fault::new("this file has no routes and serves no attestation: there is nothing to run");
                    self.refuse(top, "nothing_to_run", fault.hint("add routes:, or attestation: { serve: … }"));
                }
                return;
            }
        };
        if serve.address.is_none() && no_public {
            let fault = Fault::new(
                "the attestation API has no `address` of its own, and there is no `public` listener to reach it through",
            );
            self.refuse(listeners_at, "no_listener", fault.hint(write));
        }
        self.refuse_same_ports(raw, listeners, serve);
        if let Ok(api) = PathGlob::parse(&format!("{}/**", serve.path)) {
            for route in routes.iter().filter(|route| hidden_by(route, serve, &api)) {
                let at = rows(&raw.routes).find(|row| row.name == route.name).map_or(top, |row| row.at);
                let fault = Fault::new(format!(
                    "route `{}` is never reached: the attestation API answers under {}",
                    route.name, serve.path
                ));
                self.refuse(
                    at,
                    "unreachable_route",
                    fault.hint("change the route's `match`, or `attestation.serve.path`"),
                );
            }
        }
    }
}

/// Whether the attestation API takes every request that the route could have.
fn hidden_by(route: &RouteSettings, serve: &ServeSettings, api: &PathGlob) -> bool {
    let same_host = match (&serve.host, &route.matcher.host) {
        (None, _) => true,
        (Some(host), HostPattern::Exact(exact)) => host == exact,
        (Some(_), _) => false,
    };
    same_host && route.matcher.path.is_within(api)
}
