//! What a limit says and what becomes of its count when the policy around it changes.

use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wait::until;

const KEY: &str = "sk_live_0123456789abcdef";
const POLICY: &str = r#"policy: shop
default: block
rules:
  - name: genuine
    when: { verdict: attested }
    then: { allow: { limits: [{ name: pace, requests: 5, per: device, window: 1h }, { name: wide, requests: 1000, per: route, window: 1d }] } }
"#;
const ROUTE: &str = r#"
  shop:
    match: { path: "/shop/**" }
    upstream: own
    policy: shop.yaml
"#;

#[test]
fn a_count_goes_on_over_a_reload_and_a_429_says_when_to_come_again() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    house.files.write("shop.yaml", POLICY);
    house.change(|text| text.replacen("\nroutes:", &format!("\nroutes:{ROUTE}"), 1));
    let token = house.token();
    for _ in 0..3 {
        let answer = house.get_as(&token, "/shop/a");
        assert_eq!(
            (answer.status, answer.header("ratelimit")),
            (200, None),
            "which rule let it in is nobody's business"
        );
    }
    // Another rule before it, and the limit in another place: it is the same limit, by its name.
    let reader =
        "rules:\n  - { name: readers, when: { verdict: missing, path: \"/shop/open/**\" }, then: deprioritize }\n";
    let moved = "limits: [{ name: wide, requests: 1000, per: route, window: 1d }, { name: pace, requests: 5, per: device, window: 1h }]";
    let (before, after) = POLICY.split_once("limits: [").unwrap();
    let changed = format!("{before}{moved}{}", &after[after.find(']').unwrap() + 1..]).replacen("rules:\n", reader, 1);
    house.files.write("shop.yaml", &changed);
    until("the new policy", || (house.get("/shop/open/x", &[]).status == 200).then_some(()));
    let statuses: Vec<_> = (0..4).map(|_| house.get_as(&token, "/shop/a").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429], "three of the five were used before");

    let over = house.get_as(&token, "/shop/a");
    assert_eq!((over.status, over.code()), (429, "limited".to_owned()));
    let header = |name: &str| over.header(name).unwrap_or_else(|| panic!("no {name}: {over:?}")).to_owned();
    assert_eq!(header("content-type"), "application/problem+json");
    assert!(header("ratelimit-policy").contains("\"pace\";q=5;w=3600"), "{over:?}");
    let limit = header("ratelimit");
    let pace = limit.split(',').map(str::trim).find(|one| one.starts_with("\"pace\"")).unwrap().to_owned();
    assert!(pace.starts_with("\"pace\";r=0;t="), "{limit}");
    // One flows back in twelve minutes: not before that, and not much later.
    let again: u64 = header("retry-after").parse().unwrap();
    assert!((600..=720).contains(&again), "{again}");
    let line = house.log_of(&over);
    assert_eq!(
        (&line["limit"]["name"], &line["rule"], &line["status"]),
        (&"pace".into(), &"genuine".into(), &429.into()),
        "{line}"
    );
    // A key in software costs nothing to make: another one is no other device.
    assert_eq!(house.get_as(&Attester::genuine().token(&house.service), "/shop/a").status, 429);
    // Another name is another limit.
    house.files.write("shop.yaml", changed.replace("name: pace", "name: stride"));
    until("the new limit", || (house.get_as(&token, "/shop/a").status == 200).then_some(()));
    let metrics = e2e::wire::get(&house.admin, "/metrics", &[]).text();
    assert!(metrics.contains("assay_limited_total{"), "{metrics}");
}
