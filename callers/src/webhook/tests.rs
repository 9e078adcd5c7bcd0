use data_encoding::{BASE64, HEXLOWER};

use super::*;

const NOW: i64 = 1_800_000_000;
const MINUTES_5: Duration = Duration::from_secs(300);
const SECRET: &[u8] = b"whsec_a-secret-of-the-test-alone";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    map
}

fn webhook(scheme: Scheme, secret: &[u8]) -> Webhook {
    Webhook::new(scheme, vec![WebhookSecret::from_text(secret).unwrap()], MINUTES_5).unwrap()
}

/// What a delivery comes to, its body in pieces of three bytes.
fn judged(webhook: &Webhook, pairs: &[(&str, &str)], body: &[u8], now: i64) -> Option<Result<Delivery, Reason>> {
    let opened = webhook.open(&headers(pairs), UnixTime::from_secs(now))?;
    Some(opened.and_then(|mut unread| {
        body.chunks(3).for_each(|piece| unread.update(piece));
        unread.finish()
    }))
}

fn mac(secret: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text)
}

fn stripe(secret: &[u8], at: i64, body: &[u8]) -> String {
    let text = [at.to_string().as_bytes(), b".", body].concat();
    format!("t={at},v1={}", HEXLOWER.encode(mac(secret, &text).as_ref()))
}

#[test]
fn refuses_a_delivery_of_another_secret_body_or_time() {
    let webhook = webhook(Scheme::Stripe, SECRET);
    let body = br#"{"id":"evt_1"}"#;
    let good = stripe(SECRET, NOW, body);
    let judged = |signature: &str, body: &[u8], now| judged(&webhook, &[("stripe-signature", signature)], body, now);
    assert!(judged(&good, body, NOW).unwrap().is_ok());
    assert_eq!(judged(&stripe(b"another secret of some length", NOW, body), body, NOW), Some(Err("signature_wrong")));
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert_eq!(judged(&good, &changed, NOW), Some(Err("signature_wrong")));
    }
    assert_eq!(judged(&good, &body[1..], NOW), Some(Err("signature_wrong")));
    assert_eq!(judged(&good, b"", NOW), Some(Err("signature_wrong")));
    assert!(judged(&good, body, NOW + 300).unwrap().is_ok() && judged(&good, body, NOW - 300).unwrap().is_ok());
    for now in [NOW + 301, NOW - 301, 0] {
        assert_eq!(judged(&good, body, now), Some(Err("timestamp_stale")));
    }
    // Whoever puts a fresh time before the old signature has signed nothing.
    let renewed = good.replace(&format!("t={NOW}"), &format!("t={}", NOW + 400));
    assert_eq!(judged(&renewed, body, NOW + 400), Some(Err("signature_wrong")));
}

#[test]
fn refuses_two_signature_headers_and_an_unreadable_one() {
    let webhook = webhook(Scheme::Stripe, SECRET);
    let good = stripe(SECRET, NOW, b"{}");
    for other in [good.as_str(), "t=1", ""] {
        let pairs = [("stripe-signature", good.as_str()), ("stripe-signature", other)];
        assert_eq!(judged(&webhook, &pairs, b"{}", NOW), Some(Err("several_signatures")));
    }
    assert_eq!(judged(&webhook, &[("stripe-signature", "nonsense")], b"{}", NOW), Some(Err("signature_malformed")));
    assert_eq!(judged(&webhook, &[("x-hub-signature-256", &good)], b"{}", NOW), None);
    assert_eq!(judged(&webhook, &[("stripe-signature", "")], b"{}", NOW), None);
}

#[test]
fn secrets_can_be_rolled_on_either_side() {
    let (old, new) = (b"the old secret, long enough", b"the new secret, long enough");
    let both = [&old[..], new].map(|secret| WebhookSecret::from_text(secret).unwrap()).to_vec();
    let ours = Webhook::new(Scheme::Stripe, both, MINUTES_5).unwrap();
    for secret in [&old[..], new] {
        assert!(judged(&ours, &[("stripe-signature", &stripe(secret, NOW, b"{}"))], b"{}", NOW).unwrap().is_ok());
    }
    let theirs = stripe(old, NOW, b"{}") + stripe(new, NOW, b"{}").strip_prefix(&format!("t={NOW}")).unwrap();
    assert!(judged(&webhook(Scheme::Stripe, new), &[("stripe-signature", &theirs)], b"{}", NOW).unwrap().is_ok());
}

#[test]
fn weak_secrets_and_boundless_tolerance_are_refused() {
    assert_eq!(WebhookSecret::from_text(b"fifteen bytes..\n").unwrap_err(), BadSecret::TooShort);
    assert_eq!(WebhookSecret::from_standard(b"whsec_not base64").unwrap_err(), BadSecret::NotBase64);
    assert_eq!(WebhookSecret::from_standard(b"whsec_AAAA").unwrap_err(), BadSecret::TooShort);
    let secret = || vec![WebhookSecret::from_text(SECRET).unwrap()];
    let new = |secrets, secs| Webhook::new(Scheme::Stripe, secrets, Duration::from_secs(secs)).map(|_| ());
    assert_eq!(new(vec![], 300), Err(BadWebhook::WrongNumberOfSecrets));
    assert_eq!(new(secret(), 0), Err(BadWebhook::BadTolerance));
    assert_eq!(new(secret(), 3601), Err(BadWebhook::BadTolerance));
    assert!(!format!("{:?}", webhook(Scheme::Stripe, SECRET)).contains("alone"));
}

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>, "Testing the webhook payload
/// validation".
#[test]
fn the_example_of_github_passes() {
    let webhook = webhook(Scheme::GitHub, b"It's a Secret to Everybody");
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let pairs = [("x-hub-signature-256", signature)];
    let delivery = judged(&webhook, &pairs, b"Hello, World!", NOW).unwrap().unwrap();
    assert_eq!(delivery.good_until(), None);
    assert_eq!(judged(&webhook, &pairs, b"Hello, World?", NOW), Some(Err("signature_wrong")));
    // The older header of GitHub is SHA-1 and counts for nothing.
    assert_eq!(judged(&webhook, &[("x-hub-signature", signature)], b"Hello, World!", NOW), None);
}

/// The vector of the Standard Webhooks libraries.
#[test]
fn the_example_of_standard_webhooks_passes() {
    let secret = WebhookSecret::from_standard(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let webhook = Webhook::new(Scheme::Standard, vec![secret], MINUTES_5).unwrap();
    let (at, body) = (1_614_265_330, br#"{"test": 2432232314}"#);
    let pairs =
        |id, time, signature| [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
    let good = pairs(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,whatever",
    );
    assert!(judged(&webhook, &good, body, at).unwrap().is_ok());
    assert_eq!(judged(&webhook, &good, body, at + 301), Some(Err("timestamp_stale")));
    let [id, time, signature] = good;
    assert_eq!(judged(&webhook, &[time, signature], body, at), Some(Err("signed_header_missing")));
    assert_eq!(judged(&webhook, &[id, signature], body, at), Some(Err("timestamp_missing")));
    assert_eq!(judged(&webhook, &[id, time, time, signature], body, at), Some(Err("timestamp_missing")));
    let other = pairs("msg_other", "1614265330", signature.1);
    assert_eq!(judged(&webhook, &other, body, at), Some(Err("signature_wrong")));
}

/// The worked example of <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
#[test]
fn the_example_of_slack_passes_as_a_layout_of_its_own() {
    let name = |name: &'static str| HeaderName::from_static(name);
    let layout = Layout::new(
        name("x-slack-signature"),
        "v0=",
        Encoding::Hex,
        Some(name("x-slack-request-timestamp")),
        Some("v0:{timestamp}:{body}"),
    );
    let webhook = webhook(Scheme::Hmac(layout.unwrap()), b"8f742231b10e8888abcd99yyyzzz85a5");
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let pairs = [
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("x-slack-request-timestamp", "1531420618"),
    ];
    assert!(judged(&webhook, &pairs, body, 1_531_420_618).unwrap().is_ok());
    assert_eq!(judged(&webhook, &pairs, body, NOW), Some(Err("timestamp_stale")));
    assert_eq!(judged(&webhook, &pairs[..1], body, 1_531_420_618), Some(Err("timestamp_missing")));
}

#[test]
fn a_layout_signs_the_whole_body_and_the_time_that_counts() {
    let new = |timestamp: Option<&'static str>, signed| {
        let header = HeaderName::from_static("x-signature");
        Layout::new(header, "", Encoding::Base64, timestamp.map(HeaderName::from_static), signed)
    };
    assert_eq!(new(None, Some("")).unwrap_err(), BadLayout::BodyNotOnce);
    assert_eq!(new(None, Some("{body}{body}")).unwrap_err(), BadLayout::BodyNotOnce);
    assert_eq!(new(None, Some("{timestamp}{body}")).unwrap_err(), BadLayout::TimestampNotSigned);
    assert_eq!(new(Some("x-time"), Some("{body}")).unwrap_err(), BadLayout::TimestampNotSigned);
    assert_eq!(new(None, Some("{url}{body}")).unwrap_err(), BadLayout::UnknownWord);
    assert_eq!(new(None, Some("{body}{")).unwrap_err(), BadLayout::UnknownWord);
    assert_eq!(new(None, Some("{header:a b}{body}")).unwrap_err(), BadLayout::NotAHeader);
    let around = webhook(Scheme::Hmac(new(None, Some("<{header:X-Id}>{body}</>")).unwrap()), SECRET);
    let signature = BASE64.encode(mac(SECRET, b"<7>text</>").as_ref());
    assert!(judged(&around, &[("x-signature", &signature), ("x-id", "7")], b"text", NOW).unwrap().is_ok());
    assert_eq!(
        judged(&around, &[("x-signature", &signature), ("x-id", "8")], b"text", NOW),
        Some(Err("signature_wrong"))
    );
    let long = "7".repeat(257);
    assert_eq!(
        judged(&around, &[("x-signature", &signature), ("x-id", &long)], b"text", NOW),
        Some(Err("signed_header_missing"))
    );
}
