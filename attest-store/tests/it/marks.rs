//! What an operator decides of a device: by whom, until when, and what goes with it.

use std::time::Duration;

use attest_core::appraisal::DeviceState::{Banned, ForcedFail, ForcedPass, Normal};
use attest_store::{Actor, Page, Revision, Revocation, Role, StoreError};

use crate::{
    devices::see,
    world::{DAY, NOW, admin, device, each_engine, mark, scoped, seen},
};

#[test]
fn refuses_a_mark_without_a_reason_or_with_one_that_breaks_a_line() {
    each_engine(|world| {
        let store = world.open();
        for reason in ["", " ", "a\nb", &"x".repeat(201)] {
            let refused = store.mark(&admin(), &device(1), Banned, None, reason, None);
            assert!(matches!(refused, Err(StoreError::NotAText { .. })), "{reason:?}");
        }
        assert_eq!(store.device(&device(1)).unwrap(), None);
    });
}

#[test]
fn refuses_a_forced_pass_without_an_end_in_the_past_or_over_30_days() {
    each_engine(|world| {
        let store = world.open();
        for until in [None, Some(NOW), Some(NOW.minus(DAY)), Some(NOW.plus(DAY * 30 + Duration::from_millis(1)))] {
            let refused = store.mark(&admin(), &device(1), ForcedPass, until, "why", None);
            assert!(matches!(refused, Err(StoreError::NotAnEnd { .. })), "{until:?}");
        }
        store.mark(&admin(), &device(1), ForcedPass, Some(NOW.plus(DAY * 30)), "why", None).unwrap();
        store.mark(&admin(), &device(1), Banned, None, "why", None).unwrap();
        store.mark(&admin(), &device(1), ForcedFail, Some(NOW.plus(DAY * 300)), "why", None).unwrap();
        assert!(store.mark(&admin(), &device(1), Banned, Some(NOW), "why", None).is_err());
    });
}

#[test]
fn refuses_actors_who_may_not_touch_the_devices_app() {
    each_engine(|world| {
        let store = world.open();
        see(&store, &[seen(device(1), true)]);
        let refused = |actor| store.mark(&actor, &device(1), Banned, None, "why", None);
        assert!(matches!(refused(scoped(Role::Viewer, &["shop"])), Err(StoreError::Forbidden { .. })));
        assert!(matches!(refused(scoped(Role::Admin, &["bank"])), Err(StoreError::Forbidden { .. })));
        // Nobody knows whose an unknown device is.
        let unknown = store.mark(&scoped(Role::Operator, &["shop"]), &device(9), Banned, None, "why", None);
        assert!(matches!(unknown, Err(StoreError::Forbidden { .. })));
        assert_eq!(store.device(&device(9)).unwrap(), None);
        refused(scoped(Role::Operator, &["shop"])).unwrap();
    });
}

#[test]
fn a_mark_holds_until_it_ends_and_no_longer() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        store.mark(&admin(), &device(1), ForcedPass, Some(NOW.plus(DAY)), "a test", None).unwrap();
        let state = |at| live.snapshot().device(&device(1), at).state;
        assert_eq!(state(NOW), ForcedPass);
        assert_eq!(state(NOW.plus(DAY).minus(Duration::from_millis(1))), ForcedPass);
        assert_eq!(state(NOW.plus(DAY)), Normal);
        mark(&store, &device(1), Banned).unwrap();
        assert_eq!(state(NOW.plus(DAY * 3000)), Banned);
        mark(&store, &device(1), Normal).unwrap();
        assert_eq!(state(NOW), Normal);
        live.close();
    });
}

#[test]
fn an_edit_of_what_was_changed_meanwhile_is_a_conflict() {
    each_engine(|world| {
        let store = world.open();
        let read = mark(&store, &device(1), Banned).unwrap().revision;
        mark(&store, &device(1), Normal).unwrap();
        let refused = store.mark(&admin(), &device(1), ForcedFail, None, "late", Some(read));
        assert!(matches!(refused, Err(StoreError::Conflict { .. })));
        let absent = store.mark(&admin(), &device(2), ForcedFail, None, "late", Some(Revision(3)));
        assert!(matches!(absent, Err(StoreError::Conflict { current: Revision(0) })));
        // A sighting is no edit: it takes nobody's revision away.
        let read = store.device(&device(1)).unwrap().unwrap().revision;
        see(&store, &[seen(device(1), true)]);
        store.mark(&admin(), &device(1), ForcedFail, None, "in time", Some(read)).unwrap();
    });
}

#[test]
fn a_ban_is_revoked_at_gateways_and_lifted_with_it() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let until = NOW.plus(DAY);
        store.mark(&admin(), &device(1), Banned, Some(until), "stolen", None).unwrap();
        let entry = |after| live.snapshot().revocations.after(after).to_vec();
        let banned = entry(0);
        assert_eq!((banned.len(), banned[0].until, banned[0].lifted), (1, Some(until.secs()), false));
        assert_eq!(banned[0].value, device(1).to_string());
        let refused = store.lift(&admin(), &Revocation::Device(device(1)), "a way around");
        assert!(matches!(refused, Err(StoreError::Refused { .. })));
        mark(&store, &device(1), Normal).unwrap();
        let lifted = entry(banned[0].number);
        assert!(lifted.len() == 1 && lifted[0].lifted && lifted[0].number > banned[0].number);
        live.close();
    });
}

#[test]
fn who_acts_for_some_apps_lets_nobody_in_for_all() {
    each_engine(|world| {
        let store = world.open();
        see(&store, &[seen(device(1), true)]);
        let until = NOW.plus(DAY);
        // A device that is let in passes as any app.
        for actor in [scoped(Role::Admin, &["shop"]), Actor { role: Role::Operator, ..admin() }] {
            let refused = store.mark(&actor, &device(1), ForcedPass, Some(until), "why", None);
            assert!(matches!(refused, Err(StoreError::Forbidden { .. })), "{actor:?}");
        }
        let refused = store.enrol(&scoped(Role::Admin, &["shop"]), &device(1), until, "why", None);
        assert!(matches!(refused, Err(StoreError::Forbidden { .. })));
    });
}

#[test]
fn a_mark_lifts_its_own_ban_alone() {
    each_engine(|world| {
        let store = world.open();
        store.revoke(&admin(), &Revocation::Device(device(1)), "its tokens leaked").unwrap();
        for state in [ForcedFail, Normal, ForcedPass] {
            mark(&store, &device(1), state).unwrap();
            let row = &store.revocations(Page::default()).unwrap().rows[0];
            assert!(!row.entry.lifted, "{state:?}");
        }
    });
}

#[test]
fn an_enrolment_ends_by_itself_or_when_it_is_ended() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let enrolled = |at| live.snapshot().device(&device(1), at).enrolled;
        for until in [NOW, NOW.plus(DAY * 91)] {
            assert!(matches!(store.enrol(&admin(), &device(1), until, "ci", None), Err(StoreError::NotAnEnd { .. })));
        }
        let row = store.enrol(&admin(), &device(1), NOW.plus(DAY), "ci", Some(Revision(0))).unwrap();
        let late = store.enrol(&admin(), &device(1), NOW.plus(DAY), "another's", Some(Revision(row.revision.0 - 1)));
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
        let late = store.end_enrolment(&admin(), &device(1), "another's", Some(Revision(row.revision.0 - 1)));
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
        assert!(enrolled(NOW) && !enrolled(NOW.plus(DAY)));
        assert_eq!(live.snapshot().device(&device(1), NOW).state, Normal);
        store.end_enrolment(&admin(), &device(1), "done", None).unwrap();
        assert!(!enrolled(NOW));
        assert!(matches!(store.end_enrolment(&admin(), &device(1), "twice", None), Err(StoreError::NotFound { .. })));
        live.close();
    });
}

#[test]
fn forgetting_is_no_way_around_a_ban() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        mark(&store, &device(1), Banned).unwrap();
        assert!(matches!(store.forget(&admin(), &device(1), None), Err(StoreError::Refused { .. })));
        let row = mark(&store, &device(1), Normal).unwrap();
        let late = store.forget(&admin(), &device(1), Some(Revision(row.revision.0 - 1)));
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
        store.forget(&admin(), &device(1), Some(row.revision)).unwrap();
        assert!(matches!(store.forget(&admin(), &device(1), None), Err(StoreError::NotFound { .. })));
        assert_eq!(live.snapshot().device(&device(1), NOW).state, Normal);
        assert_eq!(world.sql("SELECT value FROM counters WHERE name = 'device_rows'"), "0");
        live.close();
    });
}
