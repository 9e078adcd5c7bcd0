//! Orders to gateways.

use std::time::Duration;

use attest_core::feed::{OrderKind, RevocationDocument, RevocationFormat};
use attest_store::{Actor, Live, NewOrder, Page, Revision, Role, StoreError};

use crate::{
    gateway,
    world::{DAY, NOW, admin, each_engine, scoped},
};

const HOUR: Duration = Duration::from_secs(3600);

fn lockdown(routes: &[&str]) -> NewOrder {
    NewOrder {
        kind: OrderKind::Lockdown,
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        lasts: HOUR,
        reason: "an attack".to_owned(),
        extend_by: None,
    }
}

fn told(live: &Live) -> Vec<u64> {
    gateway::revocations(live, 0, NOW).orders.unwrap().iter().map(|order| order.id).collect()
}

#[test]
fn refuses_an_order_without_end_reason_or_right_and_leaves_no_entry() {
    each_engine(|world| {
        let store = world.open();
        let refused = |change: &dyn Fn(&mut NewOrder)| {
            let mut order = lockdown(&["paid"]);
            change(&mut order);
            store.give_order(&admin(), &order).unwrap_err()
        };
        assert!(matches!(refused(&|order| order.lasts = Duration::ZERO), StoreError::NotAnEnd { .. }));
        assert!(matches!(refused(&|order| order.lasts = DAY * 7 + HOUR), StoreError::NotAnEnd { .. }));
        assert!(matches!(refused(&|order| order.reason = " ".to_owned()), StoreError::NotAText { .. }));
        assert!(matches!(refused(&|order| order.routes = vec!["a b".to_owned()]), StoreError::Refused { .. }));
        assert!(matches!(refused(&|order| order.routes = vec!["a".to_owned(); 33]), StoreError::Refused { .. }));
        assert!(matches!(refused(&|order| order.extend_by = Some(HOUR)), StoreError::Refused { .. }));
        assert!(matches!(refused(&|order| order.kind = OrderKind::ExtendTokens), StoreError::Refused { .. }));
        let too_long =
            |order: &mut NewOrder| (order.kind, order.extend_by) = (OrderKind::ExtendTokens, Some(DAY + HOUR));
        assert!(matches!(refused(&too_long), StoreError::Refused { .. }));

        let operator = Actor { role: Role::Operator, ..admin() };
        let monitor = NewOrder { kind: OrderKind::Monitor, ..lockdown(&[]) };
        assert!(matches!(store.give_order(&operator, &monitor), Err(StoreError::Forbidden { needs: Role::Admin })));
        let of_an_app = scoped(Role::Admin, &["shop"]);
        assert!(matches!(store.give_order(&of_an_app, &lockdown(&[])), Err(StoreError::Forbidden { .. })));
        let viewer = Actor { role: Role::Viewer, ..admin() };
        assert!(matches!(store.give_order(&viewer, &lockdown(&[])), Err(StoreError::Forbidden { .. })));
        assert!(store.orders(true, Page::default()).unwrap().rows.is_empty());
        assert!(store.audit_entries(Page::default()).unwrap().rows.is_empty());
    });
}

#[test]
fn an_order_is_in_every_document_until_it_ends_or_is_ended() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        assert!(told(&live).is_empty());
        let first = store.give_order(&admin(), &lockdown(&["paid"])).unwrap();
        let monitor = NewOrder { kind: OrderKind::Monitor, lasts: HOUR * 2, ..lockdown(&[]) };
        let second = store.give_order(&admin(), &monitor).unwrap();
        let document = gateway::revocations(&live, 0, NOW);
        assert_eq!((document.number, document.latest), (2, 2), "each change has a number");
        assert_eq!(document.orders, Some(vec![first.order.clone(), second.order.clone()]));
        assert_eq!(gateway::revocations(&live, 2, NOW).orders.unwrap().len(), 2, "whole, also where nothing is new");
        // The first has ended by itself, and gateways' clocks may be a little behind.
        let later = |secs| NOW.plus(HOUR + Duration::from_secs(secs));
        assert_eq!(gateway::revocations(&live, 2, later(29)).orders.unwrap().len(), 2);
        assert_eq!(gateway::revocations(&live, 2, later(30)).orders, Some(vec![second.order.clone()]));

        assert!(matches!(
            store.end_order(&admin(), second.order.id, "why", Some(Revision(9))),
            Err(StoreError::Conflict { .. })
        ));
        let ended = store.end_order(&admin(), second.order.id, "over", Some(second.revision)).unwrap();
        assert_eq!((ended.ended_by.as_deref(), ended.holds(NOW)), (Some("ann"), false));
        assert_eq!(told(&live), [first.order.id]);
        assert!(matches!(store.end_order(&admin(), second.order.id, "again", None), Err(StoreError::NotFound { .. })));
        assert!(matches!(store.end_order(&admin(), 99, "none", None), Err(StoreError::NotFound { .. })));
        let actions: Vec<_> =
            store.audit_entries(Page::default()).unwrap().rows.into_iter().map(|row| row.action).collect();
        assert_eq!(actions, ["order.end", "order.monitor", "order.lockdown"]);
        live.close();
    });
}

#[test]
fn orders_survive_a_restart_and_reach_every_replica() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let live_two = two.live().unwrap();
        let given = one.give_order(&admin(), &lockdown(&["paid"])).unwrap();
        live_two.refresh();
        assert_eq!(told(&live_two), [given.order.id]);
        two.end_order(&admin(), given.order.id, "over", None).unwrap();
        let again = one.give_order(&admin(), &lockdown(&["free"])).unwrap();
        assert!(again.order.id > given.order.id, "a number is never used again");
        let fresh = world.open().live().unwrap();
        live_two.refresh();
        assert_eq!((told(&fresh), told(&live_two)), (vec![again.order.id], vec![again.order.id]));
        fresh.close();
        live_two.close();
    });
}

#[test]
fn no_more_are_in_force_than_a_gateway_takes() {
    each_engine(|world| {
        let store = world.open();
        for _ in 0..64 {
            store.give_order(&admin(), &lockdown(&["paid"])).unwrap();
        }
        assert!(matches!(store.give_order(&admin(), &lockdown(&[])), Err(StoreError::TooMany { max: 64, .. })));
        let live = store.live().unwrap();
        assert_eq!(told(&live).len(), 64);
        live.close();
        store.end_order(&admin(), 7, "room", None).unwrap();
        store.give_order(&admin(), &lockdown(&[])).unwrap();
        world.clock.advance(HOUR + Duration::from_secs(31));
        store.give_order(&admin(), &lockdown(&[])).unwrap();
        assert_eq!(store.orders(false, Page::default()).unwrap().rows.len(), 1);
        assert_eq!(store.orders(true, Page::default()).unwrap().rows.len(), 66);
    });
}

#[test]
fn a_gateway_of_before_orders_gets_the_document_that_it_can_read() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        store.give_order(&admin(), &lockdown(&[])).unwrap();
        let snapshot = live.snapshot();
        let old = snapshot.issuer.revocation_document(&snapshot, 0, RevocationFormat::WithoutOrders, NOW).unwrap();
        let payload = snapshot.issuer.feed_public_key().unwrap().verify_revocations(&old).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let members: Vec<_> = text.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["entries", "format", "from", "issued", "latest", "number"]);
        assert_eq!(text["format"], "assay-revocations-v1");
        assert_eq!(RevocationDocument::parse(&payload).unwrap().orders, None);
        drop(snapshot);
        live.close();
    });
}

#[test]
fn a_clock_that_was_set_back_tells_gateways_no_more_orders_than_they_take() {
    each_engine(|world| {
        let store = world.open();
        for _ in 0..64 {
            store.give_order(&admin(), &lockdown(&[])).unwrap();
        }
        world.clock.advance(HOUR * 2);
        let later = store.give_order(&admin(), &lockdown(&["paid"])).unwrap();
        world.clock.set(NOW);
        let live = world.open_as("another").live().unwrap();
        let told = told(&live);
        assert_eq!((told.len(), told.last()), (64, Some(&later.order.id)), "the one that ends last among them");
        assert!(told.is_sorted());
        live.close();
    });
}
