//! Devices: seen, marked, enrolled, renewed, counted.

use std::{sync::Barrier, time::Duration};

use attest_core::appraisal::DeviceState::{Banned, ForcedFail, ForcedPass, Normal};
use attest_core::{device_key::DeviceId, reasons::Reasons};
use attest_store::{Actor, DeviceFilter, Live, Page, Revision, Revocation, Role, Seen, Store, StoreError};

use crate::world::{DAY, NOW, admin, device, each_engine, mark, registration, scoped, seen};

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

#[test]
fn a_device_that_never_passed_gets_no_row() {
    each_engine(|world| {
        let store = world.open();
        see(&store, &[seen(device(1), false), seen(device(2), true), seen(device(2), false)]);
        assert_eq!(store.device(&device(1)).unwrap(), None);
        let row = store.device(&device(2)).unwrap().unwrap();
        assert_eq!((row.passed, row.failed, row.app.as_str(), row.version.as_str()), (1, 1, "shop", "1.0"));
        assert_eq!(row.last_findings, ["tracer:gdb"]);
        assert_eq!(row.last_reasons.iter_names().collect::<Vec<_>>(), ["tracer"]);
        // Once it has a row, its failures are counted.
        see(&store, &[seen(device(2), false)]);
        assert_eq!(store.device(&device(2)).unwrap().unwrap().failed, 2);
    });
}

#[test]
fn what_the_device_key_did_not_sign_is_not_laid_at_the_devices_door() {
    each_engine(|world| {
        let store = world.open();
        see(&store, &[seen(device(1), true)]);
        let before = store.device(&device(1)).unwrap();
        let forged = Seen {
            reasons: Reasons::BAD_DEVICE_SIGNATURE,
            renewed_from: Some(device(2)),
            app: "bank".to_owned(),
            ..seen(device(1), false)
        };
        see(&store, &[forged]);
        assert_eq!(store.device(&device(1)).unwrap(), before);
    });
}

#[test]
fn a_failed_attestation_moves_no_device_to_another_app() {
    each_engine(|world| {
        let store = world.open();
        let elsewhere = Seen { app: "bank".to_owned(), version: "9".to_owned(), ..seen(device(1), false) };
        // In a batch with a pass, before it and after it, and in one of its own.
        see(&store, &[elsewhere.clone(), seen(device(1), true), elsewhere.clone()]);
        see(&store, &[elsewhere]);
        let row = store.device(&device(1)).unwrap().unwrap();
        assert_eq!((row.app.as_str(), row.version.as_str(), row.passed, row.failed), ("shop", "1.0", 1, 3));
        see(&store, &[Seen { app: "bank".to_owned(), ..seen(device(1), true) }]);
        assert_eq!(store.device(&device(1)).unwrap().unwrap().app, "bank");
    });
}

#[test]
fn a_batch_of_thousands_is_counted_to_the_last() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        for round in 0..2 {
            for number in 0..3000_u16 {
                let mut id = [0; 16];
                id[..2].copy_from_slice(&number.to_be_bytes());
                live.seen(seen(DeviceId::from_bytes(id), true));
                if number % 1000 == 999 {
                    live.refresh();
                }
            }
            live.refresh();
            assert_eq!(world.sql("SELECT count(*) FROM devices"), "3000", "round {round}");
        }
        assert_eq!(world.sql("SELECT sum(passed) FROM devices"), "6000");
        assert_eq!(world.sql("SELECT value FROM counters WHERE name = 'device_rows'"), "3000");
        assert_eq!(live.dropped(), 0);
        live.close();
    });
}

#[test]
fn pages_of_devices_follow_a_place_that_sightings_do_not_move() {
    each_engine(|world| {
        let store = world.open();
        let all: Vec<_> = (1..=23).map(|number| seen(device(number), true)).collect();
        see(&store, &all);
        mark(&store, &device(5), Banned).unwrap();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.devices(&DeviceFilter::default(), Page { after, limit: 7 }).unwrap();
            listed.extend(page.rows.iter().map(|row| row.id));
            see(&store, &all);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed.len(), 23);
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed.len(), 23);
        let banned = DeviceFilter { state: Some(Banned), ..DeviceFilter::default() };
        assert_eq!(store.devices(&banned, Page::default()).unwrap().rows[0].id, device(5));
        let nobody = DeviceFilter { apps: Some(Vec::new()), ..DeviceFilter::default() };
        assert!(store.devices(&nobody, Page::default()).unwrap().rows.is_empty());
        let later = DeviceFilter { seen_after: Some(NOW.plus(DAY)), ..DeviceFilter::default() };
        assert!(store.devices(&later, Page::default()).unwrap().rows.is_empty());
    });
}

#[test]
fn a_banned_device_does_not_shed_its_ban_by_renewing() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        see_live(&live, &[seen(device(1), true)]);
        mark(&store, &device(1), Banned).unwrap();
        // In the very first request of the new key, before anything was written.
        let facts = live.snapshot().renewed_device(&device(2), &device(1), NOW);
        assert_eq!((facts.state, facts.renewed_from), (Banned, Some(device(1))));
        // And afterwards without naming the old key: it failed, and is known all the same.
        see_live(&live, &[Seen { renewed_from: Some(device(1)), ..seen(device(2), false) }]);
        assert_eq!(live.snapshot().device(&device(2), NOW).state, Banned);
        let tokens = live.snapshot().revocations.after(0).iter().map(|entry| entry.value.clone()).collect::<Vec<_>>();
        assert!(tokens.contains(&device(2).to_string()), "tokens of the new key are revoked too");
        live.close();
    });
}

#[test]
fn a_mark_reaches_every_key_of_the_installation_before_and_after() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        see_live(&live, &[seen(device(1), true)]);
        see_live(&live, &[Seen { renewed_from: Some(device(1)), ..seen(device(2), true) }]);
        see_live(&live, &[Seen { renewed_from: Some(device(2)), ..seen(device(3), true) }]);
        let middle = store.device(&device(2)).unwrap().unwrap();
        assert_eq!((middle.renewed_from, middle.renewed_to), (Some(device(1)), Some(device(3))));
        mark(&store, &device(2), Banned).unwrap();
        for number in 1..=3 {
            assert_eq!(live.snapshot().device(&device(number), NOW).state, Banned, "{number}");
        }
        mark(&store, &device(3), Normal).unwrap();
        for number in 1..=3 {
            assert_eq!(live.snapshot().device(&device(number), NOW).state, Normal, "{number}");
        }
        assert!(live.snapshot().revocations.after(0).iter().all(|entry| entry.lifted));
        live.close();
    });
}

#[test]
fn a_forced_pass_and_an_enrolment_go_along_with_a_renewal() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        mark(&store, &device(1), ForcedPass).unwrap();
        store.enrol(&admin(), &device(1), NOW.plus(DAY), "ci", None).unwrap();
        see_live(&live, &[Seen { renewed_from: Some(device(1)), ..seen(device(2), true) }]);
        let facts = live.snapshot().device(&device(2), NOW);
        assert_eq!((facts.state, facts.enrolled), (ForcedPass, true));
        let told = store.audit_entries(Page::default()).unwrap().rows.remove(0);
        assert_eq!((told.action.as_str(), told.target), ("device.renewed", device(2).to_string()));
        assert!(told.detail.contains("forced_pass") && told.detail.contains(&device(1).to_string()), "{}", told.detail);
        mark(&store, &device(1), Normal).unwrap();
        let told = store.audit_entries(Page::default()).unwrap().rows.remove(0);
        assert!(told.detail.contains(&format!("\"also\":[\"{}\"]", device(2))), "{}", told.detail);
        mark(&store, &device(1), ForcedPass).unwrap();
        // A ban of its own is not bought off by naming a favoured key.
        mark(&store, &device(7), Banned).unwrap();
        assert_eq!(live.snapshot().renewed_device(&device(7), &device(1), NOW).state, Banned);
        live.close();
    });
}

#[test]
fn a_mark_that_is_over_neither_goes_along_nor_stands_in_the_way() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let brief = |id: u8| store.mark(&admin(), &device(id), Banned, Some(NOW.plus(DAY)), "brief", None).unwrap();
        brief(1);
        brief(4);
        mark(&store, &device(3), ForcedFail).unwrap();
        world.clock.advance(DAY * 2);
        let now = NOW.plus(DAY * 2);
        let until = Some(now.plus(DAY));
        store.mark(&admin(), &device(2), ForcedPass, until, "a tester", None).unwrap();
        let renewed = |new, old, passed| Seen { renewed_from: Some(device(old)), at: now, ..seen(device(new), passed) };
        see_live(&live, &[renewed(2, 1, true), renewed(4, 3, false)]);
        assert_eq!(live.snapshot().device(&device(2), now).state, ForcedPass, "an old ban is over");
        assert_eq!(live.snapshot().device(&device(4), now).state, ForcedFail, "a ban that is over is none");
        live.close();
    });
}

#[test]
fn a_chain_of_renewals_is_bounded_and_keeps_its_ban() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        see_live(&live, &[seen(device(1), true)]);
        for number in 2..=40 {
            see_live(&live, &[Seen { renewed_from: Some(device(number - 1)), ..seen(device(number), true) }]);
        }
        assert_eq!(world.sql("SELECT count(*) FROM devices"), "16");
        mark(&store, &device(40), Banned).unwrap();
        for number in 41..=60 {
            see_live(&live, &[Seen { renewed_from: Some(device(40)), ..seen(device(number), false) }]);
            assert_eq!(live.snapshot().renewed_device(&device(number), &device(40), NOW).state, Banned);
        }
        assert_eq!(world.sql("SELECT count(*) FROM devices WHERE state = 'banned'"), "16");
        assert_eq!(world.sql("SELECT value FROM counters WHERE name = 'device_rows'"), "16");
        live.close();
    });
}

#[test]
fn of_64_that_advance_a_counter_at_once_one_is_told_yes() {
    each_engine(|world| {
        let store = world.open();
        for (from, to) in [(None, 1), (Some(1), 2), (Some(2), 900)] {
            let together = Barrier::new(64);
            let yes: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..64)
                    .map(|_| {
                        scope.spawn(|| {
                            together.wait();
                            loop {
                                match store.advance_counter(&device(1), from, to) {
                                    Ok(moved) => return usize::from(moved),
                                    // Its turn did not come in time: the caller asks again.
                                    Err(StoreError::Busy) => {}
                                    Err(error) => panic!("{error}"),
                                }
                            }
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(yes, 1, "from {from:?} to {to}");
            assert_eq!(store.device(&device(1)).unwrap().unwrap().counter, Some(to));
        }
    });
}

#[test]
fn a_counter_never_goes_back_or_stands_still() {
    each_engine(|world| {
        let store = world.open();
        assert!(store.advance_counter(&device(1), None, 5).unwrap());
        for (from, to) in [(None, 6), (Some(4), 6), (Some(5), 5), (Some(5), 4), (Some(6), 7)] {
            assert!(!store.advance_counter(&device(1), from, to).unwrap(), "{from:?} {to}");
        }
        assert!(store.advance_counter(&device(1), Some(5), u32::MAX).unwrap());
        assert!(!store.advance_counter(&device(2), Some(1), 2).unwrap(), "of a device without one");
    });
}

#[test]
fn changes_at_once_are_all_made_and_all_in_the_chain() {
    each_engine(|world| {
        let store = world.open();
        std::thread::scope(|scope| {
            for number in 1..=8 {
                let store = store.clone();
                scope.spawn(move || {
                    mark(&store, &device(number), Banned).unwrap();
                    store.register(&admin(), &registration("shop", &format!("1.{number}"))).unwrap();
                });
            }
        });
        assert_eq!(world.sql("SELECT count(*) FROM devices WHERE state = 'banned'"), "8");
        assert_eq!(world.sql("SELECT count(*) FROM builds"), "8");
        assert_eq!(world.sql("SELECT count(*) FROM audit"), "16");
        assert!(store.verify_audit(&[]).unwrap().problems.is_empty());
    });
}

/// Lets a service see these end.
fn see(store: &Store, sightings: &[Seen]) {
    let live = store.live().unwrap();
    see_live(&live, sightings);
    live.close();
}

fn see_live(live: &Live, sightings: &[Seen]) {
    for seen in sightings {
        live.seen(seen.clone());
    }
    live.refresh();
}
