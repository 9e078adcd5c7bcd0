//! From `key put` to the answer on its way back.

use attest_core::target::{PathGlob, Scheme};
use bytes::Bytes;
use http::{HeaderMap, Method};
use keystore::bounds::{Bound, Operation};
use keystore::{Guard, KeyError, KeyName, Keystore, OutgoingRequest, Trust, UseDescription};

use crate::Place;
use crate::opened::{NOW, draft, right, seat, value_of};

const SECRET: &str = "sk-proj-0123456789abcdefghij";

fn store() -> (tempfile::TempDir, Place, Keystore) {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", SECRET);
    let store = place.open();
    (directory, place, store)
}

fn request<'a>() -> OutgoingRequest<'a> {
    OutgoingRequest {
        scheme: Scheme::Https,
        host: "api.openai.com",
        port: 443,
        method: &Method::POST,
        path: "/v1/chat/completions",
        trust: Trust::PublicRoots,
    }
}

#[test]
fn a_request_outside_the_bounds_does_not_get_the_key() {
    let (_directory, _place, store) = store();
    let key = store.key("openai").unwrap();
    let outside = [
        (OutgoingRequest { host: "evil.example", ..request() }, Bound::Origin),
        (OutgoingRequest { scheme: Scheme::Http, ..request() }, Bound::Origin),
        (OutgoingRequest { trust: Trust::in_private_roots(b"mine"), ..request() }, Bound::Trust),
        (OutgoingRequest { method: &Method::DELETE, ..request() }, Bound::Method),
        (OutgoingRequest { path: "/v1/api_keys", ..request() }, Bound::Path),
    ];
    for (request, bound) in outside {
        match key.open(&right(), &seat(), &request, NOW) {
            Err(KeyError::OutOfBounds(violation)) => assert_eq!(violation.bound(), bound),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_configuration_that_points_the_key_elsewhere_is_refused_at_load() {
    let (_directory, _place, store) = store();
    let path = PathGlob::parse("/v1/chat/completions").unwrap();
    let wanted = UseDescription {
        scheme: Scheme::Https,
        host: "evil.example",
        port: 443,
        trust: Trust::PublicRoots,
        operations: &[Operation { method: &Method::POST, path: &path }],
    };
    let words = store.key("openai").unwrap().check_config(&wanted).unwrap_err().to_string();
    assert_eq!(
        words,
        "key \"openai\" is bound to https://api.openai.com:443; the upstream is https://evil.example:443"
    );
}

#[test]
fn an_allowed_request_gets_the_header_and_its_answer_is_scrubbed() {
    let (_directory, _place, store) = store();
    let key = store.key("openai").unwrap();
    let open = key.open(&right(), &seat(), &request(), NOW).unwrap();
    let headers = HeaderMap::new();
    let changes = open.apply(&draft(&request(), &headers)).unwrap();
    assert!(!format!("{changes:?} {open:?} {key:?} {store:?}").contains("0123456789"));
    let (name, value) = value_of(changes);
    assert_eq!(name, "authorization");
    assert_eq!(value.as_bytes(), format!("Bearer {SECRET}").as_bytes());
    assert!(value.is_sensitive());

    let header = open.guard().scrub_header(value.as_bytes()).unwrap();
    assert_eq!(header, format!("Bearer {}", "*".repeat(SECRET.len())).as_bytes());
    let body = format!("{{\"authorization\":\"Bearer {SECRET}\"}}");
    let mut stream = open.guard().stream();
    let mut out = Vec::new();
    body.as_bytes()
        .chunks(5)
        .for_each(|chunk| out.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk), false)));
    out.extend_from_slice(&stream.push(Bytes::new(), true));
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out, format!("{{\"authorization\":\"Bearer sk-{}\"}}", "*".repeat(SECRET.len() - 3)));
    assert_eq!(stream.findings(), 1);
}

#[test]
fn after_a_rotation_the_new_key_goes_out_and_the_old_one_is_still_scrubbed() {
    let (_directory, place, _store) = store();
    place.put("openai", "sk-proj-new-9876543210zyxwvuts");
    let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
    editor.rotate(&KeyName::parse("openai").unwrap()).unwrap();
    editor.commit(&place.memory()).unwrap();
    let key = place.open().key("openai").unwrap();
    let open = key.open(&right(), &seat(), &request(), NOW).unwrap();
    let (_, value) = value_of(open.apply(&draft(&request(), &HeaderMap::new())).unwrap());
    assert_eq!(value.as_bytes(), b"Bearer sk-proj-new-9876543210zyxwvuts");
    assert!(open.guard().scrub_header(SECRET.as_bytes()).is_some());
}

#[test]
fn an_old_file_from_the_history_is_refused_on_the_machine_that_knows_better() {
    let (_directory, place, store) = store();
    let old = std::fs::read(&place.store).unwrap();
    let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
    editor.remove(&KeyName::parse("openai").unwrap()).unwrap();
    editor.commit(&place.memory()).unwrap();
    std::fs::write(&place.store, old).unwrap();
    let error = Keystore::open(&place.store, &place.master(), &place.memory()).unwrap_err().to_string();
    assert!(
        error.contains("rolled back: this is generation 2, and this machine has opened generation 3 before"),
        "{error}"
    );
    assert_eq!(store.generation(), 2, "what is open stays open");
}

#[test]
fn no_file_has_a_form_of_the_secret() {
    let (directory, _place, _store) = store();
    let guard = Guard::for_secret(SECRET.as_bytes(), SECRET.as_bytes()).unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        assert_eq!(guard.scrub_header(&std::fs::read(file.unwrap().path()).unwrap()), None);
    }
}
