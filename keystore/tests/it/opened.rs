//! A key in hand: for whom it opens, what it changes, and what that costs.

use std::time::{Duration, Instant};

use admission::{Admission, Capacity, Class, Limit, Seat, Who};
use attest_core::random::SystemRandom;
use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use attest_core::token::danger::{DangerInjectUnattested, unseal_unattested};
use attest_core::token::verify::UnsealRight;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use keystore::bounds::{RecipeText, TokenEndpoint};
use keystore::{ApiKey, Bounds, BoundsText, KeyError, KeyHandle, KeyName, Keystore, OutgoingRequest, Trust};
use recipes::{Changes, Draft, DraftBody};

use crate::Place;

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const SECRET: &str = "sk-proj-0123456789abcdefghij";

/// The right as a decision on a marked route gives it; the attested one takes a whole token.
pub(crate) fn right() -> UnsealRight {
    unseal_unattested(DangerInjectUnattested::read_from_configuration())
}

/// A seat as admission gives it.
pub(crate) fn seat() -> Seat {
    let now = Instant::now();
    let house = Admission::new(Capacity::of(Limit::Fixed(1)), now, 1);
    house.try_enter(Who { class: Class::Attested, client: 1 }, now).unwrap()
}

/// The one header that changes.
pub(crate) fn value_of(changes: Changes) -> (HeaderName, HeaderValue) {
    match changes {
        Changes::Header(name, value) => (name, value),
        other => panic!("{other:?}"),
    }
}

/// The same request as the recipe sees it.
pub(crate) fn draft<'a>(request: &OutgoingRequest<'a>, headers: &'a HeaderMap) -> Draft<'a> {
    Draft {
        method: request.method,
        scheme: request.scheme,
        host: request.host,
        path: request.path,
        query: None,
        headers,
        body: DraftBody::Empty,
        now: NOW,
    }
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

fn place() -> (tempfile::TempDir, Place) {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", SECRET);
    (directory, place)
}

fn opened(place: &Place) -> KeyHandle {
    place.open().key("openai").unwrap()
}

#[test]
fn a_disabled_key_opens_for_nobody_until_its_time_is_over() {
    let (_directory, place) = place();
    let name = KeyName::parse("openai").unwrap();
    let change = |change: &dyn Fn(&mut keystore::Editor)| {
        let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
        change(&mut editor);
        editor.commit(&place.memory()).unwrap();
    };
    let at = |now| opened(&place).open(&right(), &seat(), &request(), now).map(drop);
    let until = NOW.plus(Duration::from_secs(60));
    change(&|editor| editor.disable(&name, Some(until)).unwrap());
    assert!(matches!(at(NOW), Err(KeyError::Disabled { .. })));
    assert!(matches!(at(until.minus(Duration::from_secs(1))), Err(KeyError::Disabled { .. })));
    assert!(at(until).is_ok());
    change(&|editor| editor.disable(&name, None).unwrap());
    assert!(matches!(at(NOW.plus(Duration::from_secs(1 << 40))), Err(KeyError::Disabled { .. })));
    change(&|editor| assert!(editor.enable(&name).unwrap()));
    assert!(at(NOW).is_ok());
}

#[test]
fn a_key_changes_only_the_request_that_it_was_opened_for() {
    let (_directory, place) = place();
    let key = opened(&place);
    let (request, headers) = (request(), HeaderMap::new());
    let open = key.open(&right(), &seat(), &request, NOW).unwrap();
    let same = draft(&request, &headers);
    assert!(open.apply(&same).is_ok());
    assert!(open.apply(&Draft { host: "api.openai.com:443", ..same }).is_ok());
    for other in [
        Draft { host: "evil.example", ..same },
        Draft { host: "api.openai.com:8443", ..same },
        Draft { host: "api.openai.com.evil.example", ..same },
        Draft { scheme: Scheme::Http, ..same },
        Draft { method: &Method::GET, ..same },
        Draft { path: "/v1/files/1", ..same },
    ] {
        assert!(matches!(open.apply(&other), Err(KeyError::OtherRequest { .. })), "{other:?}");
    }
}

#[test]
fn what_finds_a_token_is_built_once_and_finds_the_key_too() {
    let (_directory, place) = place();
    let key = opened(&place);
    let (right, seat, request) = (right(), seat(), request());
    let derived = |text: &str| vec![zeroize::Zeroizing::new(text.as_bytes().to_vec())];
    let [one, other] = ["first-signed-token-0123", "other-signed-token-4567"];
    let guards: Vec<_> = [one, one, other, one]
        .into_iter()
        // Of several requests, each of which opens the key.
        .map(|token| key.open(&right, &seat, &request, NOW).unwrap().guard_with(derived(token)).unwrap())
        .collect();
    assert!(std::sync::Arc::ptr_eq(&guards[0], &guards[1]));
    assert!(!std::sync::Arc::ptr_eq(&guards[1], &guards[2]) && !std::sync::Arc::ptr_eq(&guards[2], &guards[3]));
    for (guard, finds, passes) in [(&guards[0], one, other), (&guards[2], other, one), (&guards[3], one, other)] {
        assert!(guard.scrub_header(finds.as_bytes()).is_some() && guard.scrub_header(SECRET.as_bytes()).is_some());
        assert!(guard.scrub_header(passes.as_bytes()).is_none());
    }
    let open = key.open(&right, &seat, &request, NOW).unwrap();
    assert!(open.guard_with(derived("too short")).is_err());
    assert!(std::sync::Arc::ptr_eq(&open.guard_with(Vec::new()).unwrap(), open.guard()));
}

#[test]
fn the_next_version_opens_only_when_it_is_asked_for_by_that_name() {
    let (_directory, place) = place();
    let before = opened(&place);
    assert!(!before.has_next());
    assert!(matches!(before.open_next(&right(), &seat(), &request(), NOW), Err(KeyError::NoNext { .. })));
    place.put("openai", "sk-proj-new-9876543210zyxwvuts");
    let key = opened(&place);
    let (right, seat, headers) = (right(), seat(), HeaderMap::new());
    let (one, next) =
        (key.open(&right, &seat, &request(), NOW).unwrap(), key.open_next(&right, &seat, &request(), NOW).unwrap());
    assert_eq!((one.version().get(), next.version().get()), (1, 2));
    assert_ne!(one.id(), next.id());
    assert_eq!(one.id(), before.open(&right, &seat, &request(), NOW).unwrap().id(), "the same version, read again");
    let (_, value) = value_of(next.apply(&draft(&request(), &headers)).unwrap());
    assert_eq!(value.as_bytes(), b"Bearer sk-proj-new-9876543210zyxwvuts");
    for secret in [SECRET, "sk-proj-new-9876543210zyxwvuts"] {
        assert!(one.guard().scrub_header(secret.as_bytes()).is_some(), "answers are searched for both");
    }
}

#[test]
fn tokens_are_minted_at_the_bound_endpoint_and_under_the_bound_roots() {
    let (_directory, place) = place();
    let recipe = RecipeText::Oauth2ClientCredentials {
        token_endpoint: "https://login.example.com/oauth/token".into(),
        client_id: "us".into(),
        authentication: recipes::ClientAuthentication::Basic,
        algorithm: None,
        key_id: None,
        scope: None,
        audience: None,
        parameters: Default::default(),
        name: "authorization".into(),
        template: "Bearer {token}".into(),
    };
    let bounds = BoundsText { recipe, ..crate::bounds().to_text() };
    let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
    let (name, secret) = (KeyName::parse("crm").unwrap(), ApiKey::parse(SECRET.as_bytes()).unwrap());
    editor.put(&name, &secret, Bounds::parse(&bounds).unwrap(), &SystemRandom).unwrap();
    let key = editor.commit(&place.memory()).unwrap().key("crm").unwrap();
    let (right, seat, headers) = (right(), seat(), HeaderMap::new());
    let open = key.open(&right, &seat, &request(), NOW).unwrap();
    assert!(matches!(open.apply(&draft(&request(), &headers)), Err(KeyError::NotApplied { .. })), "never itself");
    let minter = open.minter();
    let mine = Trust::in_private_roots(b"mine");
    assert!(matches!(minter.request(mine, NOW, &SystemRandom), Err(KeyError::OtherEndpoint { .. })));
    let asked = minter.request(Trust::PublicRoots, NOW, &SystemRandom).unwrap();
    assert_eq!(asked.endpoint, TokenEndpoint::parse("https://login.example.com/oauth/token").unwrap());
    let answer = br#"{"access_token":"tok-0123456789abcdef","token_type":"Bearer","expires_in":60}"#;
    let token = minter.read(200, answer, NOW).unwrap();
    let (name, value) = value_of(minter.apply(&token).unwrap());
    assert_eq!((name.as_str(), value.as_bytes()), ("authorization", b"Bearer tok-0123456789abcdef".as_slice()));
    assert!(matches!(minter.read(400, br#"{"error":"invalid_client"}"#, NOW), Err(KeyError::NotMinted { .. })));
}

#[test]
fn a_header_with_a_fixed_value_is_added_without_an_allocation() {
    let (_directory, place) = place();
    let key = opened(&place);
    let (right, seat, headers) = (right(), seat(), HeaderMap::new());
    let inject = || {
        let open = key.open(&right, &seat, &request(), NOW).unwrap();
        std::hint::black_box(open.apply(&draft(&request(), &headers)).unwrap());
    };
    // The first one unseals.
    inject();
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| inject()));
    assert_eq!(counted.count_total, 0);
}
