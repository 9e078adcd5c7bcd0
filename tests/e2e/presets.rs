//! Each preset end to end: `assay key put --preset`, an upstream by preset, a route that lists operations by name, and a
//! server that refuses what the vendor refuses.
//!
//! For each: the right call comes through with the credential as the vendor wants it; what the client brings in the vendor's
//! own slots is gone; an operation that is not listed is 404, a parameter or field that is not allowed 400; and neither the
//! key nor what was made of it is in any answer or log.

use std::ffi::OsStr;

use e2e::command::{assay, assay_fed};
use e2e::files::Files;
use e2e::vendors::{PresetHouse, Upstream};
use e2e::wire::Answer;
use serde_json::{Value, json};
use test_servers::vendor::{Vendor, anthropic, github, google_cloud, google_maps, openai, s3, sigv4, stripe, twilio};

const KEY: &str = "sk-not-a-real-key-0f3b6d5e2a17";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// One call with the token of a genuine app.
fn call(house: &PresetHouse, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let answer = house.call(&house.house.token(), method, target, headers, body.as_bytes());
    assert!(!answer.text().contains(KEY), "{method} {target}: the key is in the answer");
    assert!(answer.headers.iter().all(|(_, value)| !value.contains(KEY)), "{method} {target}: in a header");
    answer
}

/// Method, target, headers and body.
type Asked<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// Demands that none of these comes through, with this status, and that the vendor saw none of them.
fn shut(house: &PresetHouse, vendor: &Vendor, status: u16, calls: &[Asked<'_>]) {
    let before = vendor.calls().len();
    for (method, target, headers, body) in calls {
        let answer = call(house, method, target, headers, body);
        assert_eq!(answer.status, status, "{method} {target} {body}: {}", answer.text());
    }
    assert_eq!(vendor.calls().len(), before, "the vendor saw what was refused");
    assert!(!house.house.gateway.out().text().contains(KEY), "the key is in the log");
}

/// An app that did not pass gets nothing, whatever it calls.
fn strangers_are_shut_out(house: &PresetHouse, vendor: &Vendor, method: &str, target: &str, body: &str) {
    let before = vendor.calls().len();
    let failed = e2e::attester::Attester::patched().token(&house.house.service);
    for token in [failed.as_str(), "sk-stolen"] {
        let kind = if body.starts_with('{') { JSON } else { FORM };
        let answer = house.call(token, method, target, &[kind], body.as_bytes());
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert_eq!(vendor.calls().len(), before);
}

#[test]
fn openai() {
    let vendor = openai::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[{ use: chat, body: { one_of: { /model: [gpt-4o-mini] }, cap: { /max_completion_tokens: 100 } } }, embeddings]",
        ..Upstream::new("openai", &vendor.url(), KEY)
    });
    let chat = "/v1/chat/completions";
    let own =
        [JSON, ("Authorization", "Bearer sk-client"), ("OpenAI-Organization", "org-other"), ("X_API_Key", "sk-client")];
    let asked = r#"{"model":"gpt-4o-mini","messages":[],"stream":true,"max_completion_tokens":5000,"n":4}"#;
    let answer = call(&house, "POST", chat, &own, asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Usage was forced: the last event but one tells it.
    assert!(answer.text().contains(&format!("\"total_tokens\":{}", openai::CHAT_TOKENS)), "{}", answer.text());
    let sent = vendor.last();
    assert!(!sent.contains("sk-client") && !sent.contains("org-other") && !sent.contains("eyJ"), "{sent:?}");
    assert_eq!(sent.json()["stream_options"], json!({ "include_usage": true }));
    assert_eq!((&sent.json()["max_completion_tokens"], &sent.json()["n"]), (&json!(100), &json!(1)));
    assert_eq!(sent.json()["store"], false);
    let line = house.house.log_line(0, |line| line["path"] == format!("/vendor{chat}") && line["status"] == 200);
    assert!(!line.to_string().contains("sk-client"), "{line}");
    shut(
        &house,
        &vendor,
        404,
        &[("GET", "/v1/files", &[], ""), ("POST", "/v1/responses", &[JSON], "{}"), ("GET", chat, &[], "")],
    );
    let body = |more: &str| format!(r#"{{"model":"gpt-4o-mini","messages":[]{more}}}"#);
    shut(
        &house,
        &vendor,
        400,
        &[
            ("POST", chat, &[JSON], r#"{"model":"gpt-5-pro","messages":[]}"#),
            ("POST", chat, &[JSON], &body(r#","service_tier":"priority""#)),
            ("POST", chat, &[JSON], &body(r#","model":"gpt-5-pro""#)),
            ("POST", &format!("{chat}?api-version=1"), &[JSON], &body("")),
        ],
    );
    strangers_are_shut_out(&house, &vendor, "POST", chat, &body(""));
}

#[test]
fn anthropic() {
    let vendor = anthropic::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[messages, count_tokens]",
        ..Upstream::new("anthropic", &vendor.url(), KEY)
    });
    let version = ("anthropic-version", "2023-06-01");
    let own =
        [JSON, version, ("x-api-key", "sk-client"), ("Authorization", "Bearer sk-client"), ("anthropic-beta", "files")];
    let asked = r#"{"model":"claude-haiku-4-5","max_tokens":10,"messages":[],"stream":true}"#;
    let answer = call(&house, "POST", "/v1/messages", &own, asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("message_stop"), "{}", answer.text());
    let sent = vendor.last();
    assert!(!sent.contains("sk-client") && sent.values("anthropic-beta").is_empty(), "{sent:?}");
    shut(&house, &vendor, 404, &[("GET", "/v1/files", &[version], ""), ("GET", "/v1/models", &[version], "")]);
    let tools =
        r#"{"model":"m","max_tokens":1,"messages":[],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#;
    shut(&house, &vendor, 400, &[("POST", "/v1/messages", &[JSON, version], tools)]);
    strangers_are_shut_out(&house, &vendor, "POST", "/v1/messages", asked);
}

#[test]
fn google_maps() {
    let vendor = google_maps::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[geocode, static_map]",
        ..Upstream::new("google-maps", &vendor.url(), KEY)
    });
    let geocode = "/maps/api/geocode/json";
    let answer =
        call(&house, "GET", &format!("{geocode}?address=Calle%20Mayor+1"), &[("X-Goog-Api-Key", "AIza-client")], "");
    assert_eq!(answer.json()["status"], "OK", "{}", answer.text());
    assert!(!vendor.last().contains("AIza-client"));
    assert_eq!(
        call(&house, "GET", "/maps/api/staticmap?size=100x100", &[], "").header("content-type"),
        Some("image/png")
    );
    shut(&house, &vendor, 404, &[("GET", "/maps/api/directions/json?origin=a&destination=b", &[], "")]);
    // The client's own key is gone in whatever spelling; what names another customer is refused.
    let own = format!("{geocode}?address=a&%6bey=AIza-client&KEY=AIza-client");
    assert_eq!(call(&house, "GET", &own, &[], "").json()["status"], "OK");
    assert!(!vendor.last().contains("AIza-client"), "{:?}", vendor.last());
    let customer = format!("{geocode}?address=a&client=gme-other&signature=x");
    shut(&house, &vendor, 400, &[("GET", &customer, &[], "")]);
    strangers_are_shut_out(&house, &vendor, "GET", &format!("{geocode}?address=a"), "");
}

#[test]
fn google_service_account() {
    let (vendor, secret) = google_cloud::start();
    let endpoint = format!("{}/token", vendor.url());
    let house = PresetHouse::start(&Upstream {
        operations: "[generate_content, stream_generate_content]",
        set: &[("project", "my-project"), ("location", "europe-west4"), ("token_endpoint", &endpoint)],
        ..Upstream::new("google-service-account", &vendor.url(), &secret)
    });
    let models = "/v1/projects/my-project/locations/europe-west4/publishers/google/models";
    let asked = r#"{"contents":[{"role":"user","parts":[{"text":"Say it."}]}]}"#;
    let own = [JSON, ("Authorization", "Bearer ya29.client"), ("x-goog-user-project", "other-project")];
    let answer = call(&house, "POST", &format!("{models}/gemini-3-flash:generateContent"), &own, asked);
    assert_eq!(answer.json()["usageMetadata"]["totalTokenCount"], google_cloud::TOKENS, "{}", answer.text());
    let sent = vendor.last();
    assert!(!sent.contains("ya29.client") && !sent.contains("other-project"), "{sent:?}");
    let minted = sent.bearer().unwrap().to_owned();
    let streamed =
        call(&house, "POST", &format!("{models}/gemini-3-flash:streamGenerateContent?alt=json"), &[JSON], asked);
    assert_eq!(streamed.header("content-type"), Some("text/event-stream; charset=utf-8"), "{}", streamed.text());
    assert_eq!(vendor.last().raw_query(), "alt=sse");
    // One token serves all, and neither it nor the account's key was ever shown.
    assert_eq!(vendor.calls().iter().filter(|call| call.path() == "/token").count(), 1);
    let log = house.house.gateway.out().text();
    for hidden in [minted.as_str(), "BEGIN PRIVATE KEY", "assertion"] {
        assert!(!log.contains(hidden) && !streamed.text().contains(hidden), "{hidden}");
    }
    let elsewhere = "/v1/projects/other-project/locations/europe-west4/publishers/google/models/m:generateContent";
    shut(
        &house,
        &vendor,
        404,
        &[("POST", elsewhere, &[JSON], asked), ("POST", &format!("{models}/m:predict"), &[JSON], asked)],
    );
    let grounded = r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#;
    shut(&house, &vendor, 400, &[("POST", &format!("{models}/m:generateContent"), &[JSON], grounded)]);
    strangers_are_shut_out(&house, &vendor, "POST", &format!("{models}/m:generateContent"), asked);
}

#[test]
fn stripe() {
    let vendor = stripe::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[create_payment_intent, list_prices]",
        ..Upstream::new("stripe", &vendor.url(), KEY)
    });
    let intents = "/v1/payment_intents";
    let own = [
        FORM,
        ("Stripe-Account", "acct_other"),
        ("Stripe_Context", "acct_other"),
        ("Authorization", "Bearer sk_client"),
    ];
    let answer = call(&house, "POST", intents, &own, "amount=1099&currency=eur&metadata[order]=7");
    assert_eq!(answer.json()["amount"], 1099, "{}", answer.text());
    assert!(!vendor.last().contains("acct_other") && !vendor.last().contains("sk_client"));
    let refund = ("POST", "/v1/refunds", &[FORM] as &[_], "payment_intent=pi_1");
    shut(
        &house,
        &vendor,
        404,
        &[refund, ("GET", "/v1/customers", &[], ""), ("GET", "/v1/payment_intents/pi_1", &[], "")],
    );
    shut(
        &house,
        &vendor,
        400,
        &[
            ("POST", intents, &[FORM], "amount=1&currency=eur&customer=cus_1"),
            ("POST", intents, &[FORM], "amount=1&currency=eur&confirm=true"),
            ("POST", intents, &[FORM], "amount=1&amount=2&currency=eur"),
            ("POST", intents, &[FORM], "amount=1&currency=eur&transfer_data[destination]=acct_other"),
        ],
    );
    strangers_are_shut_out(&house, &vendor, "POST", intents, "amount=1&currency=eur");
}

#[test]
fn twilio() {
    let account = "AC0123456789abcdef0123456789abcdef";
    let vendor = twilio::start(account, KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[{ use: send_message, body: { one_of: { /From: [\"+34910000000\"] } } }, fetch_message]",
        set: &[("account_sid", account)],
        ..Upstream::new("twilio", &vendor.url(), KEY)
    });
    let root = format!("/2010-04-01/Accounts/{account}");
    let messages = format!("{root}/Messages.json");
    let own = [FORM, ("Authorization", "Basic QUM6Y2xpZW50")];
    let answer = call(&house, "POST", &messages, &own, "To=%2B34600000000&From=%2B34910000000&Body=Your+code");
    assert_eq!((answer.status, &answer.json()["body"]), (201, &json!("Your code")), "{}", answer.text());
    assert_eq!(call(&house, "GET", &format!("{root}/Messages/SM1.json"), &[], "").json()["status"], "delivered");
    let another = "/2010-04-01/Accounts/ACffffffffffffffffffffffffffffffff/Messages.json";
    shut(
        &house,
        &vendor,
        404,
        &[
            ("GET", &messages, &[], ""),
            ("POST", &format!("{root}/Calls.json"), &[FORM], "To=%2B1&Url=http://x"),
            ("POST", another, &[FORM], "To=%2B1&Body=x"),
        ],
    );
    shut(
        &house,
        &vendor,
        400,
        &[
            ("POST", &messages, &[FORM], "To=%2B1&From=%2B34910000000&Body=x&MediaUrl=http://10.0.0.1/"),
            ("POST", &messages, &[FORM], "To=%2B1&From=%2B1900&Body=x"),
        ],
    );
    strangers_are_shut_out(&house, &vendor, "POST", &messages, "To=%2B1&Body=x");
}

#[test]
fn aws_s3() {
    let issued = sigv4::Issued { id: "AKIANOTAREALKEY00001".to_owned(), secret: KEY.to_owned(), session: None };
    let vendor = s3::start(issued, "eu-central-1");
    let house = PresetHouse::start(&Upstream {
        operations: "[get_object, put_object, list_objects]",
        set: &[("bucket", "photos"), ("region", "eu-central-1")],
        ..Upstream::new("aws-s3", &vendor.url(), &format!("AKIANOTAREALKEY00001:{KEY}"))
    });
    let own = [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIACLIENT"),
        ("X-Amz-Acl", "public-read"),
        ("x-amz-copy-source", "/photos/of-another"),
        ("X-Amz-Security-Token", "client"),
    ];
    let put = call(&house, "PUT", "/photos/users/7/a%20b%2Bc.jpg", &own, "kept");
    assert_eq!(put.status, 200, "{}", put.text());
    let sent = vendor.last();
    assert!(!sent.contains("AKIACLIENT") && !sent.contains("public-read") && !sent.contains("of-another"), "{sent:?}");
    assert!(sent.values("x-amz-security-token").is_empty());
    assert_eq!(call(&house, "GET", "/photos/users/7/a%20b%2Bc.jpg", &[], "").text(), "kept");
    // More than is hashed.
    let large = "x".repeat(200_000);
    assert_eq!(call(&house, "PUT", "/photos/large", &[], &large).status, 200);
    assert_eq!(vendor.last().header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
    assert_eq!(call(&house, "GET", "/photos/large", &[], "").body.len(), large.len());
    // A signature of the client's own is gone, too.
    assert_eq!(call(&house, "GET", "/photos/large?X-Amz-Signature=AKIACLIENT", &[], "").status, 200);
    assert!(!vendor.last().contains("AKIACLIENT"));
    let listed = call(&house, "GET", "/photos?prefix=users/7/", &[], "");
    assert!(listed.text().contains("users/7/") && !listed.text().contains("large"), "{}", listed.text());
    shut(
        &house,
        &vendor,
        404,
        &[
            ("GET", "/other/a", &[], ""),
            ("DELETE", "/photos/large", &[], ""),
            ("PUT", "/photos", &[], "x"),
            ("GET", "/", &[], ""),
        ],
    );
    shut(
        &house,
        &vendor,
        400,
        &[
            ("GET", "/photos/large?acl", &[], ""),
            ("PUT", "/photos/large?acl", &[], "x"),
            ("GET", "/photos?policy", &[], ""),
        ],
    );
    strangers_are_shut_out(&house, &vendor, "GET", "/photos/large", "");
}

#[test]
fn github() {
    let vendor = github::start(KEY);
    let house = PresetHouse::start(&Upstream {
        operations: "[create_issue, latest_release]",
        set: &[("owner", "octo-org"), ("repo", "octo-app")],
        ..Upstream::new("github", &vendor.url(), KEY)
    });
    let issues = "/repos/octo-org/octo-app/issues";
    let agent = ("User-Agent", "octo-app/3.2");
    let own = [JSON, agent, ("Authorization", "token ghp_client"), ("Cookie", "user_session=x")];
    let answer = call(&house, "POST", issues, &own, r#"{"title":"It does not start","labels":["from-the-app"]}"#);
    assert_eq!((answer.status, &answer.json()["number"]), (201, &json!(7)), "{}", answer.text());
    assert!(!vendor.last().contains("ghp_client") && vendor.last().values("cookie").is_empty());
    assert_eq!(
        call(&house, "GET", "/repos/octo-org/octo-app/releases/latest", &[agent], "").json()["tag_name"],
        "v1.2.0"
    );
    shut(
        &house,
        &vendor,
        404,
        &[
            ("GET", "/user", &[agent], ""),
            ("GET", issues, &[agent], ""),
            ("GET", "/repos/octo-org/octo-app/contents/secret", &[agent], ""),
            ("POST", "/repos/octo-org/other/issues", &[JSON, agent], r#"{"title":"t"}"#),
        ],
    );
    shut(&house, &vendor, 400, &[("POST", issues, &[JSON, agent], r#"{"title":"t","assignees":["root"]}"#)]);
    strangers_are_shut_out(&house, &vendor, "POST", issues, r#"{"title":"t"}"#);
}

#[test]
fn init_writes_a_route_to_a_preset_that_waits_for_its_key_alone() {
    let files = Files::new();
    let (folder, config) = (files.at("gateway"), files.at("gateway/assay.yaml"));
    let said = assay(&[&"init", &folder, &"--preset", &"openai"]).ends(0).out;
    assert!(said.contains("assay key put openai --preset openai"), "{said}");
    assay(&[&"check", &"-c", &config]).ends(1).complains(&["the key `openai` is not in the store"]);
    assay_fed(&[&"key", &"put", &"openai", &"--preset", &"openai", &"-c", &config], KEY.as_bytes()).ends(0);
    assay(&[&"check", &"-c", &config]).ends(0);

    let told = assay(&[&"init", &files.at("s3"), &"--preset", &"aws-s3", &"--set", &"bucket=photos"]).ends(2);
    assert!(told.err.contains("region"), "{}", told.err);
    assert!(!files.at("s3").exists());
    let (s3, set) = (files.at("s3"), "--set");
    let words: [&dyn AsRef<OsStr>; 9] =
        [&"init", &s3, &"--preset", &"aws-s3", &set, &"bucket=photos", &set, &"region=eu-central-1", &"--dev"];
    assay(&words).ends(0);
    // Where each operation moves money, one has to be chosen.
    assay(&[&"init", &files.at("shop"), &"--preset", &"stripe"]).ends(0);
    assay(&[&"check", &"-c", &files.at("shop/assay.yaml")]).ends(1).complains(&["`operations` is empty"]);
    assay(&[&"init", &files.at("x"), &"--preset", &"acme"]).ends(2).complains(&["google-maps"]);
}

/// The servers are no rubber stamps: each refuses what is wrong, asked directly.
#[test]
fn each_vendor_s_server_refuses_a_wrong_credential() {
    let refused = |vendor: &Vendor, method: &str, target: &str, headers: &[(&str, &str)]| -> Value {
        let agent = ("User-Agent", "test");
        let all: Vec<_> = headers.iter().copied().chain([agent]).collect();
        let answer = e2e::wire::call(vendor.address(), method, target, &all, b"");
        json!([answer.status, answer.json()["status"]])
    };
    let bad = ("Authorization", "Bearer sk-wrong");
    assert_eq!(refused(&openai::start(KEY), "GET", "/v1/models", &[bad])[0], 401);
    let two = [("x-api-key", KEY), ("Authorization", "Bearer other"), ("anthropic-version", "2023-06-01")];
    assert_eq!(refused(&anthropic::start(KEY), "GET", "/v1/models", &two)[0], 401);
    assert_eq!(refused(&anthropic::start(KEY), "GET", "/v1/models", &[("x-api-key", KEY)])[0], 400);
    let maps = google_maps::start(KEY);
    assert_eq!(
        refused(&maps, "GET", &format!("/maps/api/geocode/json?address=a&key={KEY}&key=x"), &[])[1],
        "REQUEST_DENIED"
    );
    assert_eq!(refused(&google_cloud::start().0, "POST", "/v1/x:generateContent", &[bad])[0], 401);
    assert_eq!(refused(&stripe::start(KEY), "GET", "/v1/customers", &[bad])[0], 401);
    assert_eq!(refused(&twilio::start("AC1", KEY), "GET", "/2010-04-01/Accounts/AC1/Messages.json", &[bad])[0], 401);
    assert_eq!(refused(&github::start(KEY), "GET", "/user", &[bad])[0], 401);
    let issued = sigv4::Issued { id: "AKIA1".to_owned(), secret: KEY.to_owned(), session: None };
    assert_eq!(refused(&s3::start(issued, "eu-central-1"), "GET", "/photos/a", &[])[0], 403);
}
