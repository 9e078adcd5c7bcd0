//! A file of cases as text -> cases that can be tried.
//!
//! In: text, and where its lists are read from. Out: a [`CaseFile`], or all that is wrong with it. Proven: names are unique, every case has a
//! verdict and a target that the gateway would take, and no case gives a claim to a token that nobody signed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use http::{HeaderMap, Method};
use serde_json::{Map, Value as Json};

use super::shape::{CaseShape, CaseUser, Entries, FileShape, Given, ListShape, ModeWord};
use super::{Case, CaseFile, User};
use crate::compile::Includes;
use crate::facts::{Cause, Mode, Subject};
use crate::lists::{Kind, List, Lists};
use crate::problem::{self, Problem};
use crate::shape::{At, Read, Required};
use crate::yaml::{self, Entry, Node, Place, Value};

/// Fields of `given` that a token says: without a genuine signature nobody believes them.
const CLAIMS: [&str; 9] =
    ["app", "app_version", "tier", "evidence", "expired_for", "device", "device_state", "device_age", "annotation"];

pub(super) fn read(name: &str, text: &str, files: &dyn Includes) -> Result<CaseFile, Vec<Problem>> {
    let root = yaml::parse(name, text)?;
    let mut problems = Vec::new();
    let file =
        FileShape::read(&root, "", &mut problems).map(|shape| assemble(name, shape, &root, files, &mut problems));
    for problem in problems.iter_mut().filter(|problem| problem.file.is_empty()) {
        name.clone_into(&mut problem.file);
    }
    // What is wrong with the file's own `given` is met again in each case. Sorting by place keeps this order.
    problems.sort_by(|a, b| (a.code, &a.message).cmp(&(b.code, &b.message)));
    problem::sort(&mut problems);
    problems.dedup();
    match file {
        Some(file) if !problem::any_error(&problems) => Ok(file),
        _ => Err(problems),
    }
}

fn assemble(name: &str, shape: FileShape, root: &Node, files: &dyn Includes, problems: &mut Vec<Problem>) -> CaseFile {
    let mut lists = Lists::new();
    for (list, at) in shape.lists.into_iter().flat_map(|at| at.value.0) {
        if let Some(read) = read_list(&at, name, files, problems) {
            lists.insert(list, read);
        }
    }
    let common = shape.given.map(|given| given.0);
    let shapes = shape.cases.0.map(|at| at.value.0).unwrap_or_default();
    if shapes.is_empty() && !problem::any_error(problems) {
        problems.push(
            Problem::error(root.place, "empty_list", "the file has no cases")
                .with_hint("write at least one under `cases:`"),
        );
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    for case in shapes {
        if let Some(At { value: name, place }) = &case.value.name.0
            && let Some(line) = names.insert(name.clone(), place.line)
        {
            let message = format!("two cases are called `{name}`");
            problems.push(
                Problem::error(*place, "duplicate_name", message).with_hint(format!("the first one is on line {line}")),
            );
        }
        cases.extend(read_case(case.value, case.place, common.as_ref(), problems));
    }
    CaseFile {
        name: name.to_owned(),
        policy: shape.policy.map(|at| (at.value, at.place)),
        route: shape.route.map(|at| at.value),
        injects: shape.injects.is_some_and(|at| at.value),
        danger_inject_unattested: shape.danger_inject_unattested.is_some_and(|at| at.value),
        user: shape.user.is_some_and(|at| at.value),
        callers: shape.callers.into_iter().flat_map(|at| at.value.0).map(|at| at.value).collect(),
        lists,
        cases,
    }
}

fn read_case(shape: CaseShape, place: Place, common: Option<&Node>, problems: &mut Vec<Problem>) -> Option<Case> {
    let own = shape.given.as_ref().map(|given| &given.0);
    let given_place = own.map_or(place, |node| node.place);
    let merged = merge(common, own, given_place);
    let given = Given::read(&merged, "given", problems)?;
    let Some(At { value: verdict, .. }) = given.verdict else {
        if entry(&merged, "verdict").is_none() {
            problems.push(
                Problem::error(given_place, "missing_field", "the case has no `verdict`")
                    .with_hint("write given: { verdict: attested }"),
            );
        }
        return None;
    };
    let supposed = Subject::supposed(verdict.0);
    for claim in CLAIMS.into_iter().filter(|_| !supposed.genuine) {
        if let Some(entry) = own.and_then(|own| entry(own, claim)) {
            let message = format!("with verdict `{}` nobody believes what the token says: `{claim}`", verdict.0);
            problems.push(Problem::error(entry.place, "no_effect", message).with_hint("remove it"));
        }
    }
    let method = given.method.map_or(Method::GET, |at| at.value.0);
    let host = given.host.as_ref().map_or("localhost", |at| at.value.as_str());
    let path = given.path.as_ref().map_or("/", |at| at.value.as_str());
    let path_place = given.path.as_ref().or(given.host.as_ref()).map_or(given_place, |at| at.place);
    let target = path.parse().map_err(|_| "not a path".to_owned()).and_then(|path| {
        let options = TargetOptions { allow_encoded_slash: true };
        Target::parse(&method, Scheme::Https, host, &path, options).map_err(|error| error.to_string())
    });
    let target = match target {
        Ok(target) => target,
        Err(error) => {
            let message = format!("the gateway answers this target with 400 before any policy: {error}");
            problems.push(Problem::error(path_place, "bad_target", message));
            return None;
        }
    };
    let address = match &given.address {
        None => IpAddr::from([192, 0, 2, 1]),
        Some(at) => match at.value.parse::<IpAddr>() {
            Ok(address) => address.to_canonical(),
            Err(_) => {
                let message = format!("`{}` is not an address", at.value);
                problems
                    .push(Problem::error(at.place, "bad_address", message).with_hint("write one address: 203.0.113.7"));
                return None;
            }
        },
    };
    let Required(Some(At { value: name, .. })) = shape.name else { return None };
    let Required(Some(At { value: expect, .. })) = shape.expect else { return None };
    // `common` may speak of claims: they are looked at only where somebody signed them.
    let genuine = supposed.genuine;
    let mut headers = HeaderMap::new();
    for (name, value) in given.headers.into_iter().flat_map(|at| at.value.0) {
        headers.append(name, value);
    }
    Some(Case {
        name,
        verdict: verdict.0,
        target,
        address,
        headers,
        at: given.at.map(|at| at.value.0),
        app: given.app.map(|at| at.value).filter(|_| genuine),
        version: given.app_version.map(|at| at.value).filter(|_| genuine),
        tier: given.tier.map(|at| at.value.0).filter(|_| genuine).unwrap_or(Tier::None),
        kinds: kinds(given.evidence.filter(|_| genuine)),
        expired_for: given.expired_for.map(|at| at.value.0).filter(|_| genuine),
        device: given.device.map(|at| at.value).filter(|_| genuine),
        device_state: given.device_state.map(|at| at.value.0).filter(|_| genuine).unwrap_or(DeviceState::Normal),
        device_age: given.device_age.map(|at| at.value.0).filter(|_| genuine),
        annotations: given
            .annotation
            .filter(|_| genuine)
            .map_or(0, |at| at.value.0.iter().fold(0, |bits, word| bits | word.value.0)),
        caller: given.caller.map(|at| at.value),
        user: given.user.and_then(|at| user(at.value)),
        mode: given.mode.map_or(Mode::Normal, |at| mode(at.value)),
        expect: expect.0,
    })
}

fn kinds(evidence: Option<At<crate::shape::Many<crate::shape::words::EvidenceWord>>>) -> EvidenceKinds {
    let words = evidence.map(|at| at.value.0).unwrap_or_default();
    words.iter().fold(EvidenceKinds::EMPTY, |kinds, word| kinds.union(word.value.0))
}

fn user(shape: CaseUser) -> Option<User> {
    let (issuer, subject) = (shape.issuer.0?.value, shape.subject.0?.value);
    let mut claims: Map<String, Json> = shape.claims.map(|at| at.value.0).unwrap_or_default();
    claims.insert("sub".to_owned(), subject.as_str().into());
    Some(User { issuer, subject, claims })
}

const fn mode(word: ModeWord) -> Mode {
    match word {
        ModeWord::Normal => Mode::Normal,
        ModeWord::Lockdown => Mode::Lockdown,
        ModeWord::Monitor => Mode::Monitor(Cause::Panic),
        ModeWord::Guard => Mode::Monitor(Cause::Guard),
    }
}

fn read_list(at: &At<ListShape>, file: &str, files: &dyn Includes, problems: &mut Vec<Problem>) -> Option<List> {
    let shape = &at.value;
    let kinds = [(Kind::Networks, &shape.networks), (Kind::Devices, &shape.devices), (Kind::Paths, &shape.paths)];
    let named: Vec<_> = kinds.into_iter().filter_map(|(kind, entries)| Some((kind, entries.as_ref()?))).collect();
    let [(kind, entries)] = named.as_slice() else {
        problems.push(
            Problem::error(at.place, "bad_list", "a list is one of `networks`, `devices` and `paths`")
                .with_hint("write, for example, { networks: [203.0.113.0/24] } or { networks: datacentres.txt }"),
        );
        return None;
    };
    let read = match &entries.value {
        Entries::Here(items) => {
            let items = items.iter().map(|item| (item.place, item.value.as_str()));
            List::from_entries(*kind, file, entries.place, items)
        }
        Entries::File(path) => match files.read(path) {
            Ok((shown, text)) => List::parse(*kind, &shown, &text),
            Err(why) => Err(vec![Problem::error(entries.place, "unreadable_file", why).in_file(file)]),
        },
    };
    read.map_err(|found| problems.extend(found)).ok()
}

/// The fields of `common`, those of `own` instead where both have one.
fn merge(common: Option<&Node>, own: Option<&Node>, place: Place) -> Node {
    let entries = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    let own = entries(own);
    let mut all: Vec<Entry> =
        entries(common).into_iter().filter(|entry| !own.iter().any(|other| other.key == entry.key)).collect();
    all.extend(own);
    Node::new(Value::Map(all), place)
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n Entry> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == name),
        _ => None,
    }
}
