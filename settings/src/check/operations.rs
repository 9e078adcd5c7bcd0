//! `operations:` checked.
//!
//! In: calls as they are written. Out: [`Operation`]s. What can't hold, does nothing or can't be judged is refused at its own
//! place; on a route with a key everything that is not written down is shut.

mod body;
mod named;

pub(crate) use named::Vocabulary;

use attest_core::target::PathGlob;
use http::{HeaderName, Method};
use operations::{Body, Headers, Mistake, Operation, Parameters, Query, QueryText, Rule};
use policies::yaml::Place;

use super::Check;
use crate::{
    file::{
        names::Name,
        operations::{AllWord, AnyWord, NoneWord, OperationRef, Parameter, ParameterValue, RawOperation, RawQuery},
        requests::{Call, Header, Paths},
        routes::RawRoute,
    },
    shape::{Either, Fault, Field},
};

/// An operation, and where it stands.
pub(crate) type Placed = (Operation, Place);

impl Check<'_, '_> {
    /// The operations of a route.
    pub(crate) fn operations(&self, raw: &RawRoute, injects: bool, vocabulary: Vocabulary<'_>) -> Vec<Placed> {
        let Some((operations, at)) = raw.operations.good() else {
            if let (true, true, Some(at)) = (injects, raw.operations.is_absent(), raw.key.at) {
                let fault = Fault::new("a route with a key needs `operations`: all that the key can be used for");
                self.refuse(
                    at,
                    "key_without_operations",
                    fault.hint("add operations: [{ call: POST /v1/chat/completions, body: { limit: 256KiB } }]"),
                );
            }
            return Vec::new();
        };
        let operations = match operations {
            Either::Plain(AllWord::All) => return self.everything(at, injects, vocabulary),
            Either::Structured(operations) => operations,
        };
        if operations.is_empty() {
            let fault = Fault::new("`operations` is empty: nothing could be called");
            let hint = if injects {
                "name what may be called"
            } else {
                "name what may be called, or take the line out to allow everything"
            };
            self.refuse(at, "empty_list", fault.hint(hint));
        }
        let mut seen: Vec<Placed> = Vec::new();
        for (raw, at) in operations.iter().filter_map(Field::good) {
            let Some(operation) = self.operation_or_named(raw, at, injects, vocabulary) else { continue };
            let same = |other: &Operation| other.method() == operation.method() && other.path() == operation.path();
            if seen.iter().any(|(other, _)| same(other)) {
                self.refuse(at, "duplicate", Fault::new("this operation stands twice").hint("take one of them out"));
            }
            seen.push((operation, at));
        }
        seen
    }

    fn operation_or_named(
        &self,
        raw: &OperationRef,
        at: Place,
        injects: bool,
        vocabulary: Vocabulary<'_>,
    ) -> Option<Operation> {
        match raw {
            Either::Structured(raw) if raw.preset.is_absent() => self.operation(raw, at, injects),
            Either::Structured(raw) => self.narrowed(raw, vocabulary),
            Either::Plain(Name(name)) => self.named(name, at, vocabulary).and_then(|text| self.compiled(text, at)),
        }
    }

    /// `all`: with a key a warning, without one what is there anyway.
    fn everything(&self, at: Place, injects: bool, vocabulary: Vocabulary<'_>) -> Vec<Placed> {
        if !injects {
            let fault = Fault::new("`operations: all` does nothing on a route without a key");
            self.refuse(at, "does_nothing", fault.hint("take the line out"));
            return Vec::new();
        }
        match vocabulary {
            Vocabulary::Preset(preset) => return self.all_of(preset, at),
            Vocabulary::Unknown => return Vec::new(),
            Vocabulary::Empty => {}
        }
        let fault = Fault::new("whoever may use this route may do with the key all that the key itself can");
        self.warn(at, "all_operations", fault.hint("list the calls that your app makes"));
        let Ok(path) = PathGlob::parse("/**") else { return Vec::new() };
        let all = |method| Operation::open(method, path.clone()).with_headers(Headers::harmless());
        METHODS.map(|method| (all(method), at)).into()
    }

    fn operation(&self, raw: &RawOperation, owner: Place, injects: bool) -> Option<Operation> {
        let call = self.need(&raw.call, owner, "call", "POST /v1/embeddings");
        let query = match (raw.query.good(), raw.query.is_absent()) {
            (Some((Either::Plain(AnyWord::Any), _)), _) => Some(Query::any()),
            (Some((Either::Structured(raw), at)), _) => self.query(raw, at, injects),
            (None, true) => Some(if injects { Query::none() } else { Query::any() }),
            (None, false) => None,
        };
        let headers = match raw.headers.good() {
            Some((listed, at)) => self.headers(listed, at, injects),
            None if injects => Headers::harmless(),
            None => Headers::Any,
        };
        let body = match (raw.body.good(), raw.body.is_absent()) {
            (Some((Either::Plain(NoneWord::None), _)), _) => Some(Body::none()),
            (Some((Either::Structured(raw), at)), _) => self.body(raw, at),
            (None, true) if injects => {
                self.warn_of_no_body(call.map(|(Call((method, _)), at)| (method, at)));
                Some(Body::none())
            }
            (None, true) => Some(Body::unbounded()),
            (None, false) => None,
        };
        let (Call((method, path)), _) = call?;
        let operation = Operation::closed(method.clone(), path.clone());
        let operation = operation.with_query(query?).with_headers(headers).with_body(body?);
        let Some((Paths(to), at)) = raw.to.good() else { return Some(operation) };
        match operation.sent_to(to.clone()) {
            Ok(operation) => Some(operation),
            Err(mistake) => {
                let fault = Fault::new(mistake.why.to_string());
                self.refuse(
                    at,
                    "bad_rule",
                    fault.hint("write one path: to: /v1/embeddings; or call: GET /v1/a/**, to: /v2/**"),
                );
                None
            }
        }
    }

    /// Whoever posts without a body is rare; who forgot the line finds out in production.
    fn warn_of_no_body(&self, call: Option<(&Method, Place)>) {
        if let Some((&(Method::POST | Method::PUT | Method::PATCH), at)) = call {
            let fault = Fault::new("this call takes no body: with a key, what is not allowed is refused");
            self.warn(at, "no_body", fault.hint("add body: { limit: 64KiB }, or body: none"));
        }
    }

    fn headers(&self, listed: &[Field<Header>], at: Place, injects: bool) -> Headers {
        if listed.is_empty() && injects {
            let fault = Fault::new("`headers` is empty, which it is by default");
            self.refuse(at, "does_nothing", fault.hint("take the line out, or name a header: [Stripe-Account]"));
        }
        let mut names = Vec::new();
        for (Header(name), at) in listed.iter().filter_map(Field::good) {
            if operations::headers::HARMLESS.contains(&name.as_str()) {
                let fault = Fault::new(format!("`{name}` goes upstream by default"));
                self.refuse(at, "does_nothing", fault.hint("take it out"));
            } else if injects && recipes::slots::is_well_known_header(name.as_str()) && !chooses_account(name) {
                let fault = Fault::new(format!("`{name}` proves a caller, and is taken out on every route with a key"));
                self.refuse(
                    at,
                    "does_nothing",
                    fault.hint("take it out: what the API needs there, the key's recipe writes"),
                );
            } else if names.contains(name) {
                self.refuse(at, "duplicate", Fault::new(format!("`{name}` stands twice")).hint("take one of them out"));
            } else {
                names.push(name.clone());
            }
        }
        Headers::Listed(names)
    }

    fn query(&self, raw: &RawQuery, at: Place, injects: bool) -> Option<Query> {
        let mut places: Vec<(Rule, Vec<(String, Place)>)> = Vec::new();
        let allow = match raw.allow.good() {
            Some((Either::Plain(AnyWord::Any), _)) => Parameters::Any,
            Some((Either::Structured(listed), _)) => {
                let names = self.parameters(listed);
                let only = names.iter().map(|(name, _)| name.clone()).collect();
                places.push((Rule::QueryAllow, names));
                Parameters::Listed(only)
            }
            None => Parameters::Listed(std::collections::BTreeSet::new()),
        };
        let rows = || raw.fixed.value.iter().flat_map(|table| &table.0);
        let fixed =
            rows().filter_map(|row| row.value.as_ref().map(|ParameterValue(value)| (row.name.clone(), value.clone())));
        let forbid = raw.forbid.value.as_deref().map(|listed| self.parameters(listed)).unwrap_or_default();
        let text =
            QueryText { allow, fixed: fixed.collect(), forbid: forbid.iter().map(|(name, _)| name.clone()).collect() };
        places.push((Rule::QueryFixed, rows().map(|row| (row.name.clone(), row.at)).collect()));
        places.push((Rule::QueryForbid, forbid));
        if matches!(&text.allow, Parameters::Listed(listed) if listed.is_empty())
            && text.fixed.is_empty()
            && text.forbid.is_empty()
        {
            let fault = Fault::new("`query` allows no parameter and fixes none");
            self.refuse(
                at,
                "does_nothing",
                fault.hint("write allow: [ … ], or fixed: { … }; on a route with a key, take the line out"),
            );
            return None;
        }
        let slots = recipes::slots::Slots::default();
        for (name, at) in places.iter().flat_map(|(_, names)| names).filter(|(name, _)| injects && slots.is_query(name))
        {
            let fault = Fault::new(format!("`{name}` proves a caller, and is taken out on every route with a key"));
            self.refuse(
                *at,
                "does_nothing",
                fault.hint("take it out: what the API needs there, the key's recipe writes"),
            );
        }
        match Query::new(text) {
            Ok(query) => Some(query),
            Err(mistakes) => {
                for mistake in mistakes {
                    // The rules count names in their order, the file in its own.
                    let list = places.iter_mut().find(|(rule, _)| *rule == mistake.rule);
                    let place = list.and_then(|(_, names)| {
                        names.sort_by(|one, other| one.0.cmp(&other.0));
                        names.get(mistake.index).map(|(_, place)| *place)
                    });
                    self.refuse_rule(&mistake, place.unwrap_or(at));
                }
                None
            }
        }
    }

    fn parameters(&self, listed: &[Field<Parameter>]) -> Vec<(String, Place)> {
        let mut names: Vec<(String, Place)> = Vec::new();
        for (Parameter(name), at) in listed.iter().filter_map(Field::good) {
            if names.iter().any(|(other, _)| other == name) {
                self.refuse(at, "duplicate", Fault::new("this parameter stands twice").hint("take one of them out"));
            } else {
                names.push((name.clone(), at));
            }
        }
        names
    }

    /// A mistake of the rules, at its place, with what to write instead.
    fn refuse_rule(&self, mistake: &Mistake, at: Place) {
        self.refuse(at, "bad_rule", Fault::new(mistake.why.to_string()).hint(body::remedy(mistake)));
    }
}

fn chooses_account(name: &HeaderName) -> bool {
    operations::headers::CHOOSE_ACCOUNT.contains(&name.as_str())
}

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
