//! A key store in PostgreSQL with two gateways: a change reaches both within seconds, and neither needs the database once
//! it has seen the store.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::house::{House, KEY_NAME};
use e2e::replicas::Gateway;
use e2e::upstream::Recorder;
use e2e::wait::until;
use test_servers::Postgres;

use super::{PAID, beside, start, told, uses};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";

/// A change is told every two seconds; the rest is for a machine that is busy.
const SECONDS: Duration = Duration::from_secs(10);

fn put(house: &House, api: &Recorder, secret: &str) -> Ran {
    let (origin, config) = (format!("http://{}", api.address), house.files.at("a.yaml"));
    let words: [&dyn AsRef<OsStr>; 12] = [
        &"key",
        &"put",
        &KEY_NAME,
        &"--to",
        &origin,
        &"--header",
        &"x-api-key",
        &"--template",
        &"{key}",
        &"--path",
        &"/v1/**",
        &"-c",
    ];
    assay_fed(&[&words[..], &[&config]].concat(), secret.as_bytes())
}

#[test]
fn a_change_reaches_both_gateways_and_they_start_without_the_database() {
    let Some(postgres) = Postgres::start() else { return };
    let api = Recorder::start();
    let house = House::apart(Files::new(), &api.address, "of-the-house-s-own-0123456789");
    let token = house.token();
    house.files.private("secrets/keys.url", postgres.fresh_database());
    for name in ["a", "b", "fresh"] {
        beside(&house.files, name, |yaml| {
            yaml.replacen("store: keys.sealed", "store: { database: { url_file: secrets/keys.url }, name: keys }", 1)
        });
    }
    let at = |name: &str| house.files.at(&format!("{name}.yaml"));
    let change = |words: &[&str]| {
        let config = at("a");
        let mut all: Vec<&dyn AsRef<OsStr>> = words.iter().map(|word| word as &dyn AsRef<OsStr>).collect();
        all.extend([&"-c" as &dyn AsRef<OsStr>, &config]);
        assay(&all)
    };
    let carries = |gateway: &Gateway, secret: &str| {
        let answer = gateway.get_as(&token, PAID);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(api.last().values("x-api-key"), [secret]);
    };

    // The first `put` makes the table; both gateways have the key from there.
    put(&house, &api, FIRST).ends(0);
    let (mut a, b) = (start(&house.files, "a"), start(&house.files, "b"));
    for gateway in [&a, &b] {
        carries(gateway, FIRST);
    }
    put(&house, &api, SECOND).ends(0);
    change(&["key", "rotate", KEY_NAME]).ends(0);
    let since = Instant::now();
    for gateway in [&a, &b] {
        uses(&gateway.admin, 2);
        carries(gateway, SECOND);
    }
    assert!(since.elapsed() < SECONDS, "{:?}", since.elapsed());

    // The database stops: what runs goes on, one that has seen the store starts, one that has not says why it can't.
    postgres.stop();
    for gateway in [&a, &b] {
        carries(gateway, SECOND);
    }
    a.program.kill();
    a = start(&house.files, "a");
    carries(&a, SECOND);
    let config = at("fresh");
    let refused = assay(&[&"gateway", &"-c", &config]);
    assert_ne!(refused.code, 0, "{}", refused.out);
    assert!(
        refused.err.contains("key store keys at 127.0.0.1:") && !refused.err.contains("panicked"),
        "{}",
        refused.err
    );
    let refused = change(&["key", "disable", KEY_NAME]).ends(3);
    assert!(refused.err.contains("key store keys at 127.0.0.1:"), "{}", refused.err);

    // It comes back, and both follow again by themselves.
    postgres.restart();
    change(&["key", "disable", KEY_NAME]).ends(0);
    for gateway in [&a, &b] {
        until("the key to be off", || (gateway.get_as(&token, PAID).status == 503).then_some(()));
        assert!(told(&gateway.admin)["disabled"].is_object());
    }
    change(&["key", "enable", KEY_NAME]).ends(0);
    for gateway in [&a, &b] {
        until("the key to be on", || (gateway.get_as(&token, PAID).status == 200).then_some(()));
    }
    let fresh = start(&house.files, "fresh");
    carries(&fresh, SECOND);

    // The database has ciphertext alone, and what an old copy of it holds is refused by name.
    let dump = postgres.sql("test_0", "SELECT convert_from(document, 'UTF8') FROM assay_key_stores");
    assert!(!dump.is_empty() && ![FIRST, SECOND].iter().any(|secret| dump.contains(secret)));
}
