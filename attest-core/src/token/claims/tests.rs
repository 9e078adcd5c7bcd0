use super::*;
use proptest::prelude::*;

fn refused(payload: &str) -> Reason {
    Claims::parse(payload.as_bytes()).expect_err(payload).reason
}

#[test]
fn refuses_an_exp_that_is_absent_or_no_number() {
    for (payload, reason) in [
        ("{}", "missing_exp"),
        (r#"{"exp":""}"#, "exp_not_a_number"),
        (r#"{"exp":"1999999999"}"#, "exp_not_a_number"),
        (r#"{"exp":null}"#, "exp_not_a_number"),
        (r#"{"exp":true}"#, "exp_not_a_number"),
        (r#"{"exp":[1999999999]}"#, "exp_not_a_number"),
        (r#"{"exp":-17}"#, "exp_not_positive"),
        (r#"{"exp":-0.5}"#, "exp_not_positive"),
        (r#"{"exp":0}"#, "exp_not_positive"),
        (r#"{"exp":1e300}"#, "exp_out_of_range"),
        (r#"{"exp":18446744073709551615}"#, "exp_out_of_range"),
        (r#"{"exp":1e400}"#, "number_out_of_range"),
        (r#"{"exp":NaN}"#, "payload_not_json"),
        (r#"{"exp":0x10}"#, "payload_not_json"),
        (r#"{"exp":1,"exp":1999999999}"#, "duplicate_member"),
    ] {
        assert_eq!(refused(payload), reason, "{payload}");
    }
}

#[test]
fn refuses_registered_claims_of_another_type() {
    for (payload, reason) in [
        (r#"{"exp":1,"iat":"1"}"#, "iat_not_a_number"),
        (r#"{"exp":1,"nbf":-17}"#, "nbf_not_a_number"),
        (r#"{"exp":1,"nbf":null}"#, "nbf_not_a_number"),
        (r#"{"exp":1,"iss":17}"#, "iss_not_text"),
        (r#"{"exp":1,"aud":17}"#, "aud_not_text"),
        (r#"{"exp":1,"aud":["a",1]}"#, "aud_not_text"),
        (r#"{"exp":1,"jti":{}}"#, "jti_not_text"),
        (r#"{"exp":1,"sub":[]}"#, "sub_not_text"),
        ("[]", "payload_not_json"),
        ("foo", "payload_not_json"),
    ] {
        assert_eq!(refused(payload), reason, "{payload}");
    }
}

#[test]
fn reads_fractions_and_rounds_down() {
    let claims = Claims::parse(br#"{"exp":4708683205.891912,"iat":0.9999,"nbf":0,"aud":["a","b"]}"#).unwrap();
    assert_eq!(claims.exp(), UnixTime::from_millis(4_708_683_205_891));
    assert_eq!(claims.iat(), Some(UnixTime::from_millis(999)));
    assert_eq!(claims.nbf(), Some(UnixTime::from_secs(0)));
    assert_eq!(claims.aud().len(), 2);
}

#[test]
fn a_claim_of_ours_with_another_type_counts_as_absent() {
    let claims =
        Claims::parse(br#"{"exp":1,"app":1,"ver":2,"did":[],"pay":"x","cnf":{"kid":"k"},"anno":["a",1]}"#).unwrap();
    assert_eq!((claims.app(), claims.ver(), claims.did()), (None, None, None));
    assert_eq!(claims.pay(), Pay::Unreadable);
    assert!(claims.names_a_key() && claims.cnf_jkt().is_none());
    assert_eq!(claims.anno(), [Box::from("a")]);
}

#[test]
fn debug_shows_no_claim() {
    assert_eq!(format!("{:?}", Claims::parse(br#"{"exp":1,"did":"secret"}"#).unwrap()), "Claims(..)");
}

proptest! {
    #[test]
    fn whole_seconds_stay_what_they_are(secs in 1_i64..9_007_199_254_740_992) {
        let claims = Claims::parse(format!("{{\"exp\":{secs}}}").as_bytes()).unwrap();
        prop_assert_eq!(claims.exp(), UnixTime::from_secs(secs));
    }

    #[test]
    fn never_panics(payload in proptest::collection::vec(any::<u8>(), 0..100), number in "-?[0-9.eE+-]{1,12}") {
        let _ = Claims::parse(&payload);
        let _ = Claims::parse(format!("{{\"exp\":{number},\"iat\":{number}}}").as_bytes());
    }
}
