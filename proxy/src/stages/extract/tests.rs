use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().unwrap());
    }
    map
}

fn address(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
    let pairs: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
    let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
    client_address(peer.parse().unwrap(), &headers(&pairs), &trusted).to_string()
}

#[test]
fn an_untrusted_peer_can_t_name_another_address() {
    assert_eq!(address("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
    assert_eq!(address("203.0.113.9", &["10.0.0.1"], &["10.0.0.0/8"]), "203.0.113.9");
}

#[test]
fn the_rightmost_address_that_is_no_trusted_proxy_counts() {
    let trusted = &["10.0.0.0/8"][..];
    assert_eq!(address("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], trusted), "198.51.100.7");
    assert_eq!(address("10.0.0.1", &["1.1.1.1", "198.51.100.7"], trusted), "198.51.100.7");
    assert_eq!(address("::ffff:10.0.0.1", &["198.51.100.7"], trusted), "198.51.100.7");
    assert_eq!(address("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.3"], trusted), "10.0.0.3");
    assert_eq!(address("10.0.0.1", &[], trusted), "10.0.0.1");
}

#[test]
fn refuses_nominations_that_would_hide_what_we_rely_on() {
    for value in ["host", "close, X-Forwarded-For", "a b", "a,b,c,d,e,f,g,h,i,j", "\"x-forwarded-for\""] {
        let refused = check_nominations(&headers(&[("connection", value)]));
        assert_eq!(refused, Err(Stop::BadRequest("connection_header")), "{value}");
    }
    assert_eq!(check_nominations(&headers(&[("connection", "keep-alive, x-api-key")])), Ok(()));
}

#[test]
fn a_client_can_t_claim_tls_through_a_proxy_that_adds_to_what_it_got() {
    for (lines, tls) in [
        (&["https"][..], true),
        (&["http, https"], true),
        (&["http", "HTTPS"], true),
        (&["https, http"], false),
        (&["https", "http"], false),
        (&[], false),
    ] {
        let pairs: Vec<_> = lines.iter().map(|value| ("x-forwarded-proto", *value)).collect();
        assert_eq!(forwarded_over_tls(&headers(&pairs)), tls, "{lines:?}");
    }
}

#[test]
fn a_head_of_http_2_has_no_more_fields_than_one_of_http_1() {
    let mut head = RequestHeader::build("GET", b"/", None).unwrap();
    head.set_version(Version::HTTP_2);
    for n in 0..MOST_FIELDS {
        head.insert_header(format!("x-{n}"), "y").unwrap();
    }
    assert_eq!(check_head(&head), Ok(()));
    head.insert_header("x-more", "y").unwrap();
    assert_eq!(check_head(&head), Err(Stop::BadRequest("too_many_fields")));
}
