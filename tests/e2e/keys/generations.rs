//! A whole old store is genuine, with the leaked key that was rotated away. It is refused, also by a machine that has seen
//! no other.

use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, KEY_NAME, put_key};
use e2e::upstream::Recorder;

use super::{PAID, answers, uses};

const LEAKED: &str = "sk_leaked_0123456789abcdef012345678";
const FRESH: &str = "sk_fresh_0123456789abcdef0123456789";

#[test]
fn an_old_store_brings_no_leaked_key_back() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, LEAKED);
    let (token, config) = (house.token(), house.config());
    let sealed = house.files.at("keys.sealed");
    let old = std::fs::read(&sealed).unwrap();
    put_key(&house.files, KEY_NAME, &api.address, FRESH).ends(0);
    assay(&[&"key", &"rotate", &KEY_NAME, &"-c", &config]).ends(0);
    uses(&house.admin, 2);
    let generation =
        assay(&[&"--json", &"key", &"list", &"-c", &config]).ends(0).json()["generation"].as_u64().unwrap();

    // Where it has run: refused at a reload, at a start and by commands, and what runs goes on.
    house.files.write("keys.sealed", &old);
    let answer = house.reload();
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("rolled back"), "{}", answer.text());
    assert_eq!(house.get_as(&token, PAID).status, 200);
    assert_eq!(api.last().values("x-api-key"), [FRESH]);
    assay(&[&"key", &"list", &"-c", &config]).ends(1).complains(&["rolled back", "--accept-rollback"]);
    assay(&[&"run", &"-c", &config]).ends(1).complains(&["rolled back"]);

    // On a machine that has seen no store, what the configuration asks for holds.
    let pinned =
        house.yaml().replacen("store: keys.sealed", &format!("store: keys.sealed\n  min_generation: {generation}"), 1);
    let pinned = house.files.write("pinned.yaml", pinned.replacen("dir: gateway-state", "dir: another-state", 1));
    assay(&[&"run", &"-c", &pinned]).ends(1).complains(&["below the minimum", "min_generation"]);
    assay(&[&"key", &"list", &"-c", &pinned]).ends(1).complains(&["below the minimum"]);

    // An operator who means it says so, and it is for good on this machine.
    assay(&[&"key", &"list", &"--accept-rollback", &"-c", &config]).ends(0);
    assert_eq!(house.reload().status, 200);
    answers(&house, &token, 200);
    assert_eq!(api.last().values("x-api-key"), [LEAKED]);
    assert!(api.seen().iter().all(|seen| [FRESH, LEAKED].contains(&seen.values("x-api-key")[0])));
}
