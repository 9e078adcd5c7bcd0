//! Who vouches for apps vouches for nobody else: one token would be both, and a user's or partner's would count as an app's.

use std::collections::BTreeMap;

use policies::yaml::Place;

use super::rows;
use crate::{
    check::Check,
    file::RawDocument,
    model::{CallerProof, CallerSettings, IssuerProfile, IssuerRef, IssuerSettings, RouteSettings},
    shape::Fault,
};

impl Check<'_, '_> {
    /// Looks at all routes together: a token does not know for which of them it was made.
    pub(super) fn refuse_apps_issuers_for_people(
        &self,
        raw: &RawDocument,
        issuers: &BTreeMap<String, IssuerSettings>,
        callers: &BTreeMap<String, CallerSettings>,
        routes: &[RouteSettings],
    ) {
        let refuse = |who: &str, issuer: &str, here: Option<&str>, at: Place| {
            let of_app = |route: &&RouteSettings| match &route.token.issuer {
                // The same name on the same route has been told there.
                IssuerRef::Named(app) => same(issuers, app, issuer) && !(here == Some(&*route.name) && app == issuer),
                IssuerRef::Own => false,
            };
            if issuers.get(issuer).is_some_and(|issuer| issuer.profile == IssuerProfile::Approov) {
                // Such tokens are for apps alone, which has been told.
                return;
            }
            let Some(route) = routes.iter().find(of_app) else { return };
            let fault = Fault::new(format!(
                "`{issuer}` vouches for {who} here, and its tokens count as an app's on route `{}`",
                route.name
            ));
            let hint =
                "let apps and people have issuers of their own, or the same one with another `audience` for each";
            self.refuse(at, "same_issuer", fault.hint(hint));
        };
        for row in rows(&raw.routes) {
            let user = row.value.as_ref().and_then(|route| route.user.value.as_ref());
            if let Some((issuer, at)) = user.and_then(|user| user.issuer.good()) {
                refuse("users", &issuer.0, Some(&row.name), at);
            }
        }
        for row in rows(&raw.callers) {
            let jwt = row.value.as_ref().and_then(|caller| caller.jwt.value.as_ref());
            let at = jwt.and_then(|jwt| jwt.issuer.at);
            if let (Some(CallerProof::Jwt(jwt)), Some(at)) = (callers.get(&row.name).map(|caller| &caller.proof), at) {
                refuse("a caller", &jwt.issuer, None, at);
            }
        }
    }
}

/// Whether a token of one of them is one of the other too.
fn same(issuers: &BTreeMap<String, IssuerSettings>, one: &str, other: &str) -> bool {
    let names = |name: &str| issuers.get(name).and_then(|is| Some((is.issuer.as_deref()?, is.audience.as_deref()?)));
    one == other || names(one).is_some_and(|one| names(other) == Some(one))
}
