//! `routes.*.token:` checked: where the token stands and what it is bound to.

use policies::yaml::Place;

use super::Known;
use crate::{
    check::Check,
    file::{
        names::Name,
        requests::{Header, Place as TokenPlace},
        routes::RawRouteToken,
    },
    model::{IssuerProfile, IssuerRef, Source, TokenSource},
    shape::{Fault, Field},
};

impl Check<'_, '_> {
    pub(super) fn route_token(
        &self,
        raw: &Field<RawRouteToken>,
        owner: Place,
        known: &Known<'_>,
        injects: bool,
    ) -> Option<TokenSource> {
        let absent = RawRouteToken::default();
        let owner = raw.at.unwrap_or(owner);
        if raw.value.is_none() && !raw.is_absent() {
            return None;
        }
        let raw = raw.value.as_ref().unwrap_or(&absent);
        let (issuer, profile) = match raw.issuer.good() {
            Some((Name(name), at)) if name != "own" => {
                let names: Vec<&str> = known.issuers.iter().map(|(name, _)| *name).chain(["own"]).collect();
                self.exists("issuer", name, &names, at);
                let profile = known.issuers.iter().find(|(known, _)| known == name);
                let profile = profile.and_then(|(_, issuer)| issuer.map(|issuer| issuer.profile));
                (IssuerRef::Named(name.clone()), profile)
            }
            _ => {
                if !known.own_tokens && (raw.issuer.value.is_some() || raw.issuer.is_absent()) {
                    let fault = Fault::new("this route takes our own tokens, and `attestation` is missing");
                    self.refuse(
                        raw.issuer.at.unwrap_or(owner),
                        "no_attestation",
                        match known.issuers.first() {
                            Some((name, _)) => {
                                fault.hint(format!("write token: {{ issuer: {name} }}, or add attestation:"))
                            }
                            None => fault.hint("add attestation: { serve: … } or { remote: … }"),
                        },
                    );
                }
                (IssuerRef::Own, None)
            }
        };
        let approov = profile == Some(IssuerProfile::Approov);
        let default = if approov { "approov-token" } else { "assay-token" };
        let from = self.sources(raw, http::HeaderName::from_static(default));
        let bind = self.bind(raw, &from);
        let danger_pay_optional = self.flag(&raw.danger_pay_optional, false);
        if let (true, true, Some(at)) = (danger_pay_optional, raw.bind.is_absent(), raw.danger_pay_optional.at) {
            self.refuse(
                at,
                "does_nothing",
                Fault::new("`danger_pay_optional` does nothing without `bind`").hint("take the line out"),
            );
        }
        let bearer_ok = self.flag(&raw.bearer_ok, false);
        let forward = self.flag(&raw.forward, false);
        if let (true, true, Some(at)) = (forward, injects, raw.forward.at) {
            let fault = Fault::new("a valid attestation token goes to whoever owns the injected key");
            self.warn(at, "token_forwarded", fault.hint("take the line out, unless that upstream is your own"));
        }
        let allow_dev = self.flag(&raw.allow_dev, false);
        match (allow_dev, &issuer, raw.allow_dev.at) {
            (true, IssuerRef::Named(_), Some(at)) => {
                let fault = Fault::new("only our own tokens can be test tokens, and this route takes another issuer's");
                self.refuse(at, "not_our_tokens", fault.hint("take the line out"));
            }
            (true, IssuerRef::Own, Some(at)) if injects => {
                let fault =
                    Fault::new("whoever has an enrolled device or a test token spends the money of this route's key");
                self.warn(at, "dev_with_key", fault.hint("allow it where the key is one for tests"));
            }
            _ => {}
        }
        Some(TokenSource {
            from,
            optional_bearer_prefix: approov,
            issuer,
            bind,
            danger_pay_optional,
            bearer_ok,
            forward,
            allow_dev,
        })
    }

    fn sources(&self, raw: &RawRouteToken, default: http::HeaderName) -> Vec<Source> {
        let Some((from, at)) = raw.from.good() else { return vec![Source::Header(default)] };
        let mut sources: Vec<Source> = Vec::new();
        for (TokenPlace(source), at) in from.iter().filter_map(Field::good) {
            if sources.contains(source) {
                self.refuse(
                    at,
                    "duplicate",
                    Fault::new("this place stands twice in `from`").hint("take one of them out"),
                );
            }
            sources.push(source.clone());
        }
        if from.is_empty() {
            self.refuse(
                at,
                "empty_list",
                Fault::new("`from` is empty: no request could show a token").hint("write [Assay-Token]"),
            );
        }
        if from.len() > 8 {
            self.refuse(
                at,
                "too_many",
                Fault::new("more than 8 places for a token").hint("keep those that your clients use"),
            );
        }
        sources
    }

    fn bind(&self, raw: &RawRouteToken, from: &[Source]) -> Vec<http::HeaderName> {
        let Some((bind, at)) = raw.bind.good() else { return Vec::new() };
        let mut headers: Vec<http::HeaderName> = Vec::new();
        for (Header(header), at) in bind.iter().filter_map(Field::good) {
            if headers.contains(header) {
                self.refuse(
                    at,
                    "duplicate",
                    Fault::new("this header stands twice in `bind`").hint("take one of them out"),
                );
            }
            let bearer = *header == http::header::AUTHORIZATION && from.contains(&Source::Bearer);
            if bearer || from.contains(&Source::Header(header.clone())) {
                let fault = Fault::new("the token stands in this header and can't be bound to it");
                self.refuse(
                    at,
                    "bound_to_itself",
                    fault.hint(
                        "bind it to what identifies the user, as Authorization, and send the token in Assay-Token",
                    ),
                );
            }
            headers.push(header.clone());
        }
        if bind.is_empty() || bind.len() > 8 {
            let fault = Fault::new("`bind` names 1 to 8 headers");
            self.refuse(at, "empty_list", fault.hint("write [Authorization]; for no binding, take the line out"));
        }
        headers
    }
}
