//! What gateways tell of themselves.

use std::time::Duration;

use attest_core::feed::GatewayFacts;
use attest_store::{MAX_GATEWAYS, Page, Store};

use crate::world::{DAY, NOW, each_engine};

fn facts(name: &str, generation: u64) -> GatewayFacts {
    GatewayFacts {
        name: name.to_owned(),
        version: "0.4.0".to_owned(),
        generation,
        configuration: "a1".to_owned(),
        reload_ok: true,
        routes: vec!["paid".to_owned(), format!("own-{name}")],
        ..GatewayFacts::default()
    }
}

fn names(store: &Store) -> Vec<(String, u64)> {
    let rows = store.gateways(Page::default()).unwrap().rows;
    rows.into_iter().map(|row| (row.facts.name, row.facts.generation)).collect()
}

#[test]
fn each_gateway_has_one_row_with_what_it_told_last_at_whichever_replica() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let (live_one, live_two) = (one.live().unwrap(), two.live().unwrap());
        live_one.gateway(facts("b", 1), NOW);
        live_one.gateway(facts("a", 1), NOW);
        live_one.refresh();
        live_two.gateway(facts("b", 3), NOW.plus(Duration::from_secs(9)));
        live_two.refresh();
        // A report that was on its way for longer does not take the later one's place.
        live_one.gateway(facts("b", 2), NOW.plus(Duration::from_secs(5)));
        live_one.refresh();
        let mut told = names(&one);
        told.sort();
        assert_eq!(told, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
        assert_eq!(names(&two).len(), 2);
        live_one.close();
        live_two.close();
    });
}

#[test]
fn what_was_told_before_the_end_is_kept_and_the_silent_are_forgotten_after_a_week() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.gateway(facts("old", 1), NOW);
        live.close();
        assert_eq!(names(&store).len(), 1);
        world.clock.advance(DAY * 7 + Duration::from_secs(1));
        let live = store.live().unwrap();
        live.gateway(facts("new", 1), NOW.plus(DAY * 7 + Duration::from_secs(1)));
        live.close();
        assert_eq!(names(&store), [("new".to_owned(), 1)]);
    });
}

#[test]
fn there_are_never_more_than_so_many_and_the_longest_silent_goes_first() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.gateway(facts("first", 1), NOW);
        live.refresh();
        for number in 0..MAX_GATEWAYS {
            live.gateway(facts(&number.to_string(), 1), NOW.plus(Duration::from_secs(1)));
        }
        live.refresh();
        live.close();
        assert_eq!(world.sql("SELECT count(*) FROM gateways"), MAX_GATEWAYS.to_string());
        assert_eq!(world.sql("SELECT count(*) FROM gateways WHERE name = 'first'"), "0");
    });
}

#[test]
fn a_route_that_no_gateway_has_is_told_unless_nothing_is_known() {
    each_engine(|world| {
        let store = world.open();
        let routes = ["paid", "own-a", "own-c"].map(str::to_owned);
        assert!(store.routes_nowhere(&routes).unwrap().is_empty(), "no gateway ever told anything");
        let live = store.live().unwrap();
        live.gateway(facts("a", 1), NOW);
        live.gateway(facts("b", 1), NOW);
        live.refresh();
        assert_eq!(store.routes_nowhere(&routes).unwrap(), ["own-c"]);
        live.gateway(GatewayFacts { more_routes: true, ..facts("b", 2) }, NOW);
        live.refresh();
        assert!(store.routes_nowhere(&routes).unwrap().is_empty(), "one did not tell all of its routes");
        live.close();
    });
}
