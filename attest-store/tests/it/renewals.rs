//! Renewed device keys: what was decided of an installation holds for every key that it had and will have.

use attest_core::appraisal::DeviceState::{Banned, ForcedFail, ForcedPass, Normal};
use attest_store::{Page, Seen};

use crate::{
    devices::see_live,
    world::{DAY, NOW, admin, device, each_engine, mark, seen},
};

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
