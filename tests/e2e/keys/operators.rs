//! Keys that others seal, keys that are switched off, and what a list shows: each seen at the API behind the gateway.

use std::ffi::OsStr;

use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::house::{House, KEY_NAME};
use e2e::upstream::Recorder;

use super::{PAID, answers, told, uses};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";

/// `assay --json WORDS -c` the house's configuration.
fn run(house: &House, words: &[&str]) -> Ran {
    let config = house.config();
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&"--json"];
    all.extend(words.iter().map(|word| word as &dyn AsRef<OsStr>));
    all.extend([&"-c" as &dyn AsRef<OsStr>, &config]);
    assay(&all)
}

#[test]
fn what_was_sealed_with_the_public_key_goes_nowhere_until_it_is_accepted() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    let public = run(&house, &["key", "public"]).ends(0).json()["public_key"].as_str().unwrap().to_owned();

    // A laptop has the public key and the sealed file, and neither the key-encryption key nor the configuration.
    let laptop = Files::new();
    std::fs::copy(house.files.at("keys.sealed"), laptop.at("keys.sealed")).unwrap();
    let (store, origin) = (laptop.at("keys.sealed"), format!("http://{}", api.address));
    let words: [&dyn AsRef<OsStr>; 16] = [
        &"--json",
        &"key",
        &"seal",
        &KEY_NAME,
        &"--public-key",
        &public,
        &"--store",
        &store,
        &"--to",
        &origin,
        &"--header",
        &"x-api-key",
        &"--template",
        &"{key}",
        &"--path",
        &"/v1/**",
    ];
    let sealed = assay_fed(&words, SECOND.as_bytes()).ends(0).json();
    let fingerprint = sealed["fingerprint"].as_str().unwrap();
    let text = std::fs::read(&store).unwrap();
    assert!(!text.windows(SECOND.len()).any(|window| window == SECOND.as_bytes()));

    // The file comes back by Git. The gateway takes it, and goes on with what it had.
    house.files.write("keys.sealed", text);
    assert_eq!(house.reload().status, 200);
    let pending = run(&house, &["key", "pending"]).ends(0).out;
    assert!(pending.contains(fingerprint) && !pending.contains(SECOND), "{pending}");
    run(&house, &["key", "rotate", KEY_NAME]).ends(1);
    assert_eq!(house.get_as(&token, PAID).status, 200);
    assert_eq!(api.last().values("x-api-key"), [FIRST]);

    run(&house, &["key", "accept", KEY_NAME, "--fingerprint", &"0".repeat(fingerprint.len())]).ends(1);
    run(&house, &["key", "accept", KEY_NAME, "--fingerprint", fingerprint]).ends(0);
    run(&house, &["key", "rotate", KEY_NAME]).ends(0);
    uses(&house.admin, 2);
    assert_eq!(house.get_as(&token, PAID).status, 200);
    assert_eq!(api.last().values("x-api-key"), [SECOND]);
}

#[test]
fn a_disabled_key_is_in_no_request_until_it_is_enabled() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    assert_eq!(house.get_as(&token, PAID).status, 200);
    for words in [&["key", "disable", KEY_NAME, "--for", "1h"][..], &["key", "disable", KEY_NAME]] {
        run(&house, words).ends(0);
        let answer = answers(&house, &token, 503);
        assert_eq!(answer.code(), "unavailable");
        let seen = api.seen().len();
        assert_eq!(house.get_as(&token, PAID).status, 503);
        assert_eq!(api.seen().len(), seen, "nothing went to the API");
        assert_eq!(house.get_as(&token, "/own/x").status, 200, "other routes go on");
        assert!(told(&house.admin)["disabled"].is_object());
        let shown = assay(&[&"key", &"list", &"--gateway", &format!("http://{}", house.admin)]).ends(0).out;
        assert!(shown.contains("disabled until"), "{shown}");
        run(&house, &["key", "enable", KEY_NAME]).ends(0);
        answers(&house, &token, 200);
    }
    // One that is over by itself.
    run(&house, &["key", "disable", KEY_NAME, "--for", "3s"]).ends(0);
    answers(&house, &token, 503);
    answers(&house, &token, 200);
    assert_eq!(api.last().values("x-api-key"), [FIRST]);
}

#[test]
fn a_list_of_the_gateway_says_what_is_used_and_no_value() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    let url = format!("http://{}", house.admin);
    let list = || assay(&[&"key", &"list", &"--gateway", &url]).ends(0).out;
    assert!(list().contains("used    not yet, since this gateway started"), "{}", list());
    for _ in 0..3 {
        assert_eq!(house.get_as(&token, PAID).status, 200);
    }
    // A refused request opens no key.
    assert_eq!(house.get(PAID, &[]).status, 401);
    let (told, shown) = (told(&house.admin), list());
    let version = &told["versions"][0];
    assert_eq!(
        (&version["uses"], &version["state"], &told["routes"]),
        (&3.into(), &"current".into(), &["paid"].into())
    );
    assert!(version["last_use"].is_i64());
    let fingerprint = version["fingerprint"].as_str().unwrap();
    for part in [KEY_NAME, "routes    paid", "version 1 current", fingerprint, &api.address, "used    3 times"] {
        assert!(shown.contains(part), "no {part}: {shown}");
    }
    let stored = run(&house, &["key", "list"]).ends(0).json();
    assert_eq!(stored["keys"][0]["versions"][0]["fingerprint"], fingerprint);
    assert!(![shown, told.to_string(), stored.to_string()].iter().any(|text| text.contains(FIRST)));
}
