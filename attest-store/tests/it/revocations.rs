//! The revocation log.

use attest_core::{
    feed::{RevocationFormat, RevocationKind},
    time::UnixTime,
};
use attest_store::{Page, Revocation, Role, StoreError};

use crate::world::{DAY, NOW, admin, device, each_engine, registration, scoped};

#[test]
fn refuses_what_would_revoke_tokens_not_yet_issued_and_what_nobody_named() {
    each_engine(|world| {
        let store = world.open();
        let ahead = Revocation::IssuedBefore(NOW.plus(DAY));
        assert!(matches!(store.revoke(&admin(), &ahead, "why"), Err(StoreError::Refused { .. })));
        let app = Revocation::App("shop".to_owned());
        assert!(matches!(store.revoke(&admin(), &app, ""), Err(StoreError::NotAText { .. })));
        let bad = Revocation::App("no such/name".to_owned());
        assert!(matches!(store.revoke(&admin(), &bad, "why"), Err(StoreError::NotAName { .. })));
        assert!(matches!(store.lift(&admin(), &app, "why"), Err(StoreError::NotFound { .. })));
        let operator = scoped(Role::Operator, &["shop"]);
        assert!(matches!(store.revoke(&operator, &app, "why"), Err(StoreError::Forbidden { .. })));
        assert!(store.revocations(Page::default()).unwrap().rows.is_empty());
        assert!(store.audit_entries(Page::default()).unwrap().rows.is_empty(), "a refused change leaves no entry");
    });
}

#[test]
fn what_no_gateway_could_read_is_refused_and_the_feed_goes_on() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        for unreadable in [Revocation::Build(0), Revocation::IssuedBefore(UnixTime::from_secs(-1))] {
            let refused = store.revoke(&admin(), &unreadable, "why");
            assert!(matches!(refused, Err(StoreError::Refused { .. })), "{unreadable:?}");
        }
        let snapshot = live.snapshot();
        assert!(snapshot.issuer.revocation_document(&snapshot, 0, RevocationFormat::WithOrders, NOW).is_ok());
        live.close();
    });
}

#[test]
fn no_more_is_revoked_of_a_kind_than_a_gateway_holds() {
    each_engine(|world| {
        let store = world.open();
        world.sql(
            "INSERT INTO revocations (kind, value, number, since, lifted, reason, made_by)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65536)
             SELECT 'build', CAST(i AS TEXT), i, 0, 0, 'r', 't' FROM n",
        );
        world.sql("UPDATE counters SET value = 65536 WHERE name = 'revocation_number'");
        let refused = store.revoke(&admin(), &Revocation::Build(65_537), "one too many");
        assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
        store.revoke(&admin(), &Revocation::Build(7), "again").unwrap();
        store.revoke(&admin(), &Revocation::Device(device(1)), "another kind").unwrap();
    });
}

#[test]
fn each_change_has_the_next_number_and_one_thing_one_entry() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let app = Revocation::App("shop".to_owned());
        store.revoke(&admin(), &app, "leaked").unwrap();
        store.revoke(&admin(), &Revocation::Kid("k-1".to_owned()), "leaked").unwrap();
        store.revoke(&admin(), &Revocation::Device(device(1)), "odd").unwrap();
        store.revoke(&admin(), &Revocation::IssuedBefore(NOW), "incident").unwrap();
        store.lift(&admin(), &app, "a mistake").unwrap();
        let snapshot = live.snapshot();
        assert_eq!(snapshot.revocation_number, 5);
        let log = snapshot.revocations.after(0);
        assert_eq!(log.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(log[3].lifted && log[3].kind == RevocationKind::App);
        assert_eq!(log[1].until, None, "a device's stays until it is lifted");
        assert!(log[0].until.is_some() && log[2].until.is_some());
        assert_eq!(store.revocations(Page::default()).unwrap().rows.len(), 4);
        live.close();
    });
}

#[test]
fn retiring_a_build_revokes_its_tokens_and_restoring_it_lifts_that() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let number = store.register(&admin(), &registration("shop", "1")).unwrap().build.build.number;
        store.retire(&admin(), "shop", "1", None, None).unwrap();
        let entry = live.snapshot().revocations.after(0)[0].clone();
        assert_eq!(
            (entry.kind, entry.value.as_str(), entry.lifted),
            (RevocationKind::Build, &*number.to_string(), false)
        );
        assert!(entry.until.unwrap() >= NOW.plus(DAY * 7).secs(), "as long as a gateway may have been away");
        assert!(live.snapshot().builds("shop")[0].retired);
        store.register(&admin(), &registration("shop", "1")).unwrap();
        assert!(live.snapshot().revocations.after(0)[0].lifted);
        assert!(!live.snapshot().builds("shop")[0].retired);
        live.close();
    });
}

#[test]
fn another_process_takes_over_the_news_alone_and_ends_with_the_same_log() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let (live_one, live_two) = (one.live().unwrap(), two.live().unwrap());
        for number in 1..=20 {
            one.revoke(&admin(), &Revocation::Device(device(number % 7)), "odd").unwrap();
            if number % 3 == 0 {
                two.lift(&admin(), &Revocation::Device(device(number % 7)), "a mistake").unwrap();
            }
        }
        live_one.refresh();
        live_two.refresh();
        assert_eq!(live_one.snapshot().revocations, live_two.snapshot().revocations);
        assert_eq!(live_one.snapshot().revocations.after(0).len(), 7);
        let fresh = world.open().live().unwrap();
        assert_eq!(fresh.snapshot().revocations, live_one.snapshot().revocations);
        for live in [live_one, live_two, fresh] {
            live.close();
        }
    });
}
