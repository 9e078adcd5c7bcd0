//! `routes.*.callers:`, `user:`, `candidate:`, `guard:` and `rate_limit_headers:` checked.

use std::sync::Arc;

use policies::{
    ResultPolicy, RouteContext,
    yaml::{Place, Value},
};

use super::Known;
use crate::{
    check::{Check, secs},
    file::{
        callers::RawUser,
        names::Name,
        routes::{GuardWord, RawGuard, RawPolicyRef, RawRoute},
        units::Percent,
    },
    model::{CredentialSource, GuardSettings, IssuerRef, Source, TokenSource, UserSource},
    shape::{Either, Fault, Field},
};

/// Callers that one route may know.
const MAX_CALLERS: usize = 64;

impl Check<'_, '_> {
    /// Names that exist, each once, none of which shows its secret where the app's token stands.
    pub(super) fn route_callers(
        &self,
        raw: &Field<Vec<Field<Name>>>,
        token: Option<&TokenSource>,
        known: &Known<'_>,
    ) -> Vec<String> {
        let Some((names, at)) = raw.good() else { return Vec::new() };
        if names.is_empty() || names.len() > MAX_CALLERS {
            let fault = Fault::new(format!("`callers` names 1 to {MAX_CALLERS}"));
            self.refuse(
                at,
                "empty_list",
                fault.hint("name those of `callers` that may use this route, or take the line out"),
            );
        }
        let mut callers: Vec<String> = Vec::new();
        for (Name(name), at) in names.iter().filter_map(Field::good) {
            self.exists("caller", name, &known.callers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), at);
            if callers.contains(name) {
                self.refuse(at, "duplicate", Fault::new(format!("`{name}` stands twice")).hint("take one of them out"));
                continue;
            }
            let places = known.callers.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, places)| places);
            if let Some(place) = token.and_then(|token| places.iter().find(|place| taken_by(token, place))) {
                let fault = Fault::new(format!(
                    "caller `{name}` shows itself in `{}`, where this route looks for the app's token",
                    spelled(place)
                ));
                self.refuse(at, "same_place", fault.hint("give the caller a header of its own: from: [Partner-Key]"));
            }
            callers.push(name.clone());
        }
        callers
    }

    /// The callers that a policy may name: those of the route, or of all routes that share its file.
    pub(super) fn callers_of<'k>(
        &self,
        policy: &Field<RawPolicyRef>,
        own: &'k [String],
        known: &'k Known<'_>,
    ) -> &'k [String] {
        self.policy_file(policy).and_then(|file| known.sharing.get(file)).map_or(own, Vec::as_slice)
    }

    /// The path of a policy that is in a file, as it is written.
    pub(crate) fn policy_file(&self, policy: &Field<RawPolicyRef>) -> Option<&str> {
        let node = self.notes.subtrees.borrow().get(policy.value?.0.0).copied()?;
        match &node.value {
            Value::Text(path) => Some(path),
            _ => None,
        }
    }

    pub(super) fn route_user(
        &self,
        raw: &RawUser,
        owner: Place,
        token: Option<&TokenSource>,
        known: &Known<'_>,
    ) -> Option<UserSource> {
        let from = self.credentials(&raw.from);
        let (Name(issuer), at) = self.need(&raw.issuer, owner, "issuer", "the name of one of `issuers`")?;
        self.jwt_issuer(issuer, at, known.issuers);
        if let Some(token) = token {
            if token.issuer == IssuerRef::Named(issuer.clone()) {
                let fault = Fault::new(format!(
                    "`{issuer}` already vouches for the app on this route: one token can't be both"
                ));
                self.refuse(at, "same_issuer", fault.hint("name the issuer of your users' tokens"));
            }
            if let Some(place) = from.iter().find(|place| taken_by(token, place)) {
                let fault = Fault::new(format!(
                    "`{}` is where this route looks for the app's token: a user's can't be there too",
                    spelled(place)
                ));
                let hint = "write token: { from: [Assay-Token] }, or user: { …, from: [User-Token] }";
                self.refuse(raw.from.at.unwrap_or(owner), "same_place", fault.hint(hint));
            }
        }
        Some(UserSource { issuer: issuer.clone(), from, required: self.flag(&raw.required, false) })
    }

    /// The policy that is asked beside the one in force. `policy`: that one, where it could be compiled.
    pub(super) fn candidate(&self, raw: &RawRoute, about: &RouteContext<'_>) -> Option<Arc<ResultPolicy>> {
        let (candidate, at) = raw.candidate.good()?;
        let subtrees = self.notes.subtrees.borrow();
        let node = subtrees.get(candidate.0.0).copied()?;
        let own = raw.policy.value.and_then(|policy| subtrees.get(policy.0.0).copied());
        drop(subtrees);
        if own.is_some_and(|own| own.value == node.value) {
            let fault = Fault::new("`candidate` is the policy that is in force already: no answer could differ");
            self.refuse(at, "does_nothing", fault.hint("name the policy that is to be tried, or take the line out"));
            return None;
        }
        self.policy(node, about)
    }

    /// `devices`: whether the route's tokens name devices, by which the guard counts.
    pub(super) fn guard(
        &self,
        raw: &Field<Either<GuardWord, RawGuard>>,
        injects: bool,
        devices: bool,
    ) -> Option<GuardSettings> {
        if let (Some(at), true) = (raw.at, injects) {
            let fault =
                Fault::new("`guard` does nothing on a route with a key: nothing ever lets more requests have a key");
            self.refuse(at, "does_nothing", fault.hint("take the line out"));
            return None;
        }
        let raw = match raw.good() {
            Some((Either::Plain(GuardWord::Disabled), _)) => return None,
            Some((Either::Structured(raw), at)) => {
                if !devices {
                    let fault = Fault::new("`guard` counts devices, and this route's tokens name none");
                    self.refuse(
                        at,
                        "does_nothing",
                        fault.hint("write attestation: { token: { claims: { did: true } } }, or take the line out"),
                    );
                    return None;
                }
                raw
            }
            None => return (!injects && devices).then(GuardSettings::default),
        };
        let default = GuardSettings::default();
        Some(GuardSettings {
            share: self.guard_share(&raw.share).unwrap_or(default.share),
            window: self.span(&raw.window, "window", (secs(60), secs(3600)), default.window),
            devices: self.count(&raw.devices, "devices", (10, 10_000), default.devices),
        })
    }

    fn guard_share(&self, raw: &Field<Percent>) -> Option<u8> {
        const ONE_PERCENT: u32 = 10_000;
        let (Percent(millionths), at) = raw.good()?;
        let share = u8::try_from(millionths / ONE_PERCENT).ok().filter(|_| millionths.is_multiple_of(ONE_PERCENT));
        if share.is_none() {
            self.refuse(
                at,
                "out_of_bounds",
                Fault::new("`share` is a whole percentage").hint("1% to 100%; the default is 5%"),
            );
        }
        share
    }

    pub(super) fn rate_limit_headers(&self, raw: &Field<bool>, policy: Option<&ResultPolicy>) -> bool {
        let asked = self.flag(raw, false);
        if let (true, Some(at), Some(policy)) = (asked, raw.at, policy)
            && policy.limits().next().is_none()
        {
            let fault = Fault::new("`rate_limit_headers` does nothing: no rule of this route's policy has a limit");
            self.refuse(
                at,
                "does_nothing",
                fault.hint("take the line out, or add limits: [{ requests: 60, per: device, window: 1m }]"),
            );
        }
        asked
    }
}

/// Whether the app's token may stand in `place`.
fn taken_by(token: &TokenSource, place: &CredentialSource) -> bool {
    token.from.iter().any(|source| match (source, place) {
        (Source::Bearer, CredentialSource::Bearer) => true,
        (Source::Header(one), CredentialSource::Header(other)) => one == other,
        _ => false,
    })
}

fn spelled(place: &CredentialSource) -> &str {
    match place {
        CredentialSource::Bearer => "bearer",
        CredentialSource::Header(name) => name.as_str(),
    }
}
