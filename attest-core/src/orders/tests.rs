use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(10_000);

fn order(id: u64, kind: OrderKind, routes: &[&str], until: i64) -> Order {
    Order {
        id,
        kind,
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        since: until - 600,
        until,
        reason: "an attack".into(),
        by: "ann".into(),
        extend_by: (kind == OrderKind::ExtendTokens).then_some(id * 60),
    }
}

#[test]
fn without_orders_every_route_is_as_its_policy_says() {
    assert_eq!(Orders::default().mode("paid", NOW), RouteMode::Normal);
    assert_eq!(Orders::default().extend("paid", NOW), Duration::ZERO);
}

#[test]
fn an_order_holds_on_its_routes_alone_and_without_routes_on_all() {
    let orders = Orders::new(vec![order(1, OrderKind::Monitor, &["shop", "api"], 10_600)]);
    assert!(matches!(orders.mode("api", NOW), RouteMode::Monitor(order) if order.id == 1));
    assert_eq!(orders.mode("ap", NOW), RouteMode::Normal);
    assert_eq!(orders.mode("", NOW), RouteMode::Normal);
    let everywhere = Orders::new(vec![order(1, OrderKind::Lockdown, &[], 10_600)]);
    assert!(matches!(everywhere.mode("anything", NOW), RouteMode::Lockdown(_)));
}

#[test]
fn lockdown_beats_monitor_whichever_came_first() {
    for (lockdown, monitor) in [(1, 2), (2, 1)] {
        let mut both = vec![
            order(lockdown, OrderKind::Lockdown, &["api"], 10_600),
            order(monitor, OrderKind::Monitor, &[], 10_600),
        ];
        both.sort_by_key(|order| order.id);
        let orders = Orders::new(both);
        assert_eq!(orders.mode("api", NOW).order().map(|order| order.kind), Some(OrderKind::Lockdown));
        assert_eq!(orders.mode("shop", NOW).order().map(|order| order.kind), Some(OrderKind::Monitor));
    }
}

#[test]
fn what_loosens_ends_on_time_and_what_tightens_a_little_late() {
    let kinds = [OrderKind::Lockdown, OrderKind::Monitor, OrderKind::ExtendTokens];
    let orders = Orders::new(kinds.iter().zip(1..).map(|(kind, id)| order(id, *kind, &[], 10_000)).collect());
    let at = |millis| UnixTime::from_millis(millis);
    let held = |now| orders.in_force(now).map(|order| order.kind).collect::<Vec<_>>();
    assert_eq!(held(at(9_999_999)), kinds);
    assert_eq!(held(NOW), [OrderKind::Lockdown]);
    assert_eq!(orders.extend("api", at(9_999_999)), Duration::from_secs(180));
    assert_eq!(orders.extend("api", NOW), Duration::ZERO);
    assert_eq!(held(at(10_029_999)), [OrderKind::Lockdown]);
    assert!(held(at(10_030_000)).is_empty());
    assert_eq!(orders.mode("api", at(10_030_000)), RouteMode::Normal);
}

#[test]
fn the_longest_extension_counts_beside_any_mode() {
    let orders = Orders::new(vec![
        order(1, OrderKind::ExtendTokens, &["api"], 10_600),
        order(2, OrderKind::ExtendTokens, &[], 10_600),
        order(3, OrderKind::Lockdown, &[], 10_600),
        order(4, OrderKind::ExtendTokens, &["shop"], 10_600),
    ]);
    assert_eq!(orders.extend("api", NOW), Duration::from_secs(120));
    assert_eq!(orders.extend("shop", NOW), Duration::from_secs(240));
    assert!(matches!(orders.mode("api", NOW), RouteMode::Lockdown(order) if order.id == 3));
}

#[test]
fn asking_allocates_nothing() {
    let orders =
        Orders::new((1..=64).map(|id| order(id, OrderKind::ALL[id as usize % 3], &["a", "b"], 10_600)).collect());
    let allocated = allocation_counter::measure(|| {
        assert!(orders.mode("b", NOW).order().is_some());
        assert_eq!(orders.mode("c", NOW), RouteMode::Normal);
        assert!(orders.extend("b", NOW) > Duration::ZERO);
    });
    assert_eq!(allocated.count_total, 0);
}

proptest! {
    /// The rules again, said the slow way.
    #[test]
    fn a_mode_is_the_strictest_that_holds(
        given in proptest::collection::vec((0_usize..3, 0_usize..4, -60_i64..60), 0..8),
        ahead in -40_i64..40,
    ) {
        let names: [&[&str]; 4] = [&[], &["api"], &["shop"], &["api", "shop"]];
        let orders: Vec<Order> = given.iter().zip(1..)
            .map(|((kind, routes, ends), id)| order(id, OrderKind::ALL[*kind], names[*routes], 10_000 + ends))
            .collect();
        let now = UnixTime::from_secs(10_000 + ahead);
        let is = |kind: OrderKind, late: i64| orders.iter().any(|order| {
            order.kind == kind && now.secs() < order.until + late && (order.routes.is_empty() || order.routes.contains(&"api".into()))
        });
        let (lockdown, monitor) = (is(OrderKind::Lockdown, 30), is(OrderKind::Monitor, 0));
        let all = Orders::new(orders.clone());
        let expected = match (lockdown, monitor) {
            (true, _) => Some(OrderKind::Lockdown),
            (false, true) => Some(OrderKind::Monitor),
            _ => None,
        };
        prop_assert_eq!(all.mode("api", now).order().map(|order| order.kind), expected);
        prop_assert_eq!(all.extend("api", now) > Duration::ZERO, is(OrderKind::ExtendTokens, 0));
    }
}
