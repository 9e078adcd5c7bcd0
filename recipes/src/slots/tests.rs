use proptest::prelude::*;

use super::*;

const CUSTOM: HeaderName = HeaderName::from_static("x-vendor-pass");

#[test]
fn a_second_slot_beside_the_recipe_s_own_has_to_go() {
    for name in
        ["Authorization", "AUTHORIZATION", "x-api-key", "X_API_KEY", "x_api-Key", "Cookie", "x-goog-api-key", "API-Key"]
    {
        assert!(is_credential_slot(name, &CUSTOM), "{name}");
    }
}

#[test]
fn what_chooses_an_account_under_our_key_has_to_go() {
    for name in ["Stripe-Account", "stripe_context", "OpenAI-Organization", "x-goog-user-project"] {
        assert!(is_credential_slot(name, &CUSTOM), "{name}");
    }
}

#[test]
fn the_recipe_s_own_slot_has_to_go_in_every_spelling() {
    for name in ["x-vendor-pass", "X_Vendor_Pass", "x_vendor-pass"] {
        assert!(is_credential_slot(name, &CUSTOM), "{name}");
    }
    let long = HeaderName::from_bytes(&[b'a'; 100]).unwrap();
    assert!(is_credential_slot(&"A".repeat(100), &long));
}

#[test]
fn ordinary_headers_stay() {
    for name in [
        "accept",
        "content-type",
        "user-agent",
        "x-vendor-passes",
        "traceparent",
        "x-request-id",
        &"b".repeat(200),
        "é",
    ] {
        assert!(!is_credential_slot(name, &CUSTOM), "{name}");
    }
}

#[test]
fn a_slot_with_a_long_name_goes_too() {
    let long = "k".repeat(USUAL + 6);
    let slots = Slots::new([], &[&long]);
    assert!(slots.is_query(&long.to_uppercase()) && slots.is_query(&format!("%6b{}[]", &long[1..])));
    assert!(!slots.is_query(&long[1..]) && !slots.is_query(&format!("{long}k")));
}

fn slots() -> Slots {
    Slots::new([CUSTOM], &["key", "App_Secret"])
}

#[test]
fn a_query_slot_goes_in_every_spelling() {
    for name in [
        "key",
        "KEY",
        "%6bey",
        "%6Bey",
        "k%65y",
        "%256bey",
        "+key",
        "%20key",
        "key[]",
        "key%5B0%5D",
        "key[a]",
        "key%00x",
        "app_secret",
        "app-secret",
        "APP.SECRET",
        "app+secret",
        "app%5fsecret",
        "Api_Key",
        "x-amz-signature",
        "access_token",
    ] {
        assert!(slots().is_query(name), "{name}");
        assert_eq!(slots().strip_query(&format!("{name}=mine")).as_deref(), Some(""), "{name}");
        assert_eq!(slots().strip_query(&format!("a=1&{name}=mine&b=2")).as_deref(), Some("a=1&b=2"), "{name}");
        assert_eq!(slots().strip_query(&format!("a=1;{name}&{name}=x")).as_deref(), Some("a=1"), "{name}");
    }
}

#[test]
fn ordinary_parameters_stay_as_they_were_written() {
    for query in ["", "a=key", "keys=1", "monkey=2", "page_token=x", "k=%6bey&&x", "q=a%20b+c;d", "%=1", "a=b=key"] {
        assert_eq!(slots().strip_query(query), None, "{query}");
    }
}

proptest! {
    #[test]
    fn all_slots_at_once_are_as_one_by_one(name in "[kKeEyY_.%625b\\[ +a-]{0,8}|[a-z%0-9_-]{0,90}") {
        let all = slots();
        let each = |slot: &str| is_parameter(&name, slot);
        let expected = well_known::QUERY.iter().any(|slot| each(slot)) || all.query().iter().any(|slot| each(slot));
        prop_assert_eq!(all.is_query(&name), expected);
    }

    #[test]
    fn nothing_that_is_left_is_a_slot(query in "[a-cekyKEY_=&;%0-9.+\\[]{0,60}") {
        let left = slots().strip_query(&query).unwrap_or(query);
        for part in left.split(['&', ';']) {
            prop_assert!(!slots().is_query(part.split('=').next().unwrap_or("")), "{left}");
        }
    }
}
