//! The whole document checked: each section, then what holds between them.

mod meaning;
mod reach;
mod vouching;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use policies::{problem, yaml::Place};

use super::{Check, callers::Around, lists, routes::Known};
use crate::{
    MAX_TEXT_BYTES, Overrides, Settings,
    file::{RawDocument, names, routes::RawRoute},
    model::{
        Attestation, AttestationSource, CallerSettings, IssuerRef, Listeners, LogSettings, OurFaults, RoutePlaces,
        RouteSettings,
    },
    order,
    shape::{Fault, Field, Row, Table},
};

impl Check<'_, '_> {
    pub(crate) fn document(
        &self,
        path: &Path,
        raw: &RawDocument,
        top: Place,
        overrides: &Overrides,
    ) -> Option<Settings> {
        if let Some((version, at)) = self.need(&raw.assay, top, "assay", "1, the format of this file")
            && *version != 1
        {
            let fault = Fault::new(format!("this is format {version}; this version of Assay reads format 1"));
            self.refuse(
                at,
                "unknown_format",
                fault.hint("write assay: 1, or use the Assay that the file was written for"),
            );
        }
        // A service with an address of its own needs none; whoever does is told in `refuse_missing_listeners`.
        let listeners = match raw.listeners.good() {
            Some((listeners, _)) => Some(self.listeners(listeners, overrides)),
            None => raw.listeners.is_absent().then_some(Listeners { public: None, probe: None, admin: None }),
        };
        let serves = raw.attestation.value.as_ref().is_some_and(|attestation| !attestation.serve.is_absent());
        let state =
            self.need(&raw.state, top, "state", "{ dir: state }").and_then(|(raw, at)| self.state(raw, at, serves));
        let shared_state = raw.state.value.as_ref().is_some_and(|state| !state.shared.is_absent());
        let state_dir = state.as_ref().map(|state| state.dir.as_path());
        let keys = raw.keys.good().map(|(keys, at)| self.keys(keys, at, state_dir));
        let unlock = keys.as_ref().and_then(|keys| keys.service_unlock.as_ref()).map(Option::as_ref);
        let attestation = raw.attestation.good().map(|(raw, at)| self.attestation(raw, at, unlock, overrides));
        let issuers: BTreeMap<_, _> = self.table(&raw.issuers, |name, raw, at| {
            if name == "own" {
                self.refuse(at, "bad_name", Fault::new("`own` is the name of our own tokens").hint("choose another"));
            }
            self.issuer(name, raw, at)
        });
        let upstreams: BTreeMap<_, _> = self.table(&raw.upstreams, |name, raw, at| self.upstream(name, raw, at));
        let our_faults =
            raw.our_faults.good().map_or_else(OurFaults::default, |(faults, _)| self.our_faults(faults, shared_state));
        let issuer_names: Vec<_> = rows(&raw.issuers).map(|row| (row.name.as_str(), issuers.get(&row.name))).collect();
        let public_tls =
            raw.listeners.value.as_ref().and_then(|listeners| listeners.public.value.as_ref()?.tls.value.as_ref());
        let asks_for_certificates = public_tls.is_some_and(|tls| !tls.client_ca_file.is_absent());
        let around = Around { issuers: &issuer_names, asks_for_certificates };
        let callers: BTreeMap<_, _> = self.table(&raw.callers, |name, raw, at| self.caller(name, raw, at, &around));
        self.refuse_same_proof(&callers, &raw.callers);
        let (list_sources, lists) = lists::apart(self.table(&raw.lists, |name, raw, at| self.list(name, raw, at)));
        let known = Known {
            upstreams: rows(&raw.upstreams).map(|row| row.name.as_str()).collect(),
            good_upstreams: &upstreams,
            issuers: &issuer_names,
            callers: rows(&raw.callers)
                .map(|row| (row.name.as_str(), callers.get(&row.name).map_or_else(Vec::new, CallerSettings::places)))
                .collect(),
            sharing: self.sharing(&raw.routes),
            lists: &lists,
            own_devices: attestation
                .as_ref()
                .and_then(Option::as_ref)
                .is_none_or(|attestation| attestation.token.claims.did),
            own_tokens: !raw.attestation.is_absent(),
            keys: !raw.keys.is_absent(),
            shared_state,
            trusts_proxies: listeners
                .as_ref()
                .and_then(|listeners| listeners.public.as_ref())
                .is_some_and(|public| !public.trusted_proxies.is_empty()),
            now: overrides.now,
            our_faults,
        };
        let complete = callers.len() == rows(&raw.callers).count() && lists.iter().count() == rows(&raw.lists).count();
        let built: BTreeMap<_, _> = self.table(&raw.routes, |name, raw, at| self.route(name, raw, at, &known));
        let complete = complete && built.len() == rows(&raw.routes).count();
        let places = rows(&raw.routes)
            .filter_map(|row| Some((row.name.clone(), RoutePlaces::of(row.value.as_ref()?))))
            .collect();
        let mut routes: Vec<RouteSettings> = built.into_values().collect();
        order::sort(&mut routes);
        self.refuse_equal_matches(&routes, &raw.routes);
        self.refuse_tokens_nobody_takes(raw, attestation.as_ref().and_then(Option::as_ref), &routes);
        self.refuse_apps_issuers_for_people(raw, &issuers, &callers, &routes);
        if !problem::any_error(&self.notes.problems.borrow()) {
            self.warn_of_meaning(raw, &routes, callers.values());
        }
        let mut attestation = match attestation {
            Some(None) => return None,
            Some(attestation) => attestation,
            None => None,
        };
        if let Some(Attestation { source: AttestationSource::Serve(serve), .. }) = &mut attestation {
            let stale = routes.iter().map(|route| route.our_faults.keys_stale);
            serve.keys_stale = stale.chain([our_faults.keys_stale]).max().unwrap_or(serve.keys_stale);
        }
        let listeners = listeners?;
        self.refuse_missing_listeners(
            raw,
            top,
            &listeners,
            attestation.as_ref().map(|attestation| &attestation.source),
            &routes,
        );
        let log = raw.log.good().map_or_else(LogSettings::default, |(log, _)| {
            self.log(log, state.as_ref().map(|state| state.dir.as_path()))
        });
        for (there, name, what) in
            [(log.traces.is_some(), "traces", "traced"), (log.record.is_some(), "record", "recorded")]
        {
            if there && rows(&raw.routes).next().is_none() {
                let fault = Fault::new(format!("only requests on routes are {what}, and there are none"));
                self.warn(raw.log.at.unwrap_or(top), "unused", fault.hint(format!("take `{name}` out")));
            }
        }
        let danger_core_dumps = self.flag(&raw.danger_core_dumps, false);
        if let (true, Some(at)) = (danger_core_dumps, raw.danger_core_dumps.at) {
            let fault =
                Fault::new("a core dump of this process has every secret in use, as has a debugger of its user");
            self.warn(at, "core_dumps", fault.hint("take the line out once the fault is found"));
        }
        if let Some((log_raw, _)) = raw.log.good() {
            self.refuse_recording_over_sources(log_raw, &log);
        }
        if self.files.text_bytes() > MAX_TEXT_BYTES {
            let fault =
                Fault::new(format!("the files of this configuration have more than {MAX_TEXT_BYTES} bytes of text"));
            self.refuse(top, "too_much_text", fault.hint("shorten its lists"));
        }
        if !complete {
            return None;
        }
        Some(Settings {
            path: path.to_path_buf(),
            listeners,
            state: state?,
            attestation,
            issuers,
            callers,
            lists: Arc::new(lists),
            list_sources,
            keys: match keys {
                Some(keys) => Some(keys.settings?),
                None => None,
            },
            our_faults,
            upstreams,
            routes,
            log,
            danger_core_dumps,
            sources: self.files.sources(),
            digest: self.files.digest(),
            bundle: self.files.bundle(),
            places,
        })
    }

    /// Checks every row of a table, its name included. Rows that can't be built are left out; they have been noted.
    fn table<R, T>(
        &self,
        field: &Field<Table<R>>,
        mut one: impl FnMut(&str, &R, Place) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut built = BTreeMap::new();
        for row in rows(field) {
            if let Err(fault) = names::name(&row.name) {
                self.refuse(row.at, "bad_name", fault);
            }
            if let Some(value) = row.value.as_ref().and_then(|raw| one(&row.name, raw, row.at)) {
                built.insert(row.name.clone(), value);
            }
        }
        built
    }

    /// For each policy file, the callers of all routes that use it.
    fn sharing<'r>(&'r self, routes: &'r Field<Table<RawRoute>>) -> BTreeMap<&'r str, Vec<String>> {
        let mut sharing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for route in rows(routes).filter_map(|row| row.value.as_ref()) {
            let names = route.callers.value.iter().flatten().filter_map(|name| name.value.as_ref());
            let names: Vec<String> = names.map(|name| name.0.clone()).collect();
            for file in [&route.policy, &route.candidate].into_iter().filter_map(|policy| self.policy_file(policy)) {
                sharing.entry(file).or_default().extend(names.iter().cloned());
            }
        }
        sharing
    }

    /// Our tokens with `cnf` or `ipk` need a proof that this version can't check: without `bearer_ok` a route would refuse them all.
    fn refuse_tokens_nobody_takes(
        &self,
        raw: &RawDocument,
        attestation: Option<&Attestation>,
        routes: &[RouteSettings],
    ) {
        let claims = attestation.map(|attestation| attestation.token.claims);
        let Some(claim) = claims.and_then(|claims| if claims.cnf { Some("cnf") } else { claims.ipk.then_some("ipk") })
        else {
            return;
        };
        for route in routes.iter().filter(|route| route.token.issuer == IssuerRef::Own && !route.token.bearer_ok) {
            let Some(row) = rows(&raw.routes).find(|row| row.name == route.name) else { continue };
            let fault = Fault::new(format!(
                "route `{}` would refuse every token: `{claim}` asks for a proof of possession",
                route.name
            ));
            let hint = format!(
                "this version can't check proofs: write token: {{ bearer_ok: true }}, or take `claims.{claim}` out"
            );
            self.refuse(row.at, "proof_unchecked", fault.hint(hint));
        }
    }

    fn refuse_equal_matches(&self, routes: &[RouteSettings], raw: &Field<Table<RawRoute>>) {
        let place = |name: &str| {
            let row = rows(raw).find(|row| row.name == name)?;
            row.value.as_ref().and_then(|route| route.matcher.at).or(Some(row.at))
        };
        for (index, route) in routes.iter().enumerate() {
            let Some(other) = routes.iter().take(index).find(|other| other.matcher == route.matcher) else { continue };
            let (Some(one), Some(two)) = (place(&other.name), place(&route.name)) else { continue };
            // The later in the file is the one to change.
            let (at, first, line) = if (one.line, one.column) > (two.line, two.column) {
                (one, &route.name, two.line)
            } else {
                (two, &other.name, one.line)
            };
            let fault = Fault::new(format!("route `{first}` on line {line} has the same match"));
            self.refuse(
                at,
                "equal_match",
                fault
                    .hint("make one more specific by host or path, or make one route of both with rules in its policy"),
            );
        }
    }
}

fn rows<R>(field: &Field<Table<R>>) -> impl Iterator<Item = &Row<R>> {
    field.value.iter().flat_map(|table| &table.0)
}
