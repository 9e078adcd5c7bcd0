//! Counters: bounds, merging, the week that slides on.

use attest_core::verdict::Verdict;
use proptest::prelude::*;

use super::*;

const NOW: i64 = 480_000;

fn seen<'a>(route: &'a str, version: &'a str, device: u64, enforced: Action) -> Seen<'a> {
    Seen {
        route,
        verdict: Verdict::Attested,
        app: Some("shop"),
        version: Some(version),
        rule: "genuine",
        action: Action::Allow,
        enforced,
        device: Some(spread(device)),
        network: 0,
    }
}

/// An even spread of small numbers (SplitMix64).
fn spread(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[test]
fn keeps_a_week_and_no_more() {
    let mut week = Observations::default();
    for hour in 0..400 {
        week.record(NOW + hour, &seen("api", "1", 1, Action::Allow));
    }
    let route = &week.routes["api"];
    assert_eq!(route.hours.len(), usize::try_from(HOURS).unwrap());
    assert!(route.days.len() <= 8, "{}", route.days.len());
    week.forget(NOW + 400 + HOURS);
    assert_eq!(week.routes().count(), 0);
}

#[test]
fn a_clock_that_was_ahead_does_not_keep_its_hours() {
    let mut week = Observations::default();
    week.record(NOW + 10_000, &seen("api", "1", 1, Action::Allow));
    week.record(NOW, &seen("api", "1", 1, Action::Allow));
    assert_eq!(week.routes["api"].hours.keys().copied().collect::<Vec<_>>(), [NOW]);
}

#[test]
fn further_routes_versions_and_rules_are_counted_together() {
    let mut week = Observations::default();
    for n in 0..MAX_ROUTES + 5 {
        week.record(NOW, &seen(&format!("route-{n}"), "1", 1, Action::Allow));
    }
    assert_eq!((week.routes().count(), week.beyond()), (MAX_ROUTES, 5));

    let mut week = Observations::default();
    for n in 0..300 {
        let (version, rule) = (n.to_string(), format!("rule-{n}"));
        let mut one = seen("api", &version, n, Action::Block);
        one.rule = &rule;
        week.record(NOW, &one);
    }
    let window = week.window("api", NOW, 7).unwrap();
    assert_eq!((window.versions.len(), window.other_versions.requests), (MAX_VERSIONS, 300 - MAX_VERSIONS as u64));
    assert_eq!((window.rules.len(), window.other_rules.refused), (MAX_RULES, 300 - MAX_RULES as u64));
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let long = "ä".repeat(500);
    let mut week = Observations::default();
    week.record(NOW, &seen("api", &long, 1, Action::Allow));
    assert_eq!(week.window("api", NOW, 1).unwrap().versions[0].version.len(), MAX_NAME);
}

#[test]
fn what_was_written_reads_back_and_nothing_else_does() {
    let mut week = Observations::default();
    for n in 0..2_000 {
        week.record(NOW + n % 90, &seen("api", ["1", "2"][usize::from(n % 3 == 0)], n.unsigned_abs(), Action::Block));
    }
    let text = week.to_json();
    assert_eq!(Observations::from_json(text.as_bytes()), Ok(week));
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"v":2,"routes":{}}"#,
        r#"{"v":1,"routes":{"a":{"hours":{"-5":{}}}}}"#,
        r#"{"v":1,"routes":{"a":{"other":1}}}"#,
        r#"{"v":1,"routes":{"a":{"days":{"20000":{"devices":"AAA"}}}}}"#,
        r#"{"v":1,"routes":{"a":{"days":{"20000":{"devices":"__-A"}}}}}"#,
    ] {
        assert!(Observations::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_file_with_more_than_a_gateway_keeps_is_refused() {
    let hours: Vec<String> = (0..500).map(|hour| format!("\"{}\":{{}}", NOW + hour)).collect();
    let text = format!(r#"{{"v":1,"routes":{{"api":{{"hours":{{{}}}}}}}}}"#, hours.join(","));
    assert!(Observations::from_json(text.as_bytes()).is_err());
}

#[test]
fn an_estimate_is_within_ten_percent_at_every_size() {
    let mut sketch = Sketch::default();
    let mut checks = 0;
    for n in 1..=300_000_u64 {
        sketch.add(spread(n));
        if n.is_power_of_two() || n.is_multiple_of(50_000) {
            let off = sketch.count().abs_diff(n);
            assert!(off * 10 <= n + 5, "{} for {n}", sketch.count());
            checks += 1;
        }
    }
    assert!(checks > 20);
    assert_eq!(Sketch::default().count(), 0);
}

#[test]
fn a_hash_of_zeros_or_ones_is_one_thing() {
    for hash in [0, u64::MAX] {
        let mut sketch = Sketch::default();
        sketch.add(hash);
        sketch.add(hash);
        assert_eq!(sketch.count(), 1);
    }
}

fn sketch_of(things: &[u64]) -> Sketch {
    let mut sketch = Sketch::default();
    things.iter().for_each(|thing| sketch.add(spread(*thing)));
    sketch
}

/// What `merge` may not change: what is asked of the counters.
fn told(week: &Observations) -> Vec<(String, u64, u64, u64)> {
    let routes: Vec<String> = week.routes().map(str::to_owned).collect();
    routes
        .into_iter()
        .filter_map(|route| {
            let window = week.window(&route, NOW + 100, 7)?;
            let sum = |of: fn(&Counts) -> u64| window.categories.values().map(of).sum();
            Some((route, sum(|c| c.requests), sum(|c| c.refused), window.refused_devices.count()))
        })
        .collect()
}

proptest! {
    #[test]
    fn merging_is_adding(left in prop::collection::vec(0_u64..5_000, 0..1_500), right in prop::collection::vec(0_u64..5_000, 0..1_500)) {
        let (a, b) = (sketch_of(&left), sketch_of(&right));
        let mut ab = a.clone();
        ab.merge(&b);
        let mut ba = b.clone();
        ba.merge(&a);
        let all: Vec<u64> = left.iter().chain(&right).copied().collect();
        prop_assert_eq!(ab.count(), sketch_of(&all).count());
        prop_assert_eq!(ab.count(), ba.count());
        let mut again = ab.clone();
        again.merge(&a);
        prop_assert_eq!(again.count(), ab.count(), "nothing counts twice");
        let json = serde_json::to_string(&ab).unwrap();
        prop_assert_eq!(serde_json::from_str::<Sketch>(&json).unwrap().count(), ab.count());
    }

    #[test]
    fn the_order_and_the_shards_of_requests_do_not_matter(
        requests in prop::collection::vec((0_u8..3, 0_i64..100, 0_u64..50, 0_u8..3), 0..200)
    ) {
        let mut whole = Observations::default();
        let mut shards = [Observations::default(), Observations::default()];
        for (route, hour, device, fate) in &requests {
            let route = ["a", "b", "c"][usize::from(*route)];
            let enforced = [Action::Allow, Action::Deprioritize, Action::Block][usize::from(*fate)];
            let one = seen(route, "1", *device, enforced);
            whole.record(NOW + hour, &one);
            shards[usize::try_from(*device % 2).unwrap()].record(NOW + hour, &one);
        }
        let [mut first, second] = shards.clone();
        first.merge(&second);
        let [third, mut fourth] = shards;
        fourth.merge(&third);
        // An hour is kept by how new the newest is: all of these are within a week.
        prop_assert_eq!(told(&first), told(&whole));
        prop_assert_eq!(told(&fourth), told(&whole));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,300}") {
        if let Ok(read) = Observations::from_json(text.as_bytes()) {
            prop_assert!(read.routes().count() <= MAX_ROUTES);
        }
    }
}
