//! Who a request claims to be, and who the API behind is told it is.

use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::{APPROOV_SECRET, House};
use e2e::upstream::Recorder;

const KEY: &str = "sk_live_0123456789abcdef";

/// What a client could make up, with a token and a header that is its own business.
fn made_up(token: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("X-Assay-Verdict", "attested"),
        ("X_Assay_Verdict", "attested"),
        ("x-assay-device", "forged"),
        ("X-Assay-App", "forged"),
        ("X-Assay-Version", "9"),
        ("X-Assay-Anything", "forged"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("X-Own", "stays"),
        ("Assay-Token", token),
    ]
}

#[test]
fn an_own_api_is_told_what_was_proven_and_nothing_that_the_client_made_up() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    assert_eq!(house.get("/own/x", &made_up(&token)).status, 200);
    let seen = api.last();
    assert_eq!(seen.values("x-assay-verdict"), ["attested"]);
    assert_eq!((seen.values("x-assay-app"), seen.values("x-assay-version")), (vec!["shop"], vec!["1.0"]));
    assert_eq!(seen.values("x-assay-device").len(), 1);
    assert_eq!(seen.values("x-own"), ["stays"]);
    let lower = seen.head.to_ascii_lowercase();
    for gone in ["forged", "x_assay_verdict", "method-override", "assay-token", token.as_str()] {
        assert!(!lower.contains(&gone.to_ascii_lowercase()), "{gone}: {}", seen.head);
    }
    // Nothing proven, nothing told but that.
    assert_eq!(house.get("/free/x", &made_up("")[..9]).status, 200);
    let seen = api.last();
    assert_eq!(seen.values("x-assay-verdict"), ["missing"]);
    for absent in ["x-assay-device", "x-assay-app", "x-assay-version"] {
        assert_eq!(seen.values(absent), [""; 0], "{absent}");
    }
    let patched = Attester::patched().token(&house.service);
    assert_eq!(house.get("/free/x", &made_up(&patched)).status, 200);
    assert_eq!(api.last().values("x-assay-verdict"), ["failed"]);
}

#[test]
fn a_vendor_gets_our_key_once_whatever_the_client_sends_in_its_place() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    for (what, headers) in [
        ("its own key", vec![("X-Api-Key", "mine")]),
        ("twice", vec![("X-Api-Key", "mine"), ("x-api-key", "mine too")]),
        ("underscores", vec![("X_Api_Key", "mine")]),
        ("nominated as hop by hop", vec![("Connection", "x-api-key")]),
        ("nominated among others", vec![("Connection", "keep-alive, X-Api-Key"), ("X-Api-Key", "mine")]),
        ("the token nominated", vec![("Connection", "assay-token")]),
        ("as a trailer", vec![("Trailer", "x-api-key"), ("TE", "trailers")]),
    ] {
        let all: Vec<_> = headers.iter().copied().chain([("Assay-Token", token.as_str())]).collect();
        let before = api.seen().len();
        let answer = house.get("/paid/v1/paid", &all);
        if api.seen().len() == before {
            assert_eq!(answer.status, 400, "{what}: {}", answer.text());
            continue;
        }
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let seen = api.last();
        assert_eq!(seen.values("x-api-key"), [KEY], "{what}: {}", seen.head);
        for gone in ["mine", "x_api_key", "x-assay-", &token] {
            assert!(
                !seen.head.to_ascii_lowercase().contains(&gone.to_ascii_lowercase()),
                "{what}, {gone}: {}",
                seen.head
            );
        }
    }
    // Most of these are served, not just refused.
    assert!(api.seen().len() >= 4, "{}", api.seen().len());
    // Without a permit there is no key, on no route.
    let before = api.seen().len();
    let patched = Attester::patched().token(&house.service);
    for (token, status) in [("", 401), ("nonsense", 403), (patched.as_str(), 403)] {
        assert_eq!(house.get_as(token, "/paid/v1/paid").status, status);
    }
    assert_eq!(api.seen().len(), before);
    assert!(house.get_as(&token, "/own/x").status == 200 && api.last().values("x-api-key").is_empty());
}

#[test]
fn a_bound_token_passes_with_what_it_is_bound_to_and_with_nothing_else() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let (free, bound) = (house.token(), Attester::genuine().bound_token(&house.service, "Bearer user-1"));
    let ask = |token: &str, value: Option<&str>| {
        let mut headers = vec![("Assay-Token", token)];
        headers.extend(value.map(|value| ("Authorization", value)));
        house.get("/bound/x", &headers)
    };
    assert_eq!(ask(&bound, Some("Bearer user-1")).status, 200);
    assert_eq!(api.last().values("authorization"), ["Bearer user-1"], "it is the API's own");
    let before = api.seen().len();
    for (token, value) in
        [(&bound, Some("Bearer user-2")), (&bound, None), (&free, Some("Bearer user-1")), (&free, None)]
    {
        let answer = ask(token, value);
        assert_eq!(answer.status, 403, "{value:?}");
        assert_eq!(house.log_of(&answer)["verdict"], "binding_mismatch");
    }
    assert_eq!(api.seen().len(), before);
}

#[test]
fn approovs_tokens_pass_on_their_route_and_on_no_other() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let secret = BASE64.decode(APPROOV_SECRET.as_bytes()).unwrap();
    let mint = |claims: &str| {
        let input = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(b"{\"typ\":\"JWT\",\"alg\":\"HS256\"}"),
            BASE64URL_NOPAD.encode(claims.as_bytes())
        );
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
        format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
    };
    let good = mint("{\"exp\":2050369636.891912}");
    for value in [good.clone(), format!("Bearer {good}")] {
        assert_eq!(house.get("/approov/x", &[("Approov-Token", &value)]).status, 200);
        assert!(!api.last().head.contains(&good), "not forwarded");
    }
    let before = api.seen().len();
    for (token, status) in [
        (mint("{\"exp\":1550302816}"), 401),
        (mint("{\"exp\":\"\"}"), 403),
        (mint("{\"iss\":\"x\"}"), 403),
        (format!("{good}x"), 403),
    ] {
        assert_eq!(house.get("/approov/x", &[("Approov-Token", &token)]).status, status, "{token}");
    }
    assert_eq!(
        house.get("/approov/x", &[("Assay-Token", &house.token())]).status,
        401,
        "our own is not looked for there"
    );
    assert_eq!(house.get("/own/x", &[("Assay-Token", &good)]).status, 403);
    assert_eq!(house.get("/own/x", &[("Approov-Token", &good)]).status, 401);
    assert_eq!(api.seen().len(), before);
}
