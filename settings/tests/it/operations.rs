//! Operations: what of a call passes, defaults on routes with and without a key, refusals first.

use http::{HeaderMap, Method};
use operations::{Headers, Operation, Refusal};

use crate::folder::{Folder, with};

const BODY: &str = "      - call: POST /v1/chat/completions\n        body: { limit: 256KiB }\n";

/// The route with a key, with these operations.
fn chat(operations: &str) -> String {
    with(&format!("    operations:\n{BODY}"), &format!("    operations: {operations}\n"))
}

/// The route with a key, with this one.
fn one(fields: &str) -> String {
    chat(&format!("[{{ call: POST /v1/chat/completions, {fields} }}]"))
}

fn body(rules: &str) -> String {
    one(&format!("body: {{ limit: 64KiB, {rules} }}"))
}

#[track_caller]
fn read(text: String) -> Operation {
    let (settings, warnings) = Folder::new().takes(text);
    assert!(warnings.is_empty(), "{warnings:?}");
    let route = settings.routes.iter().find(|route| route.name == "chat").unwrap();
    route.operations[0].clone()
}

#[test]
fn rules_that_can_not_hold_are_refused_with_what_to_write() {
    let folder = Folder::new();
    for (rules, message, remedy) in [
        ("required: [/a, /a/]", "`/a/` is not the path of a field", "/stream_options/include_usage"),
        (
            "fixed: { /a: 1 }, cap: { /a: 1 }",
            "`/a` is ruled twice: fixed and cap can't both hold",
            "take one of the two",
        ),
        ("fixed: { /a: 1 }, forbid: [/a/b]", "`/a/b` is ruled twice", "take one of the two"),
        ("only: [/a], cap: { /b/c: 1 }", "`/b/c` is not in a field of `only`", "add /b to only"),
        ("only: [/a/b]", "`only` lists members", "the member itself"),
        ("only: []", "the list is empty", "[/model, /messages]"),
        ("only: [/a], forbid: [/b]", "`/b` is shut out already", "take the rule out"),
        ("one_of: { /a: [] }", "the list is empty", "gpt-4o-mini"),
        ("type: any, required: [/a]", "need the type json or form", "write type: json, or type: form"),
        ("type: form, fixed: { /a: [1] }", "a form's field holds a text", "write a text, a number"),
        ("conditional: [{ when: { }, fixed: { /a: 1 } }]", "the list is empty", "at least one field on each side"),
        ("cap: { /a: 9007199254740992 }", "a cap is a number", "docs/smaller-api.md"),
    ] {
        let told = folder.refuses(body(rules), "bad_rule", remedy);
        assert!(told.contains(message), "{rules}: {told}");
    }
    let large = one("body: { limit: 256KiB, one_of: { /model: [gpt-4o-mini] } }");
    let told = folder.refuses(large, "bad_rule", "write limit: 64KiB; or take the rules out");
    assert!(told.contains("256KiB"), "at its place: {told}");
}

#[test]
fn values_that_are_no_values_are_refused_where_they_stand() {
    let folder = Folder::new();
    folder.refuses(body("fixed: { /a: 0x10 }"), "invalid_value", "write it plainly");
    folder.refuses(body("cap: { /a: -1 }"), "invalid_value", "digits only");
    folder.refuses(body("cap: { /a: many }"), "invalid_value", "");
    folder.refuses(body("required: [model]"), "invalid_value", "write /model");
    folder.refuses(body("required: [$.a.b]"), "invalid_value", "write /a/b");
    folder.refuses(body("conditional: [{ when: { /a: 1 } }]"), "missing_field", "include_usage");
    folder.refuses(
        body("conditional: [{ if: { /a: 1 }, when: { /a: 1 }, fixed: { /b: 1 } }]"),
        "unknown_field",
        "when:",
    );
    folder.refuses(body("max: { /a: 1 }"), "unknown_field", "write cap:");
    folder.refuses(one("body: { required: [/a] }"), "missing_field", "limit: 64KiB");
    folder.refuses(one("body: any"), "invalid_value", "write { limit: 64KiB }");
    folder.refuses(one("max_tokens: 5"), "unknown_field", "cap: { /max_tokens: 1024 }");
}

#[test]
fn queries_headers_and_paths_are_held_to_what_can_be() {
    let folder = Folder::new();
    let with_body = |fields: &str| one(&format!("body: none, {fields}"));
    folder.refuses(with_body("query: { }"), "does_nothing", "allow:");
    folder.refuses(with_body("query: { allow: [a, a] }"), "duplicate", "take one of them out");
    folder.refuses(with_body("query: { allow: [b, a], fixed: { a: 1 } }"), "bad_rule", "take one of the two");
    folder.refuses(with_body("query: { allow: [a], forbid: [b] }"), "bad_rule", "allow: any");
    folder.refuses(with_body("query: { allow: [\"a b\"] }"), "bad_rule", "as the API documents it");
    folder.refuses(with_body("query: all"), "invalid_value", "write any");
    folder.refuses(with_body("headers: []"), "does_nothing", "take the line out");
    folder.refuses(with_body("headers: [Accept]"), "does_nothing", "take it out");
    folder.refuses(with_body("headers: [Stripe-Account, stripe-account]"), "duplicate", "take one of them out");
    folder.refuses(with_body("headers: [X-Api-Key]"), "does_nothing", "take it out");
    folder.refuses(with_body("query: { allow: [q, access_token] }"), "does_nothing", "take it out");
    folder.refuses(with_body("query: { allow: [q], fixed: { api_key: \"1\" } }"), "does_nothing", "take it out");
    folder.refuses(with_body("query: { allow: any, forbid: [\"X-Amz-Signature\"] }"), "does_nothing", "take it out");
    folder.refuses(with_body("headers: [\"a b\"]"), "invalid_value", "letters, digits");
    folder.refuses(with_body("to: /v2/**"), "bad_rule", "write one path");
    folder.refuses(with_body("method: GET"), "unknown_field", "part of call");
    let same = chat("[{ call: POST /v1/x, body: none }, { call: POST /v1/x, to: /v2/x, body: none }]");
    folder.refuses(same, "duplicate", "take one of them out");
    folder.refuses(chat("[chat]"), "unknown_name", "write it out");
    folder.refuses(chat("any"), "invalid_value", "write all");
    let own = "    upstream: shop\n    operations: all\n    policy:\n      default: block\n      rules:\n";
    let own = with("    upstream: shop\n    policy:\n      default: block\n      rules:\n", own);
    folder.refuses(own, "does_nothing", "take the line out");
}

#[test]
fn what_is_typed_in_a_hurry_is_answered_with_what_to_type() {
    let folder = Folder::new();
    folder.refuses(chat("embeddings"), "invalid_value", "write a list of what may be called: [embeddings]");
    folder.refuses(chat("al"), "invalid_value", "did you mean `all`?");
    folder.refuses(chat("[POST /v1/chat]"), "invalid_value", "a call stands in braces: { call: POST /v1/chat }");
    folder.refuses(one("query: page"), "invalid_value", "write any, or { allow: [page] }");
    folder.refuses(one("body: 64KiB"), "invalid_value", "write none, or fields: { limit: 64KiB }");
    let told = folder.refuses(body("cap: { /max_tokens: ten }"), "invalid_value", "write digits only, as 1024");
    assert!(told.contains("expected a whole number"), "{told}");
}

#[test]
fn with_a_key_what_is_not_written_down_is_shut() {
    let (settings, warnings) = Folder::new().takes(chat("[{ call: POST /v1/x }, { call: GET /v1/y }]"));
    assert_eq!(warnings, ["no_body"], "who posts without a body is told, who gets is not");
    let route = settings.routes.iter().find(|route| route.name == "chat").unwrap();
    for operation in &route.operations {
        let path = operation.path().as_str();
        assert!(matches!(operation.target(path, Some("a=1")), Err(Refusal::Parameter(_))));
        assert_eq!(operation.headers(), &Headers::harmless());
        assert_eq!(operation.body().limit(), Some(0));
    }
}

#[test]
fn without_a_key_what_is_not_written_down_is_open() {
    let fields =
        "    upstream: shop\n    operations: [{ call: POST /v1/x }]\n    policy:\n      default: block\n      rules:\n";
    let text = with("    upstream: shop\n    policy:\n      default: block\n      rules:\n", fields);
    let (settings, warnings) = Folder::new().takes(text);
    assert!(warnings.is_empty(), "{warnings:?}");
    let operation = &settings.routes.iter().find(|route| route.name == "shop-api").unwrap().operations[0];
    assert_eq!(operation.target("/v1/x", Some("a=1;b")), Ok(None));
    assert_eq!((operation.headers(), operation.body().limit()), (&Headers::Any, None));
}

#[test]
fn everything_is_a_word_that_is_warned_of() {
    let (settings, warnings) = Folder::new().takes(chat("all"));
    assert_eq!(warnings, ["all_operations"]);
    let route = settings.routes.iter().find(|route| route.name == "chat").unwrap();
    assert!(route.operations.iter().any(|one| one.is(&Method::DELETE, "/v1/files/x")));
    assert!(route.operations.iter().all(|one| one.headers() == &Headers::harmless()));
}

#[test]
fn every_rule_is_read() {
    let operation = read(one(
        "to: /v2/chat, query: { allow: [trace], fixed: { v: 2 } }, headers: [OpenAI-Beta], body: { limit: 64KiB, required: [/messages], \
         fixed: { /user: app, /a/b: { c: [1.50, null, true] } }, cap: { /max_tokens: 16 }, one_of: { /model: [m, null] }, \
         forbid: [/tools], only: [/messages, /a, /max_tokens, /model, /tools, /stream, /stream_options], \
         conditional: [{ when: { /stream: true }, fixed: { /stream_options/include_usage: true } }] }",
    ));
    assert_eq!(
        operation.target("/v1/chat/completions", Some("trace=1&v=9")),
        Ok(Some("/v2/chat?trace=1&v=2".to_owned()))
    );
    assert_eq!(operation.sent_path().as_str(), "/v2/chat");
    assert!(operation.headers().lets(&"openai-beta".parse().unwrap()));
    let judged =
        operation.body().judge(br#"{"messages":[],"max_tokens":99,"stream":true,"user":"x"}"#).unwrap().unwrap();
    assert_eq!(
        String::from_utf8(judged).unwrap(),
        r#"{"messages":[],"max_tokens":16,"stream":true,"user":"app","a":{"b":{"c":[1.50,null,true]}},"stream_options":{"include_usage":true}}"#
    );
    for bad in [r#"{}"#, r#"{"messages":[],"model":"x"}"#, r#"{"messages":[],"tools":1}"#, r#"{"messages":[],"x":1}"#] {
        assert!(operation.body().judge(bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(operation.body().check_head(&HeaderMap::new(), true), Err(Refusal::Type), "rules mean JSON");
    let form = read(body("type: form, cap: { /amount: 50 }"));
    assert_eq!(form.body().judge(b"amount=51").unwrap().unwrap(), b"amount=50");
}

#[test]
fn what_the_page_about_smaller_apis_shows_can_be_written() {
    let page = include_str!("../../../docs/smaller-api.md");
    let mut shown = 0;
    for block in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let (settings, _) = Folder::new().takes(match block.strip_prefix("query: ") {
            Some(_) => one(&format!("body: none, {}", block.trim())),
            None => with(BODY, &block.lines().map(|line| format!("      {line}\n")).collect::<String>()),
        });
        assert!(!settings.routes[0].operations.is_empty());
        shown += 1;
    }
    let (_, table) = page.split_once("| you want | write |\n").unwrap();
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let rules = row.split('`').nth(1).unwrap();
        assert!(read(body(rules)).body().has_rules(), "{row}");
        shown += 1;
    }
    assert!(shown >= 10, "{shown}");
}
