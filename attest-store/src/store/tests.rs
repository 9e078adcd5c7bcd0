//! What only the store's own connections can be made to do: run out of room, refuse to write.

use attest_core::{
    appraisal::DeviceState,
    device_key::DeviceId,
    random::SystemRandom,
    time::FixedClock,
    token::{Algorithm, key_set::Concealment},
};
use settings::TokenClaims;

use super::*;
use crate::{BuildFilter, Page};

fn token() -> TokenSettings {
    TokenSettings {
        key_set: "default".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audience: "api.example".to_owned(),
        lifetime: Duration::from_secs(300),
        leeway: Duration::from_secs(30),
        algorithm: Algorithm::HS256,
        concealment: Concealment::Decoy,
        claims: TokenClaims::default(),
    }
}

pub(crate) fn store(folder: &std::path::Path) -> Store {
    store_at(folder, 1_800_000_000)
}

/// The store as a process opens it whose clock stands at `now`, in Unix seconds.
fn store_at(folder: &std::path::Path, now: i64) -> Store {
    let master_path = folder.join("kek.key");
    let master = MasterKey::create_file(&master_path, &SystemRandom).or_else(|_| MasterKey::from_file(&master_path));
    Store::open(Opening {
        database: Database::sqlite(folder),
        master: master.unwrap(),
        master_path,
        token: &token(),
        keys_stale: Duration::from_secs(60),
        random: Arc::new(SystemRandom),
        clock: Arc::new(FixedClock::new(UnixTime::from_secs(now))),
        writer: "test".to_owned(),
    })
    .unwrap()
}

/// Runs SQL on the connection that the next caller gets.
fn pragma(store: &Store, sql: &str) -> i64 {
    store.read(|tx| tx.row(sql, &[])?.unwrap().int(0)).unwrap()
}

/// Every change that the store knows; each must be refused the same way.
fn every_change(store: &Store) -> Vec<Result<(), StoreError>> {
    let admin = Actor::local("ann");
    let device = DeviceId::from_bytes([9; 16]);
    let until = UnixTime::from_secs(1_800_000_900);
    let registration = crate::Registration {
        app: "shop".to_owned(),
        platform: attest_core::reference::Platform::Linux,
        version: "2".to_owned(),
        label: String::new(),
        measurement: None,
        package: attest_core::reference::PackageFacts::default(),
        // Too large for what is left of a page.
        libraries: vec!["l".repeat(200); 200],
    };
    vec![
        store.register(&admin, &registration).map(|_| ()),
        store.mark(&admin, &device, DeviceState::Banned, None, &"r".repeat(200), None).map(|_| ()),
        store.audit(&admin, "test", "x", &serde_json::json!("x".repeat(4000))),
        store.create_token(&admin, "ci", Role::Admin, None, until).map(|_| ()),
        store.revoke(&admin, &crate::Revocation::App("shop".to_owned()), &"r".repeat(200)),
        store.advance_counter(&device, None, 1).map(|_| ()),
    ]
}

/// All that a change could have half-written.
fn contents(store: &Store) -> (usize, usize, usize, usize, i64) {
    let all = Page::first(500);
    (
        store.builds(&BuildFilter::default(), all).unwrap().rows.len(),
        store.devices(&crate::DeviceFilter::default(), all).unwrap().rows.len(),
        store.audit_entries(all).unwrap().rows.len(),
        store.revocations(all).unwrap().rows.len() + store.tokens().unwrap().len(),
        store.read(|tx| counter(tx, "generation")).unwrap(),
    )
}

#[test]
fn on_a_full_disk_a_change_is_refused_whole_and_what_was_there_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let pages = pragma(&store, "PRAGMA page_count");
    assert_eq!(pragma(&store, &format!("PRAGMA max_page_count = {pages}")), pages);
    // What is left of the pages that are there.
    let admin = Actor::local("ann");
    while store.audit(&admin, "fill", "x", &serde_json::json!("x".repeat(300))).is_ok() {}
    let before = contents(&store);
    let refused = every_change(&store).into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(refused.len() >= 3, "{refused:?}");
    for error in &refused {
        assert!(matches!(error, StoreError::Full), "{error:?}");
        assert!(error.to_string().contains("disk is full: nothing was changed"));
    }
    let after = contents(&store);
    assert_eq!(after.0, before.0, "the build that did not fit");
    assert_eq!(
        store.verify_audit(&[]).unwrap().problems,
        [],
        "no entry without its change, no change without its entry"
    );
    // Room again: everything goes on.
    pragma(&store, "PRAGMA max_page_count = 100000");
    assert!(every_change(&store).iter().filter(|outcome| outcome.is_ok()).count() >= refused.len());
}

#[test]
fn a_database_that_cannot_be_written_refuses_every_change_and_answers_every_question() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let before = contents(&store);
    store.read(|tx| tx.batch("PRAGMA query_only = on")).unwrap();
    for outcome in every_change(&store) {
        assert!(matches!(outcome, Err(StoreError::ReadOnly)), "{outcome:?}");
    }
    assert_eq!(contents(&store), before);
    store.read(|tx| tx.batch("PRAGMA query_only = off")).unwrap();
    for outcome in every_change(&store) {
        outcome.unwrap();
    }
}

#[test]
fn a_change_that_fails_half_way_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let before = contents(&store);
    let admin = Actor::local("ann");
    let failed: Result<(), StoreError> = store.change(&admin, (Role::Admin, None), |change| {
        change.audit("half", "x", &serde_json::json!({}))?;
        change.touch(Part::Builds)?;
        Err(StoreError::Refused { why: "half-way" })
    });
    assert!(matches!(failed, Err(StoreError::Refused { .. })));
    assert_eq!(contents(&store), before);
}

#[test]
fn a_panic_in_a_change_leaves_nothing_and_gives_its_seat_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let before = contents(&store);
    for _ in 0..20 {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = store.change(&Actor::local("ann"), (Role::Admin, None), |change| -> Result<(), StoreError> {
                change.audit("half", "x", &serde_json::json!({}))?;
                panic!("on purpose");
            });
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(contents(&store), before);
}

#[test]
fn unmarked_devices_are_forgotten_after_90_days_and_marked_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let now = UnixTime::from_secs(1_800_000_000);
    for id in 1..=3_u8 {
        assert!(store.advance_counter(&DeviceId::from_bytes([id; 16]), None, 1).unwrap());
    }
    let banned = DeviceId::from_bytes([2; 16]);
    store.mark(&Actor::local("ann"), &banned, DeviceState::Banned, None, "why", None).unwrap();
    let forget = |at| store.0.pool.with(|connection| connection.write(|tx| crate::devices::forget_unseen(tx, at)));
    let day = Duration::from_secs(24 * 3600);
    assert!(!forget(now.plus(day * 90)).unwrap());
    assert_eq!(store.devices(&crate::DeviceFilter::default(), Page::default()).unwrap().rows.len(), 3);
    forget(now.plus(day * 91)).unwrap();
    let left = store.devices(&crate::DeviceFilter::default(), Page::default()).unwrap().rows;
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [banned]);
    assert_eq!(store.read(|tx| counter(tx, "device_rows")).unwrap(), 1);
}

#[test]
fn revocations_that_are_over_are_forgotten_and_running_views_follow() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let live = store.live().unwrap();
    let admin = Actor::local("ann");
    store.revoke(&admin, &crate::Revocation::App("shop".to_owned()), "why").unwrap();
    let device = crate::Revocation::Device(DeviceId::from_bytes([1; 16]));
    store.revoke(&admin, &device, "why").unwrap();
    let later = store_at(folder.path(), 1_800_000_000 + 40 * 24 * 3600);
    later.change(&admin, (Role::Admin, None), crate::revocations::prune).unwrap();
    live.refresh();
    let left = live.snapshot();
    assert_eq!(left.revocations.after(0).len(), 1, "a device's stays until it is lifted");
    let device = crate::Revocation::Device(DeviceId::from_bytes([1; 16]));
    store.lift(&admin, &device, "why").unwrap();
    let number = live.snapshot().revocation_number;
    let even_later = store_at(folder.path(), 1_800_000_000 + 80 * 24 * 3600);
    even_later.change(&admin, (Role::Admin, None), crate::revocations::prune).unwrap();
    live.refresh();
    assert!(live.snapshot().revocations.after(0).is_empty());
    assert_eq!(live.snapshot().revocation_number, number, "a number is never taken back");
    live.close();
}

#[test]
fn a_hundred_thousand_entries_are_verified_with_little_memory_and_one_missing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let admin = Actor::local("ann");
    store
        .change(&admin, (Role::Admin, None), |change| {
            (0..100_000)
                .try_for_each(|n| change.audit("test.action", &format!("target {n}"), &serde_json::json!({ "n": n })))
        })
        .unwrap();
    let mut report = None;
    let memory = allocation_counter::measure(|| report = Some(store.verify_audit(&[]).unwrap()));
    let report = report.unwrap();
    assert_eq!((report.problems.len(), report.writers[0].entries), (0, 100_000));
    assert!(memory.bytes_max < 4 << 20, "{} bytes at once", memory.bytes_max);
    let drop_one = |tx: &Tx<'_>| tx.execute("DELETE FROM audit WHERE number = 77777", &[]);
    store.0.pool.with(|connection| connection.write(drop_one)).unwrap();
    let problems = store.verify_audit(&[]).unwrap().problems;
    assert!(problems.len() == 1 && problems[0].number == 77_777, "{problems:?}");
}
