//! The audit log of keys after real traffic: whole, and not whole any more after any change to it.

use std::path::{Path, PathBuf};

use e2e::command::{Ran, assay};
use e2e::files::{Files, below};
use e2e::house::{House, KEY_NAME, put_key};
use e2e::upstream::Recorder;
use e2e::wait::until;

use super::{PAID, uses};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";

fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(to).unwrap();
    let files = below(from).into_iter().map(|(path, bytes)| {
        let at = to.join(path.file_name().unwrap());
        std::fs::write(&at, bytes).unwrap();
        at
    });
    files.filter(|path| path.extension().is_some_and(|e| e == "ndjson")).collect()
}

#[test]
fn what_was_done_with_keys_is_in_it_and_every_change_to_it_is_found() {
    let api = Recorder::start();
    let mut house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    for _ in 0..5 {
        assert_eq!(house.get_as(&token, PAID).status, 200);
    }
    put_key(&house.files, KEY_NAME, &api.address, SECOND).ends(0);
    assay(&[&"key", &"rotate", &KEY_NAME, &"-c", &house.config()]).ends(0);
    uses(&house.admin, 2);
    for _ in 0..5 {
        assert_eq!(house.get_as(&token, PAID).status, 200);
    }
    let log = house.files.at("gateway-state/audit");
    let text =
        || below(&log).into_iter().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
    until("an entry for each request", || (text().matches("\"key_use\"").count() >= 10).then_some(()));
    house.stop_gateway();
    let checkpoints = house.files.write("gateway.log", house.gateway.err().text());

    let lines: Vec<serde_json::Value> = text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = serde_json::to_string(&lines).unwrap();
    for part in ["\"put\"", "\"rotate\"", KEY_NAME, "\"version\":2", "\"status\":200", "fingerprint", "device"] {
        assert!(all.contains(part), "no {part}: {all}");
    }
    assert!(![FIRST, SECOND, &token, &e2e::jwt::device(&token)].iter().any(|secret| all.contains(*secret)));

    let verify = |dir: &Path| -> Ran {
        assay(&[&"audit", &"verify", &"--keys", &dir, &"--checkpoint", &checkpoints, &"-c", &house.config()])
    };
    let intact = verify(&log).ends(0).out;
    assert!(intact.contains("gateway: ") && intact.contains("intact"), "{intact}");

    type Damage = fn(&str) -> String;
    let damages: [(&str, Damage); 5] = [
        ("changed", |text| text.replacen("\"status\":200", "\"status\":500", 1)),
        ("dropped", |text| text.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 2).map(|(_, l)| l).collect()),
        ("reordered", |text| {
            let mut lines: Vec<_> = text.split_inclusive('\n').collect();
            lines.swap(1, 2);
            lines.concat()
        }),
        ("cut off", |text| text.split_inclusive('\n').take(3).collect()),
        ("is there twice", |text| {
            let mut lines: Vec<_> = text.split_inclusive('\n').collect();
            lines.insert(2, lines[1]);
            lines.concat()
        }),
    ];
    for (what, damage) in damages {
        let to = house.files.at(&format!("damaged-{}", what.replace(' ', "-")));
        let files = copy(&log, &to);
        let gateway =
            files.iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("gateway")).unwrap();
        let before = std::fs::read_to_string(gateway).unwrap();
        assert!(before.lines().count() >= 10);
        let after = damage(&before);
        assert_ne!(after, before);
        std::fs::write(gateway, after).unwrap();
        let said = verify(&to).ends(1).out;
        assert!(said.contains("✗ gateway entry") && said.contains(what), "{what}: {said}");
    }
    // A whole chain taken away: the checkpoints know of it.
    let to = house.files.at("taken-away");
    for path in copy(&log, &to) {
        if path.file_name().unwrap().to_str().unwrap().starts_with("gateway") {
            std::fs::remove_file(path).unwrap();
        }
    }
    verify(&to).ends(1);
}
