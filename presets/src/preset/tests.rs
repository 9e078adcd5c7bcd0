use super::*;
use operations::{BodyText, Json, Refusal};
use recipes::Recipe;

fn values(preset: &Preset) -> BTreeMap<String, String> {
    let given = preset.parameters.iter().filter(|parameter| parameter.default.is_none());
    given.map(|parameter| (parameter.name.to_owned(), parameter.example.to_owned())).collect()
}

fn configured(name: &str) -> Configured {
    let preset = named(name).unwrap();
    preset.with(&values(preset)).unwrap()
}

fn judged(preset: &str, operation: &str, body: &str) -> Result<String, Refusal> {
    let operation = configured(preset).operation(operation).unwrap().compile().unwrap();
    let judged = operation.body().judge(body.as_bytes())?;
    Ok(String::from_utf8(judged.unwrap()).unwrap())
}

#[test]
fn values_that_would_leave_their_segment_are_refused() {
    let s3 = named("aws-s3").unwrap();
    for bad in ["", "a/b", "..", ".", "*", "**", "a b", "a%2fb", "{region}", "é", &"a".repeat(129), "a?b", "a:1@b"] {
        let given = [("bucket", bad), ("region", "eu-central-1")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(s3.with(&given).unwrap_err(), BadValue::Value { name: "bucket" }, "{bad}");
    }
    assert!(matches!(s3.with(&BTreeMap::new()), Err(BadValue::Missing { name: "bucket", .. })));
    let given = [("bukket".to_owned(), "x".to_owned())].into();
    assert!(matches!(s3.with(&given), Err(BadValue::Unknown { .. })));
}

#[test]
fn what_it_was_told_is_told_again_but_for_defaults() {
    let account = named("google-service-account").unwrap();
    let given =
        BTreeMap::from([("project".to_owned(), "shop".to_owned()), ("location".to_owned(), "global".to_owned())]);
    let told: Vec<_> = account.with(&given).unwrap().told().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(told, ["project=shop"], "global is the default");
}

#[test]
fn every_operation_compiles_and_every_recipe_parses() {
    for preset in all() {
        let configured = configured(preset.name);
        assert!(configured.origin().starts_with("https://"), "{}", preset.name);
        Recipe::parse(&configured.recipe()).unwrap_or_else(|error| panic!("{}: {error}", preset.name));
        for call in preset.calls {
            let text = configured.operation(call.name).unwrap_or_else(|| panic!("{} {}", preset.name, call.name));
            assert!(!text.path.as_str().contains('{'), "{} {}", preset.name, call.name);
            text.compile().unwrap_or_else(|mistakes| panic!("{} {}: {mistakes:?}", preset.name, call.name));
        }
    }
}

#[test]
fn names_are_unique_and_a_preset_is_found_by_its_own() {
    for preset in all() {
        assert_eq!(named(preset.name).unwrap().name, preset.name);
        let mut names: Vec<_> = preset.operations().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), preset.calls.len(), "{}", preset.name);
    }
    assert!(named("open-ai").is_none());
}

#[test]
fn no_operation_is_open_and_none_takes_a_header_that_chooses_an_account() {
    for preset in all() {
        let configured = configured(preset.name);
        for (name, operation) in configured.operations() {
            assert!(operation.path.as_str() != "/**", "{} {name}", preset.name);
            for header in &operation.headers {
                let chooses =
                    ["account", "context", "organization", "project", "acl", "copy", "grant", "security-token"];
                assert!(!chooses.iter().any(|word| header.as_str().contains(word)), "{} {name}: {header}", preset.name);
                assert!(
                    !["authorization", "x-api-key", "cookie", "x-goog-api-key", "x-goog-user-project"]
                        .contains(&header.as_str())
                );
            }
        }
    }
}

#[test]
fn what_a_key_is_put_for_is_what_its_operations_call() {
    let (methods, paths) = configured("aws-s3").bounds();
    assert_eq!(methods, ["GET", "HEAD", "PUT", "POST", "DELETE"]);
    assert_eq!(paths, ["/my-bucket/*/**", "/my-bucket"]);
    let (_, paths) = configured("google-service-account").bounds();
    assert_eq!(paths.len(), 3);
    assert!(paths[0].starts_with("/v1/projects/my-project/locations/global/"), "{paths:?}");
}

#[test]
fn a_stream_of_openai_tells_its_usage_whatever_the_client_says() {
    let told = judged(
        "openai",
        "chat",
        r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":false}}"#,
    );
    assert!(told.unwrap().contains(r#""include_usage":true"#));
    let told = judged("openai", "chat", r#"{"model":"m","messages":[],"stream":true,"n":8,"store":true}"#).unwrap();
    assert!(told.contains(r#""stream_options":{"include_usage":true}"#) && told.contains(r#""n":1"#), "{told}");
    assert!(told.contains(r#""store":false"#), "{told}");
    let whole = judged("openai", "chat", r#"{"model":"m","messages":[]}"#).unwrap();
    assert!(!whole.contains("stream_options"), "{whole}");
    // Some servers take 1 or "true" for true: then the usage would be missing.
    assert!(judged("openai", "chat", r#"{"model":"m","messages":[],"stream":1}"#).is_err());
}

#[test]
fn what_costs_extra_or_reaches_others_is_refused() {
    for (preset, operation, body) in [
        ("openai", "chat", r#"{"model":"m","messages":[],"service_tier":"priority"}"#),
        ("openai", "responses", r#"{"model":"m","input":"","previous_response_id":"resp_of_another"}"#),
        ("openai", "responses", r#"{"model":"m","input":"","tools":[{"type":"web_search"}]}"#),
        ("anthropic", "messages", r#"{"model":"m","max_tokens":1,"messages":[],"container":"c"}"#),
        ("anthropic", "messages", r#"{"model":"m","max_tokens":1,"messages":[],"tools":[]}"#),
        ("google-service-account", "generate_content", r#"{"contents":[],"cachedContent":"c"}"#),
        ("github", "create_issue", r#"{"title":"t","assignees":["root"]}"#),
        ("stripe", "create_payment_intent", "amount=1&currency=eur&customer=cus_1"),
        ("stripe", "create_payment_intent", "amount=1&currency=eur&confirm=true&payment_method=pm_1"),
        ("stripe", "create_payment_intent", "amount=1&currency=eur&transfer_data[destination]=acct_1"),
        ("stripe", "create_payment_intent", "currency=eur"),
        ("twilio", "send_message", "To=%2B1&Body=x&MediaUrl=http://10.0.0.1/"),
    ] {
        assert!(judged(preset, operation, body).is_err(), "{preset} {operation} {body}");
    }
    assert!(judged("stripe", "create_payment_intent", "amount=1&currency=eur&metadata[order]=7").is_ok());
    assert!(judged("twilio", "send_message", "To=%2B1&Body=x&From=%2B2").is_ok());
}

#[test]
fn a_bucket_is_neither_listed_nor_opened_by_the_operations_on_objects() {
    let s3 = configured("aws-s3");
    let operation = |name: &str| s3.operation(name).unwrap().compile().unwrap();
    let get = operation("get_object");
    assert!(get.is(&Method::GET, "/my-bucket/a") && get.is(&Method::GET, "/my-bucket/a/b"));
    for path in ["/my-bucket", "/my-bucket/", "/other/a", "/"] {
        assert!(!get.is(&Method::GET, path), "{path}");
    }
    for query in ["acl", "policy", "versionId=1", "response-content-type=text/html"] {
        assert!(get.target("/my-bucket/a", Some(query)).is_err(), "{query}");
    }
    let list = operation("list_objects").target("/my-bucket", Some("prefix=a&list-type=1")).unwrap();
    assert_eq!(list.as_deref(), Some("/my-bucket?prefix=a&list-type=2"));
}

#[test]
fn an_operator_s_rules_stand_beside_the_preset_s() {
    let further = BodyText {
        one_of: vec![("/model".to_owned(), vec![Json::Text("gpt-4o-mini".to_owned())])],
        cap: vec![("/max_completion_tokens".to_owned(), 1024), ("/n".to_owned(), 5)],
        ..BodyText::default()
    };
    let narrowed = configured("openai").operation("chat").unwrap().narrowed(further).compile().unwrap();
    let judge =
        |body: &str| narrowed.body().judge(body.as_bytes()).map(|sent| String::from_utf8(sent.unwrap()).unwrap());
    assert!(judge(r#"{"model":"gpt-5-pro","messages":[]}"#).is_err());
    assert!(judge(r#"{"model":"gpt-4o-mini","messages":[],"service_tier":"priority"}"#).is_err());
    let sent =
        judge(r#"{"model":"gpt-4o-mini","messages":[],"n":3,"max_completion_tokens":9999,"stream":true}"#).unwrap();
    for part in [r#""n":1"#, r#""max_completion_tokens":1024"#, r#""include_usage":true"#] {
        assert!(sent.contains(part), "{sent}");
    }
    let larger = BodyText { limit: 1 << 20, ..BodyText::default() };
    for (preset, operation, own) in [("openai", "chat", 64 << 10), ("openai", "speech", 16 << 10)] {
        let still = configured(preset).operation(operation).unwrap().narrowed(larger.clone()).compile().unwrap();
        assert_eq!(still.body().limit(), Some(own), "{operation}");
    }
}
