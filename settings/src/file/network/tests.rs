use super::*;
use proptest::prelude::*;

#[test]
fn natural_spellings_of_an_address_are_told_the_right_one() {
    for (text, hint) in [
        (":8443", "0.0.0.0:8443"),
        ("8443", "127.0.0.1:8443"),
        ("*:8443", "0.0.0.0:8443"),
        ("localhost:9901", "127.0.0.1:9901"),
        ("10.0.0.1", "10.0.0.1:8443"),
        ("::1", "[::1]:8443"),
        ("api.example.com:80", "names are not looked up"),
    ] {
        assert!(address(text).unwrap_err().hint.unwrap().contains(hint), "{text}");
    }
    assert_eq!(address("[::]:0").unwrap().port(), 0);
}

#[test]
fn networks_need_a_prefix_and_no_bits_behind_it() {
    assert!(network("10.0.4.7/24").unwrap_err().hint.unwrap().contains("10.0.4.0/24"));
    assert!(network("10.0.4.7").unwrap_err().hint.unwrap().contains("10.0.4.7/32"));
    assert!(network("10.0.4").is_err());
}

#[test]
fn metadata_and_public_networks_can_not_be_listed_as_private() {
    for text in [
        "169.254.169.254/32",
        "169.254.0.0/16",
        "0.0.0.0/0",
        "8.8.8.0/24",
        "10.0.0.0/7",
        "fe80::/10",
        "::/0",
        "fc00::/7",
        "fd00:ec2::254/128",
    ] {
        assert!(!may_be_listed_as_private(&text.parse().unwrap()), "{text}");
    }
    for text in ["10.0.4.0/24", "127.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10", "fd12:3456::/32", "::1/128"] {
        assert!(may_be_listed_as_private(&text.parse().unwrap()), "{text}");
    }
}

#[test]
fn urls_hold_no_credentials_queries_or_odd_paths() {
    for text in [
        "api.example.com",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a?x=1",
        "https://a#f",
        "https://a:0",
        "https://a:99999",
        "https://a:",
        "https://a/../b",
        "https://a//b",
        "https://a/%2e",
        "https://[::1",
        "https://a b",
    ] {
        assert!(url(text).is_err(), "{text}");
    }
    let parts = url("https://Shop.Internal.:8443/v1/").unwrap();
    assert_eq!((parts.host.as_str(), parts.port, parts.path.as_str()), ("shop.internal", 8443, "/v1"));
    assert!(url("http://[::1]:80").unwrap().is_loopback());
    assert!(origin("https://a/v1").unwrap_err().hint.unwrap().contains("add: /v1"));
}

#[test]
fn host_patterns_cover_names_below_and_never_everything() {
    for text in [
        "*",
        "*.com",
        "a*.example.com",
        "*.*.example.com",
        "api.example.com:443",
        "https://a.example.com",
        "",
        "ä.example.com",
    ] {
        assert!(hosts(text).is_err(), "{text:?}");
    }
    let below = hosts("*.Example.com").unwrap();
    assert!(below.matches("a.example.com") && below.matches("a.b.example.com"));
    assert!(!below.matches("example.com") && !below.matches("badexample.com") && !below.matches(".example.com"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = (address(&text), network(&text), hosts(&text), url(&text), url(&format!("https://{text}")));
    }
}
