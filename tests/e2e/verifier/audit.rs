//! The audit log under the hands of somebody who can write the database, but has no key.

use std::time::Duration;

use e2e::files::{Files, random};
use e2e::house::House;
use e2e::upstream::Recorder;
use rusqlite::Connection;
use rustix::process::Signal;

/// Whatever he changes, and the number of the entry that it shows at.
const CHANGES: [(&str, &str); 6] = [
    ("another reason", "UPDATE audit SET detail = replace(detail, 'scraping', 'nothing') WHERE number = 2"),
    ("another actor", "UPDATE audit SET actor = 'mallory' WHERE number = 2"),
    ("another time", "UPDATE audit SET at = at - 1 WHERE number = 2"),
    ("dropped", "DELETE FROM audit WHERE number = 2"),
    (
        "exchanged",
        "UPDATE audit SET target = (SELECT target FROM audit AS other WHERE other.number = audit.number + 1 AND other.writer = audit.writer) WHERE number = 2",
    ),
    (
        "dropped, and the others moved up",
        "DELETE FROM audit WHERE number = 2; UPDATE audit SET number = number - 1 WHERE number > 2",
    ),
];

#[test]
fn an_entry_changed_dropped_or_cut_by_hand_is_found_by_name() {
    let mut house = House::apart(Files::new(), &Recorder::start().address, "sk_live_0123456789abcdef");
    for case in 1..=4 {
        let device = attest_core::b64u::encode(&random::<16>());
        house.here(&["device", "ban", &device, "--reason", &format!("scraping, case {case}")]).ends(0);
    }
    house.here(&["audit", "verify"]).ends(0);
    // The service writes where its chains end to its log, at the latest when it stops; that log is kept elsewhere.
    let service = house.service_program.as_mut().unwrap();
    service.signal(Signal::TERM);
    assert!(service.wait(Duration::from_secs(10)).is_some_and(|status| status.success()));
    let said = format!("{}\n{}", service.out().text(), service.err().text());
    let kept: Vec<_> = said.lines().filter(|line| line.contains("audit checkpoint")).collect();
    assert!(!kept.is_empty(), "{said}");
    let log = house.files.write("kept.log", kept.join("\n"));
    let checkpoint = log.to_str().unwrap();
    let held = house.here(&["audit", "verify", "--checkpoint", checkpoint]).ends(0).json();
    assert!(held["writers"].as_array().unwrap().iter().any(|writer| writer["checkpoints"] != 0), "{held:#}");

    let database = house.files.at("service-state/assay.db");
    let whole = std::fs::read(&database).unwrap();
    let by_hand = |sql: &str| {
        std::fs::write(&database, &whole).unwrap();
        let writer = Connection::open(&database).unwrap();
        writer.execute_batch(&format!("PRAGMA journal_mode = DELETE; {sql}")).unwrap();
        assert!(writer.total_changes() > 0, "nothing was changed by {sql}");
    };
    for (what, sql) in CHANGES {
        by_hand(sql);
        let ran = house.here(&["audit", "verify"]).ends(1);
        let report = ran.json();
        assert_eq!(report["intact"], false, "{what}");
        let problems = report["problems"].as_array().unwrap();
        assert!(problems.iter().any(|problem| problem["number"] == 2), "{what}: {problems:#?}");
    }
    // Cut at the end, with the end's own record: the chain knows its length.
    by_hand("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)");
    assert_eq!(house.here(&["audit", "verify"]).ends(1).json()["intact"], false);
    // Gone as a whole, heads and all: only what was kept elsewhere can tell.
    by_hand("DELETE FROM audit; DELETE FROM audit_heads");
    assert_eq!(house.here(&["audit", "verify", "--checkpoint", checkpoint]).ends(1).json()["intact"], false);
    // As it was, all is well.
    std::fs::write(&database, &whole).unwrap();
    house.here(&["audit", "verify", "--checkpoint", checkpoint]).ends(0);
}
