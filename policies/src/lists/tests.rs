use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

fn refused(kind: Kind, text: &str) -> Vec<Problem> {
    List::parse(kind, "l.txt", text).unwrap_err()
}

#[track_caller]
fn networks(text: &str) -> Arc<Networks> {
    match List::parse(Kind::Networks, "l.txt", text).unwrap_or_else(|problems| panic!("{problems:#?}")) {
        List::Networks(networks) => networks,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn paths(text: &str) -> Arc<Paths> {
    match List::parse(Kind::Paths, "l.txt", text).unwrap_or_else(|problems| panic!("{problems:#?}")) {
        List::Paths(paths) => paths,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let text =
        "# ours\n10.0.0.1/8\n\n  300.1.1.1   # no such\n- 10.0.0.0/8\n\"10.0.0.0/8\"\n10.0.0.0/8,\n192.0.2.0/24\n";
    let told = refused(Kind::Networks, text);
    assert_eq!(told.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>(), [(2, 1), (4, 3), (5, 1), (6, 1), (7, 1)]);
    assert!(told.iter().all(|p| p.file == "l.txt" && p.hint.is_some() && p.code == "bad_entry"));
    assert!(told[0].hint.as_ref().unwrap().contains("10.0.0.0/8"));
    assert!(told[2].hint.as_ref().unwrap().contains("without the dash: 10.0.0.0/8"));
    assert_eq!(refused(Kind::Paths, "v1\n/a/**/b\n/../x\n").len(), 3);
    assert_eq!(refused(Kind::Devices, "a b\n\u{7f}\n").len(), 2);
}

#[test]
fn an_empty_list_says_that_it_is_meant() {
    for text in ["", "\n# nothing\n", "\u{feff}"] {
        assert_eq!(refused(Kind::Devices, text)[0].code, "empty_list", "{text:?}");
    }
    let empty = List::parse(Kind::Networks, "l", "none # for now\n").unwrap();
    assert!(empty.is_empty() && !networks("none").contains([10, 0, 0, 1].into()));
    assert_eq!(refused(Kind::Networks, "none\n10.0.0.0/8\n")[0].line, 1);
}

#[test]
fn a_hostile_list_is_refused_within_bounds() {
    let many = "10.0.0.1\n".repeat(MAX_ENTRIES + 1);
    assert_eq!(refused(Kind::Networks, &many)[0].code, "list_too_large");
    assert_eq!(refused(Kind::Paths, &"#".repeat(MAX_BYTES + 1))[0].code, "list_too_large");
    let bad = refused(Kind::Networks, &"x\n".repeat(50_000));
    assert_eq!(bad.len(), MAX_PROBLEMS + 1);
    assert!(bad[MAX_PROBLEMS].message.contains("49900 more"), "{}", bad[MAX_PROBLEMS].message);
    assert_eq!(refused(Kind::Devices, &"d".repeat(MAX_ENTRY + 1)).len(), 1);
    // Patterns that a path would have to be compared with one by one.
    let stars: String = (0..100).map(|number| format!("/a/*{number}\n")).collect();
    assert_eq!(refused(Kind::Paths, &stars).len(), 100 - 64);
}

#[test]
fn networks_hold_what_they_say_and_no_more() {
    let list = networks("10.0.0.0/8 # a\r\n192.0.2.7\n2001:db8::/32\n::ffff:198.51.100.0/120\n10.1.0.0/16\n");
    let holds = |address: &str| list.contains(address.parse().unwrap());
    for inside in [
        "10.0.0.0",
        "10.255.255.255",
        "192.0.2.7",
        "::ffff:10.1.2.3",
        "2001:db8:ffff::1",
        "198.51.100.9",
        "::ffff:198.51.100.9",
    ] {
        assert!(holds(inside), "{inside}");
    }
    for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db9::", "198.51.101.0", "::a00:1"] {
        assert!(!holds(outside), "{outside}");
    }
    assert!(networks("0.0.0.0/0").contains([255, 255, 255, 255].into()));
    assert!(!networks("0.0.0.0/0").contains(Ipv6Addr::LOCALHOST.into()));
    assert!(networks("::/0").contains(Ipv6Addr::from(u128::MAX).into()));
    assert_eq!(networks("10.0.0.0/9\n10.128.0.0/9\n").len(), 1, "what touches is one range");
    assert!(networks("10.0.0.0/8").covers(&networks("10.0.0.0/9\n10.200.0.0/16")));
    assert!(!networks("10.0.0.0/8").covers(&networks("10.0.0.0/9\n11.0.0.0/16")));
}

#[test]
fn a_hundred_thousand_networks_are_looked_up_in_a_few_steps() {
    let text: String =
        (0..100_000_u32).map(|number| format!("{}/31\n", Ipv4Addr::from(0x0a00_0000 + number * 4))).collect();
    let list = networks(&text);
    assert_eq!(list.len(), 100_000);
    for number in [0, 1, 49_999, 99_999] {
        let first = 0x0a00_0000 + number * 4;
        assert!(list.contains(Ipv4Addr::from(first + 1).into()) && !list.contains(Ipv4Addr::from(first + 2).into()));
    }
}

#[test]
fn paths_are_found_whole_below_and_by_pattern() {
    let list = paths("/v1/items\n/v1/catalogue/**\n/v1/*/photo\n/img-*\n/*/x/**\n");
    for inside in ["/v1/items", "/v1/catalogue", "/v1/catalogue/a/b", "/v1/7/photo", "/img-7", "/q/x", "/q/x/y/z"] {
        assert!(list.contains(inside), "{inside}");
    }
    for outside in ["/v1/items/", "/v1/cataloguex", "/v1//photo", "/img-7/a", "/", "/v1/7/photos", "/v1"] {
        assert!(!list.contains(outside), "{outside}");
    }
    assert!(paths("/**").contains("/") && paths("/**").contains("/a/b"));
    assert!(list.covers(&paths("/v1/catalogue/a/**\n/v1/items\n/v1/a/photo\n")));
    assert!(!list.covers(&paths("/v1/**\n")));
    let long = format!("/v1{}", "/a".repeat(4_000));
    assert!(!list.contains(&long));
}

#[test]
fn devices_are_compared_whole() {
    let List::Devices(list) = List::parse(Kind::Devices, "l", "q83vEjRWeJq83vEjRWeJqw==\nother\n").unwrap() else {
        panic!()
    };
    assert!(list.contains("other") && !list.contains("othe") && !list.contains("q83vEjRWeJq83vEjRWeJqw="));
}

fn network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0_u8..=32)
            .prop_map(|(bytes, length)| IpNet::new(IpAddr::from(bytes), length).unwrap().trunc()),
        (any::<[u8; 16]>(), 0_u8..=128)
            .prop_map(|(bytes, length)| IpNet::new(IpAddr::from(bytes), length).unwrap().trunc()),
        (0_u8..4, 20_u8..=32).prop_map(|(low, length)| IpNet::new([10, 0, 0, low].into(), length).unwrap().trunc()),
    ]
}

proptest! {
    #[test]
    fn a_list_holds_what_one_of_its_networks_holds(
        nets in prop::collection::vec(network(), 0..40),
        asked in prop::collection::vec(any::<[u8; 4]>(), 0..10),
    ) {
        let list = Networks::new(nets.iter().copied());
        let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]);
        let near = (0..16_u8).map(|low| IpAddr::from([10, 0, 0, low]));
        for address in edges.chain(asked.into_iter().map(IpAddr::from)).chain(near) {
            let one_by_one = nets.iter().any(|net| Networks::new([*net]).contains(address));
            prop_assert_eq!(list.contains(address), one_by_one, "{}", address);
            if address == address.to_canonical() && !nets.iter().any(|net| net.to_string().starts_with("::ffff:")) {
                prop_assert_eq!(one_by_one, nets.iter().any(|net| net.contains(&address)), "{}", address);
            }
        }
    }

    #[test]
    fn no_text_makes_a_list_panic(text in "(\\PC|\n|\t|[0-9./:*#-]){0,200}") {
        for kind in [Kind::Networks, Kind::Devices, Kind::Paths] {
            if let Err(problems) = List::parse(kind, "l", &text) {
                prop_assert!(!problems.is_empty());
                problems.iter().for_each(|problem| drop(problem.render(&text)));
            }
        }
    }

    #[test]
    fn a_list_of_paths_is_that_of_its_patterns(
        patterns in prop::collection::vec("(/[ab*]{1,2}){1,3}(/\\*\\*)?", 1..12),
        asked in prop::collection::vec("(/[ab]{0,2}){1,4}", 1..8),
    ) {
        let globs: Vec<_> = patterns.iter().filter_map(|text| attest_core::target::PathGlob::parse(text).ok()).collect();
        prop_assume!(!globs.is_empty());
        let text: String = globs.iter().map(|glob| format!("{glob}\n")).collect();
        let list = paths(&text);
        for path in &asked {
            prop_assert_eq!(list.contains(path), globs.iter().any(|glob| glob.matches(path)), "{} in {}", path, text);
        }
    }
}
