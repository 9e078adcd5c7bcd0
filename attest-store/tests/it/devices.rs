//! Devices: seen, counted, listed.

use std::sync::Barrier;

use attest_core::appraisal::DeviceState::Banned;
use attest_core::{device_key::DeviceId, reasons::Reasons};
use attest_store::{DeviceFilter, Live, Page, Seen, Store, StoreError};

use crate::world::{DAY, NOW, admin, device, each_engine, mark, registration, seen};

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
pub(crate) fn see(store: &Store, sightings: &[Seen]) {
    let live = store.live().unwrap();
    see_live(&live, sightings);
    live.close();
}

pub(crate) fn see_live(live: &Live, sightings: &[Seen]) {
    for seen in sightings {
        live.seen(seen.clone());
    }
    live.refresh();
}
