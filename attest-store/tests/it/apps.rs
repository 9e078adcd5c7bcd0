//! Builds: registered, retired, restored, listed.

use attest_core::{
    measurement::Measurement,
    reference::{PackageFacts, Platform},
};
use attest_store::{BuildFilter, Page, Registration, Revision, Role, StoreError, What};

use crate::world::{admin, each_engine, registration, scoped};

#[test]
fn refuses_what_no_request_could_carry_and_writes_nothing() {
    each_engine(|world| {
        let store = world.open();
        for (app, version) in [("", "1"), ("a b", "1"), ("shop", ""), ("shop", "1/2"), (&"x".repeat(65), "1")] {
            let refused = store.register(&admin(), &registration(app, version));
            assert!(matches!(refused, Err(StoreError::NotAName { .. })), "{app:?} {version:?}");
        }
        let mut many = registration("shop", "1");
        many.libraries = vec!["libc.so".to_owned(); 257];
        assert!(matches!(store.register(&admin(), &many), Err(StoreError::TooMany { .. })));
        assert!(store.builds(&BuildFilter::default(), Page::default()).unwrap().rows.is_empty());
        assert!(store.audit_entries(Page::default()).unwrap().rows.is_empty(), "nothing happened");
    });
}

#[test]
fn refuses_actors_of_a_lesser_role_or_of_other_apps() {
    each_engine(|world| {
        let store = world.open();
        let new = registration("shop", "1");
        for actor in [scoped(Role::Viewer, &["shop"]), scoped(Role::Admin, &["bank"]), scoped(Role::Admin, &[])] {
            assert!(matches!(store.register(&actor, &new), Err(StoreError::Forbidden { .. })), "{actor:?}");
        }
        store.register(&scoped(Role::Operator, &["shop"]), &new).unwrap();
        let viewer = scoped(Role::Viewer, &["shop"]);
        assert!(matches!(store.retire(&viewer, "shop", "1", None, None), Err(StoreError::Forbidden { .. })));
    });
}

#[test]
fn a_build_comes_back_as_it_was_registered() {
    each_engine(|world| {
        let store = world.open();
        let new = Registration {
            platform: Platform::Android,
            label: "arm64-v8a".to_owned(),
            package: PackageFacts {
                id: Some("com.example.shop".to_owned()),
                team: None,
                signers: vec![[1; 32], [2; 32]],
            },
            libraries: vec!["libapp.so".to_owned(), "libc++_shared.so".to_owned()],
            ..registration("shop", "3.2")
        };
        let made = store.register(&admin(), &new).unwrap();
        assert_eq!(made.what, What::Added);
        let row = store.build(made.build.build.number).unwrap().unwrap();
        assert_eq!(row, made.build);
        let build = &row.build;
        assert_eq!(
            (&build.package, &build.libraries, build.label.as_str()),
            (&new.package, &new.libraries, "arm64-v8a")
        );
        assert_eq!(store.build(build.number + 1).unwrap(), None);
    });
}

#[test]
fn the_same_build_again_changes_nothing_and_another_of_its_name_is_refused() {
    each_engine(|world| {
        let store = world.open();
        let new = registration("shop", "1");
        store.register(&admin(), &new).unwrap();
        assert_eq!(store.register(&admin(), &new).unwrap().what, What::Unchanged);
        let other = Registration { measurement: Some(Measurement::from_bytes([8; 32])), ..new.clone() };
        assert!(matches!(store.register(&admin(), &other), Err(StoreError::AnotherMeasurement { .. })));
        assert_eq!(store.audit_entries(Page::default()).unwrap().rows.len(), 1);
    });
}

#[test]
fn a_retired_build_keeps_its_number_and_comes_back_under_it() {
    each_engine(|world| {
        let store = world.open();
        let new = registration("shop", "1");
        let number = store.register(&admin(), &new).unwrap().build.build.number;
        assert_eq!(store.retire(&admin(), "shop", "1", None, None).unwrap(), 1);
        assert!(matches!(store.retire(&admin(), "shop", "1", None, None), Err(StoreError::NothingToRetire { .. })));
        // Another measurement under the same name is another build, with a number that was never given before.
        let other = Registration { measurement: Some(Measurement::from_bytes([8; 32])), ..new.clone() };
        let second = store.register(&admin(), &other).unwrap();
        assert!(second.what == What::Added && second.build.build.number > number);
        store.retire(&admin(), "shop", "1", Some(""), None).unwrap();
        let back = store.register(&admin(), &new).unwrap();
        assert_eq!((back.what, back.build.build.number), (What::Restored, number));
    });
}

#[test]
fn an_edit_of_what_was_changed_meanwhile_is_a_conflict() {
    each_engine(|world| {
        let store = world.open();
        let new = registration("shop", "1");
        let read = store.register(&admin(), &new).unwrap().build.revision;
        store.retire(&admin(), "shop", "1", None, Some(read)).unwrap();
        let now = store.register(&admin(), &new).unwrap().build.revision;
        assert!(now > read);
        match store.retire(&admin(), "shop", "1", None, Some(read)) {
            Err(StoreError::Conflict { current }) => assert_eq!(current, now),
            other => panic!("{other:?}"),
        }
        assert!(store.retire(&admin(), "shop", "1", None, Some(Revision(999))).is_err());
        store.retire(&admin(), "shop", "1", None, Some(now)).unwrap();
    });
}

#[test]
fn pages_miss_nothing_and_repeat_nothing_while_builds_are_added() {
    each_engine(|world| {
        let store = world.open();
        for number in 0..25 {
            store.register(&admin(), &registration("shop", &format!("1.{number}"))).unwrap();
        }
        let (mut listed, mut after) = (Vec::new(), None);
        for added in 0.. {
            let page = store.builds(&BuildFilter::default(), Page { after, limit: 10 }).unwrap();
            listed.extend(page.rows.into_iter().map(|row| row.build.version));
            store.register(&admin(), &registration("shop", &format!("2.{added}"))).unwrap();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..25).rev().map(|number| format!("1.{number}")).collect();
        assert_eq!(listed, expected);
    });
}

#[test]
fn a_filter_shows_what_it_names_and_an_empty_scope_nothing() {
    each_engine(|world| {
        let store = world.open();
        for (app, version) in [("shop", "1"), ("shop", "2"), ("bank", "1")] {
            store.register(&admin(), &registration(app, version)).unwrap();
        }
        store.retire(&admin(), "shop", "1", None, None).unwrap();
        let count = |filter: &BuildFilter| store.builds(filter, Page::default()).unwrap().rows.len();
        let all = BuildFilter::default();
        assert_eq!(count(&all), 3);
        assert_eq!(count(&BuildFilter { app: Some("shop".to_owned()), ..all.clone() }), 2);
        assert_eq!(count(&BuildFilter { live_only: true, ..all.clone() }), 2);
        assert_eq!(count(&BuildFilter { version: Some("1".to_owned()), ..all.clone() }), 2);
        assert_eq!(count(&BuildFilter { platform: Some(Platform::Ios), ..all.clone() }), 0);
        assert_eq!(count(&BuildFilter { apps: Some(vec!["bank".to_owned()]), ..all.clone() }), 1);
        assert_eq!(count(&BuildFilter { apps: Some(Vec::new()), ..all.clone() }), 0);
        let injected = BuildFilter { app: Some("' OR 1=1 --".to_owned()), ..all };
        assert_eq!(count(&injected), 0);
    });
}
