//! A policy that refuses the devices of yesterday: its route opens and says so. Nobody opens it from outside.

use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wait::until;

const KEY: &str = "sk_live_0123456789abcdef";
const ROUTE: &str = r#"
  shop:
    match: { path: "/shop/**" }
    upstream: own
    guard: { share: 50%, window: 10m, devices: 10 }
    policy:
      policy: shop
      default: block
      rules: [{ name: genuine, when: { verdict: attested, app_version: { min: "0.9" } }, then: allow }]
"#;
const DEVICES: usize = 16;
/// Three hours, as the gateway counts time in what it remembers of devices: in steps of ten minutes.
const THREE_HOURS: u64 = 18;

/// Makes all devices that the gateway has seen known to it three hours longer than they are: nobody waits for that.
/// An entry is a place and a word of 40 bits of a hash, 12 of the first sight, 12 of the last.
fn age_devices(house: &House) -> usize {
    let path = house.files.at("gateway-state/devices.history");
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(&bytes[..8], b"assaydh1");
    let entries = bytes[8..].as_chunks_mut::<12>().0;
    for entry in entries.iter_mut() {
        let word = u64::from_be_bytes(entry[4..].try_into().unwrap());
        let first = (word >> 12).wrapping_sub(THREE_HOURS) & 0xfff;
        let word = word & !(0xfff << 12) | first << 12;
        entry[4..].copy_from_slice(&word.to_be_bytes());
    }
    let count = entries.len();
    std::fs::write(&path, bytes).unwrap();
    count
}

/// A gateway that has let some devices through for three hours, and a token of each.
fn house(api: &Recorder) -> (House, Vec<String>) {
    let mut house = House::together(Files::new(), &api.address, KEY);
    house.change(|text| text.replacen("\nroutes:", &format!("\nroutes:{ROUTE}"), 1));
    let tokens: Vec<_> = (0..DEVICES).map(|_| Attester::genuine().token(&house.service)).collect();
    for token in &tokens {
        assert_eq!(house.get_as(token, "/shop/a").status, 200);
    }
    house.stop_gateway();
    assert_eq!(age_devices(&house), DEVICES);
    house.restart_gateway();
    until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
    for token in &tokens {
        assert_eq!(house.get_as(token, "/shop/a").status, 200);
    }
    (house, tokens)
}

fn raise(house: &House) {
    house.change(|text| text.replacen("min: \"0.9\"", "min: \"10\"", 1));
}

fn metric(house: &House, name: &str) -> Option<f64> {
    let text = e2e::wire::get(&house.admin, "/metrics", &[]).text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{route=\"shop\"} ")?.parse().ok())
}

#[test]
fn a_minimum_version_with_a_typo_opens_its_route_and_says_devices_regressed() {
    let api = Recorder::start();
    let (house, tokens) = house(&api);
    raise(&house);
    let statuses: Vec<_> = tokens.iter().map(|token| house.get_as(token, "/shop/a").status).collect();
    let refused = statuses.iter().filter(|status| **status == 403).count();
    assert!((8..=12).contains(&refused), "ten of sixteen, about: {statuses:?}");
    assert!(statuses.ends_with(&[200]), "it is open from then on: {statuses:?}");
    let route = house.route("shop");
    assert_eq!((&route["mode"], &route["guard"]["state"]), (&"guard".into(), &"tripped".into()), "{route}");
    assert!(route["guard"]["tripped"]["devices_regressed"].as_u64().unwrap() >= 8, "{route}");
    let shown = house.shown();
    assert!(shown.contains("MODE GUARD") && shown.contains("devices_regressed"), "{shown}");
    let said = house.gateway.err().after(0, |line| line.contains("devices_regressed").then(|| line.to_owned()));
    assert!(said.is_some_and(|line| line.contains("shop")), "{}", house.gateway.err().text());
    assert_eq!(metric(&house, "assay_guard_tripped"), Some(1.0));
    let line = house.log_line(0, |line| line["panic"] == "guard");
    assert_eq!(
        (&line["would"], &line["status"], &line["route"]),
        (&"block".into(), &200.into(), &"shop".into()),
        "{line}"
    );
    // Open means that refusals take no effect: of anybody, on this route alone.
    assert_eq!(house.get("/shop/a", &[]).status, 200);
    assert_eq!(house.get("/own/a", &[]).status, 401);
    // The mended policy is enforced.
    house.change(|text| text.replacen("min: \"10\"", "min: \"1.0\"", 1));
    assert_eq!(house.route("shop")["mode"], "normal");
    assert_eq!(house.get("/shop/a", &[]).status, 401);
    assert_eq!(house.get_as(&tokens[0], "/shop/a").status, 200);
}

#[test]
fn forged_tokens_and_devices_that_nobody_knew_never_open_a_route() {
    let api = Recorder::start();
    let (house, tokens) = house(&api);
    raise(&house);
    // The head and claims of genuine tokens of known devices, under signatures that nobody made.
    for (number, token) in tokens.iter().cycle().take(100).enumerate() {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut forged = signature.as_bytes().to_vec();
        let at = number % (forged.len() - 1);
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = format!("{signed}.{}", String::from_utf8(forged).unwrap());
        assert_eq!(house.get_as(&forged, "/shop/a").status, 403);
    }
    for _ in 0..DEVICES + 4 {
        let token = Attester::genuine().token(&house.service);
        assert_eq!(house.get_as(&token, "/shop/a").status, 403, "genuine, and known to nobody");
        let token = Attester::patched().token(&house.service);
        assert_eq!(house.get_as(&token, "/shop/a").status, 403);
    }
    let route = house.route("shop");
    assert_eq!((&route["mode"], &route["guard"]["state"]), (&"normal".into(), &"watching".into()), "{route}");
    assert_eq!(metric(&house, "assay_guard_tripped"), Some(0.0));
    // And those that count, one short of enough, open nothing either: the tenth does.
    for token in tokens.iter().take(8) {
        assert_eq!(house.get_as(token, "/shop/a").status, 403);
    }
    assert_eq!(house.route("shop")["guard"]["state"], "watching");
}
