//! Presets: an upstream by its name, operations by theirs, refusals first.

use operations::Operation;

use crate::folder::{Folder, with};

const UPSTREAM: &str = "  openai: { url: https://api.openai.com }\n";
const OPERATIONS: &str = "    operations:\n      - call: POST /v1/chat/completions\n        body: { limit: 256KiB }\n";

/// The route with a key, over this upstream, with these operations.
fn route(upstream: &str, operations: &str) -> String {
    let text = with(UPSTREAM, &format!("  openai: {{ {upstream} }}\n"));
    assert!(text.contains(OPERATIONS), "{text}");
    text.replace(OPERATIONS, &format!("    operations: {operations}\n"))
}

fn chat(operations: &str) -> String {
    route("preset: openai", operations)
}

fn read(text: String) -> Vec<Operation> {
    let (settings, warnings) = Folder::new().takes(text);
    assert!(warnings.is_empty(), "{warnings:?}");
    settings.routes.iter().find(|route| route.name == "chat").unwrap().operations.clone()
}

#[test]
fn an_upstream_that_is_no_preset_or_told_the_wrong_thing_is_refused() {
    let folder = Folder::new();
    for (upstream, code, remedy) in [
        ("preset: opena", "unknown_name", "did you mean `openai`?"),
        ("preset: acme", "unknown_name", "google-maps"),
        ("preset: openai, set: { region: eu }", "bad_preset_value", "take it out"),
        ("preset: aws-s3", "bad_preset_value", "set: { bucket: my-bucket }"),
        ("preset: aws-s3, set: { bucket: a, region: b, key: c }", "bad_preset_value", "`bucket` and `region`"),
        ("preset: aws-s3, set: { bucket: \"a/b\", region: b }", "bad_preset_value", "as the vendor shows it"),
        ("url: https://api.openai.com, set: { bucket: a }", "does_nothing", "preset: aws-s3"),
        ("concurrency: 4", "missing_field", "url: https://api.example.com"),
    ] {
        folder.refuses(route(upstream, "[{ call: GET /v1/models }]"), code, remedy);
    }
}

#[test]
fn an_operation_that_the_preset_does_not_have_is_refused() {
    let folder = Folder::new();
    for (operations, code, remedy) in [
        ("[chats]", "unknown_name", "did you mean `chat`?"),
        ("[refund]", "unknown_name", "there are `chat`"),
        ("[chat, chat]", "duplicate", "take one of them out"),
        ("[chat, { call: POST /v1/chat/completions, body: { limit: 1KiB } }]", "duplicate", "take one of them out"),
        ("[{ use: chat, call: GET /v1/x }]", "does_nothing", "take the line out"),
        ("[{ use: chat, headers: [Stripe-Account] }]", "does_nothing", "take the line out"),
        ("[{ use: chat, query: any }]", "does_nothing", "take the line out"),
        ("[{ use: chat, body: none }]", "does_nothing", "take the line out"),
        ("[{ use: models, body: { limit: 1KiB } }]", "does_nothing", "take the line out"),
        ("[{ use: chat, body: { type: json } }]", "does_nothing", "take the line out"),
        ("[{ use: chat, body: { limit: 1MiB } }]", "bad_rule", "limit: 64KiB"),
        ("[{ use: speech, body: { limit: 64KiB } }]", "bad_rule", "limit: 16KiB, or less"),
        ("[{ use: transcriptions, body: { limit: 1GiB } }]", "bad_rule", "limit: 26MiB, or less"),
        ("[{ use: chat, body: { required: [/service_tier] } }]", "bad_rule", "take one of the two"),
        ("[{ body: { limit: 1KiB } }]", "missing_field", "call: POST /v1/embeddings"),
        ("[{ call: POST /v1/x, body: { required: [/a] } }]", "missing_field", "limit: 64KiB"),
    ] {
        folder.refuses(chat(operations), code, remedy);
    }
    folder.refuses(route("url: https://api.openai.com", "[chat]"), "unknown_name", "write it out");
    let stripe = route("preset: stripe", "all").replace("    rewrite: { strip: /openai }\n", "");
    folder.refuses(stripe, "all_operations", "create_payment_intent");
}

#[test]
fn names_become_the_preset_s_operations_and_rules_stand_beside_its_own() {
    let read_chat = |operations: &str| read(chat(operations));
    let named = read_chat("[chat, embeddings, { call: GET /v1/models/gpt-4o-mini }]");
    let calls: Vec<String> = named.iter().map(|one| format!("{} {}", one.method(), one.path().as_str())).collect();
    assert_eq!(calls, ["POST /v1/chat/completions", "POST /v1/embeddings", "GET /v1/models/gpt-4o-mini"]);
    let narrowed = read_chat(
        "[{ use: chat, body: { limit: 8KiB, one_of: { /model: [gpt-4o-mini] }, cap: { /max_completion_tokens: 10 } } }]",
    );
    let body = narrowed[0].body();
    assert_eq!(body.limit(), Some(8 * 1024));
    let sent = body.judge(br#"{"model":"gpt-4o-mini","messages":[],"stream":true,"n":2}"#).unwrap().unwrap();
    let sent = String::from_utf8(sent).unwrap();
    for part in [r#""include_usage":true"#, r#""n":1"#, r#""max_completion_tokens":10"#, r#""store":false"#] {
        assert!(sent.contains(part), "{sent}");
    }
    assert!(body.judge(br#"{"model":"gpt-5-pro","messages":[]}"#).is_err());
}

#[test]
fn all_is_all_that_the_preset_knows_and_a_warning() {
    let (settings, warnings) = Folder::new().takes(chat("all"));
    assert!(warnings.contains(&"all_operations"), "{warnings:?}");
    let route = settings.routes.iter().find(|route| route.name == "chat").unwrap();
    assert_eq!(route.operations.len(), presets::named("openai").unwrap().operations().count());
    assert!(route.operations.iter().all(|one| one.path().as_str() != "/**"));
}

#[test]
fn a_preset_brings_its_url_and_another_may_be_named() {
    let host = |upstream: &str| {
        let (settings, _) = Folder::new().takes(route(upstream, "[{ call: GET /v1/models }]"));
        (settings.upstreams["openai"].host.clone(), settings.upstreams["openai"].port)
    };
    assert_eq!(host("preset: openai"), ("api.openai.com".to_owned(), 443));
    assert_eq!(host("preset: openai, url: \"https://eu.api.openai.com:8443\""), ("eu.api.openai.com".to_owned(), 8443));
    assert_eq!(
        host("preset: aws-s3, set: { bucket: photos, region: eu-central-1 }").0,
        "s3.eu-central-1.amazonaws.com"
    );
    let google = "preset: google-service-account, set: { project: p, location: europe-west4 }";
    assert_eq!(host(google).0, "europe-west4-aiplatform.googleapis.com");
}
