//! The rules, attack by attack. Refusals first.

use proptest::prelude::*;

use super::*;
use crate::mistake::{Rule, Why};

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Json)> {
    pairs.iter().map(|(at, value)| ((*at).to_owned(), json(value))).collect()
}

/// Two models, tokens capped, usage reporting forced, no tools, one user for all.
fn chat() -> BodyText {
    BodyText {
        limit: MOST_JUDGED,
        kind: BodyType::Json,
        required: strings(&["/messages"]),
        fixed: pairs(&[("/user", "\"app\""), ("/metadata/source", "\"app\"")]),
        cap: vec![("/max_tokens".to_owned(), 1024), ("/n".to_owned(), 1)],
        one_of: vec![
            ("/model".to_owned(), vec![Json::from("gpt-4o-mini"), Json::from("gpt-4o")]),
            ("/service_tier".to_owned(), vec![Json::Null, Json::from("default")]),
        ],
        forbid: strings(&["/tools"]),
        only: None,
        conditional: vec![Condition {
            when: pairs(&[("/stream", "true")]),
            fixed: pairs(&[("/stream_options/include_usage", "true")]),
        }],
    }
}

fn judged(text: BodyText, body: &str) -> Result<String, Refusal> {
    let judged = Body::new(text).unwrap().judge(body.as_bytes())?;
    Ok(String::from_utf8(judged.unwrap()).unwrap())
}

fn why(body: &str) -> String {
    judged(chat(), body).unwrap_err().to_string()
}

const GOOD: &str = r#"{"model":"gpt-4o","messages":[]"#;

#[test]
fn a_rule_is_not_dodged_by_another_form_of_the_same() {
    for (more, refusal) in [
        (r#","model":"o1"}"#, "the body is not JSON: a member stands twice, up to byte 45"),
        (r#","mod\u0065l":"o1"}"#, "the body is not JSON: a member stands twice, up to byte 50"),
        // Go's reader ignores case, protobuf's the underscore.
        (r#","Model":"o1"}"#, "field /model is there in another spelling"),
        (r#","maxTokens":9999}"#, "field /max_tokens is there in another spelling"),
        (r#","MAX-TOKENS":9999}"#, "field /max_tokens is there in another spelling"),
        // Readers in C end a name there.
        (r#","model\u0000x":"o1"}"#, "field /model is there in another spelling"),
        (r#","metadata":{"Source":"x"}}"#, "field /metadata/source is there in another spelling"),
        (r#","max_tokens":"9999"}"#, "field /max_tokens is not a number from zero up"),
        (r#","max_tokens":[9999]}"#, "field /max_tokens is not a number from zero up"),
        (r#","max_tokens":-1}"#, "field /max_tokens is not a number from zero up"),
        (r#","max_tokens":true}"#, "field /max_tokens is not a number from zero up"),
        (r#","tools":null}"#, "field /tools is forbidden"),
        (r#","tools":[]}"#, "field /tools is forbidden"),
        (r#","Tools":[]}"#, "field /tools is there in another spelling"),
        (r#","service_tier":"flex"}"#, "field /service_tier has another value than those allowed"),
        // Some servers take these for true, and would stream without telling what they used.
        (r#","stream":1}"#, "field /stream has another type than the condition on it"),
        (r#","stream":"true"}"#, "field /stream has another type than the condition on it"),
        (
            r#","metadata":"x"}"#,
            "field /metadata/source has no place: what is above it is neither absent nor an object",
        ),
        (
            r#","stream":true,"stream_options":true}"#,
            "field /stream_options/include_usage has no place: what is above it is neither absent nor an object",
        ),
    ] {
        assert_eq!(why(&format!("{GOOD}{more}")), refusal, "{more}");
    }
}

#[test]
fn what_is_not_there_or_not_on_the_list_is_refused() {
    assert_eq!(why(r#"{"model":"gpt-4o"}"#), "field /messages is missing");
    assert_eq!(why(r#"{"messages":[]}"#), "field /model has another value than those allowed");
    assert_eq!(why(r#"{"messages":[],"model":null}"#), "field /model has another value than those allowed");
    assert_eq!(why(r#"{"messages":[],"model":"gpt-4o "}"#), "field /model has another value than those allowed");
    assert_eq!(why(r#"{"messages":[],"model":["gpt-4o"]}"#), "field /model has another value than those allowed");
    for root in ["[]", "\"x\"", "null", "1"] {
        assert_eq!(why(root), "the body is not JSON: it is no object", "{root}");
    }
    assert!(matches!(judged(chat(), ""), Err(Refusal::NotJson(_))));
}

#[test]
fn what_is_fixed_or_capped_is_so_whatever_came() {
    let sent = |more: &str| judged(chat(), &format!("{GOOD}{more}}}")).unwrap();
    let start = r#"{"model":"gpt-4o","messages":[]"#;
    let fixed = r#""user":"app","metadata":{"source":"app"}}"#;
    let capped = r#""max_tokens":1024,"n":1"#;
    assert_eq!(sent(""), format!("{start},{capped},{fixed}"));
    assert_eq!(sent(r#","max_tokens":1e9,"n":3"#), format!("{start},{capped},{fixed}"));
    assert_eq!(sent(r#","max_tokens":null,"n":1e300"#), format!("{start},{capped},{fixed}"));
    assert_eq!(sent(r#","max_tokens":7,"n":1.0"#), format!("{start},\"max_tokens\":7,\"n\":1.0,{fixed}"));
    assert_eq!(sent(r#","max_tokens":0,"n":0"#), format!("{start},\"max_tokens\":0,\"n\":0,{fixed}"));
    assert!(sent(r#","user":{"a":1},"metadata":null"#).contains(r#""user":"app","metadata":{"source":"app"}"#));
    assert!(sent(r#","metadata":{"source":"x","b":1}"#).contains(r#""metadata":{"source":"app","b":1}"#));
}

#[test]
fn usage_reporting_is_forced_on_streams_and_left_alone_elsewhere() {
    let sent = |more: &str| judged(chat(), &format!("{GOOD}{more}}}")).unwrap();
    assert!(sent(r#","stream":true"#).contains(r#""stream_options":{"include_usage":true}"#));
    assert!(
        sent(r#","stream":true,"stream_options":{"include_usage":false,"x":1}"#)
            .contains(r#""stream_options":{"include_usage":true,"x":1}"#)
    );
    for not in ["", r#","stream":false"#, r#","stream":null"#] {
        assert!(!sent(not).contains("include_usage"), "{not}");
    }
}

#[test]
fn only_the_members_of_a_list_pass() {
    let mut text = chat();
    text.forbid.clear();
    text.only = Some(strings(&["/model", "/messages", "/max_tokens", "/n", "/service_tier", "/stream", "/metadata"]));
    let good = judged(text.clone(), &format!("{GOOD},\"user\":\"x\"}}")).unwrap();
    assert!(good.contains(r#""user":"app""#), "what is fixed whole may be sent, and is replaced: {good}");
    let unlisted = judged(text.clone(), &format!("{GOOD},\"store\":true}}")).unwrap_err();
    assert_eq!(unlisted.to_string(), "field store is not allowed");
    let long = judged(text, &format!("{GOOD},\"sk-{}\":1}}", "a".repeat(60))).unwrap_err();
    assert_eq!(long.to_string(), "field (of a name that is not shown) is not allowed");
}

#[test]
fn elements_of_lists_are_found_by_their_number() {
    let text = BodyText {
        limit: 1000,
        kind: BodyType::Json,
        one_of: vec![("/messages/0/role".to_owned(), vec![Json::from("system")])],
        ..BodyText::default()
    };
    assert!(judged(text.clone(), r#"{"messages":[{"role":"system"}]}"#).is_ok());
    for bad in [r#"{"messages":[]}"#, r#"{"messages":[{"role":"user"}]}"#, r#"{"messages":{"00":{"role":"system"}}}"#] {
        assert!(judged(text.clone(), bad).is_err(), "{bad}");
    }
}

#[test]
fn a_body_is_of_the_type_that_was_named() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    };
    let ruled = Body::new(chat()).unwrap();
    for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        assert_eq!(ruled.check_head(&headers(&[("content-type", good)]), true), Ok(()), "{good}");
    }
    for bad in [
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json, text/plain",
        "application/json; profile=x",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
    ] {
        assert_eq!(ruled.check_head(&headers(&[("content-type", bad)]), true), Err(Refusal::Type), "{bad}");
    }
    let json = ("content-type", "application/json");
    assert_eq!(ruled.check_head(&headers(&[]), true), Err(Refusal::Type));
    assert_eq!(ruled.check_head(&headers(&[json, json]), true), Err(Refusal::Type));
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        let sent = headers(&[json, ("content-encoding", encoding)]);
        assert_eq!(ruled.check_head(&sent, true), Err(Refusal::Encoding), "{encoding}");
    }
    assert_eq!(ruled.check_head(&headers(&[json, ("content-encoding", "Identity")]), true), Ok(()));
    // Without rules only the type is looked at, and only where there is a body.
    let plain = Body::new(BodyText { limit: 1 << 20, kind: BodyType::Json, ..BodyText::default() }).unwrap();
    assert_eq!(plain.check_head(&headers(&[]), false), Ok(()));
    assert_eq!(plain.check_head(&headers(&[]), true), Err(Refusal::Type));
    assert_eq!(plain.judge(b"anything"), Ok(None));
}

#[test]
fn a_body_over_its_limit_is_not_read() {
    let text = BodyText { limit: 40, ..chat() };
    let body = Body::new(text).unwrap();
    assert_eq!(body.judge(&[b' '; 41]), Err(Refusal::TooLarge));
    assert_eq!(Body::none().limit(), Some(0));
}

/// A payment with a form, as Stripe has them.
fn payment() -> BodyText {
    BodyText {
        limit: 4096,
        kind: BodyType::Form,
        required: strings(&["/amount"]),
        fixed: pairs(&[("/currency", "\"eur\""), ("/card/usage", "\"once\"")]),
        cap: vec![("/amount".to_owned(), 5000)],
        one_of: vec![("/confirm".to_owned(), vec![Json::Null, Json::from(true)])],
        forbid: strings(&["/on_behalf_of", "/transfer_data"]),
        only: None,
        conditional: vec![Condition {
            when: pairs(&[("/confirm", "true")]),
            fixed: pairs(&[("/off_session", "false")]),
        }],
    }
}

#[test]
fn a_form_s_rules_are_not_dodged() {
    for bad in [
        "amount=100&amount=999999",
        "amount=100&%61mount=999999",
        "amount=100&Amount=999999",
        "amount[]=999999",
        "amount[0]=999999",
        "amount=+100",
        "amount=1e",
        "amount=-1",
        "amount=0x10",
        "amount=100&on_behalf_of=acct_1",
        "amount=100&onBehalfOf=acct_1",
        "amount=100&transfer_data[destination]=acct_1",
        "amount=100&transfer%5Fdata%5Bdestination%5D=acct_1",
        "amount=100&confirm=TRUE",
        "amount=100&confirm=1",
        "amount=100;amount=999",
        "amount=100&card=x",
        "amount=100&x",
        "amount=100&",
        "&amount=100",
        "amount=100&=x",
        "amount=100&a[=x",
        "amount=100&a]b=x",
        "amount=100&a[b]c=x",
        "amount=100&a b=x",
        "amount=100&%ff=x",
        "amount=100&a=%zz",
        "amount=100&a=%",
        "currency=usd",
        "",
    ] {
        assert!(judged(payment(), bad).is_err(), "{bad}");
    }
}

#[test]
fn a_form_is_written_anew() {
    let sent = |body: &str| judged(payment(), body).unwrap();
    assert_eq!(sent("amount=100&currency=usd"), "amount=100&currency=eur&card%5Busage%5D=once");
    assert_eq!(sent("amount=999999"), "amount=5000&currency=eur&card%5Busage%5D=once");
    assert_eq!(
        sent("amount=1&expand[]=a&expand%5B%5D=b%20c&card[number]=4&card[usage][x]=1&confirm=true"),
        "amount=1&expand%5B%5D=a&expand%5B%5D=b+c&card%5Bnumber%5D=4&card%5Busage%5D=once&confirm=true&currency=eur&off_session=false"
    );
    // Nothing can be added to a body that is not there.
    let fixed = BodyText { limit: 9, kind: BodyType::Form, fixed: pairs(&[("/a", "1")]), ..BodyText::default() };
    assert_eq!(judged(fixed, ""), Err(Refusal::NotAForm));
}

fn mistakes(text: BodyText) -> Vec<(Rule, usize, Why)> {
    let mistakes = Body::new(text).unwrap_err();
    mistakes.into_iter().map(|mistake| (mistake.rule, mistake.index, mistake.why)).collect()
}

#[test]
fn rules_that_can_not_be_held_are_mistakes() {
    let conflict = |one: &str, first, second| Why::Conflict { one: one.to_owned(), first, second };
    let large = BodyText { limit: MOST_JUDGED + 1, ..chat() };
    assert_eq!(mistakes(large), [(Rule::Limit, 0, Why::TooLargeToJudge)]);
    assert_eq!(mistakes(BodyText { kind: BodyType::Any, ..chat() }), [(Rule::Type, 0, Why::RulesOfAnyType)]);
    assert_eq!(mistakes(BodyText::default()), [(Rule::Limit, 0, Why::ZeroLimit)]);
    let base = || BodyText { limit: 100, kind: BodyType::Json, ..BodyText::default() };
    let twice = BodyText { fixed: pairs(&[("/a", "1")]), cap: vec![("/a".to_owned(), 1)], ..base() };
    assert_eq!(mistakes(twice), [(Rule::Cap, 0, conflict("/a", "fixed", "cap"))]);
    let inside = BodyText { fixed: pairs(&[("/a/b", "1")]), forbid: strings(&["/c", "/a"]), ..base() };
    assert_eq!(mistakes(inside), [(Rule::Forbid, 1, conflict("/a", "fixed", "forbid"))]);
    let idle = BodyText { fixed: pairs(&[("/a", "1")]), required: strings(&["/a"]), ..base() };
    assert_eq!(mistakes(idle), [(Rule::Required, 0, conflict("/a", "fixed", "required"))]);
    let empty = BodyText { one_of: vec![("/a".to_owned(), Vec::new())], only: Some(Vec::new()), ..base() };
    let outside = Why::OutsideOnly("/a".to_owned());
    assert_eq!(mistakes(empty), [(Rule::OneOf, 0, Why::Empty), (Rule::Only, 0, Why::Empty), (Rule::OneOf, 0, outside)]);
    let deep = BodyText { only: Some(strings(&["/a/b"])), forbid: strings(&["/x"]), ..base() };
    assert_eq!(mistakes(deep), [(Rule::Only, 0, Why::OnlyTop), (Rule::Forbid, 0, Why::Idle("/x".to_owned()))]);
    let half = BodyText { conditional: vec![Condition { when: pairs(&[("/a", "1")]), fixed: Vec::new() }], ..base() };
    assert_eq!(mistakes(half), [(Rule::Conditional, 0, Why::Empty)]);
    let form = BodyText { kind: BodyType::Form, fixed: pairs(&[("/a", "[1]"), ("/b", "null"), ("/c", "1")]), ..base() };
    assert_eq!(mistakes(form), [(Rule::Fixed, 0, Why::NotInAForm), (Rule::Fixed, 1, Why::NotInAForm)]);
    let cap = BodyText { cap: vec![("/a".to_owned(), u64::MAX)], ..base() };
    assert_eq!(mistakes(cap), [(Rule::Cap, 0, Why::Cap)]);
    let many = BodyText { forbid: (0..129).map(|at| format!("/f{at}")).collect(), ..base() };
    assert_eq!(mistakes(many), [(Rule::Forbid, 128, Why::TooMany(128))]);
}

#[test]
fn two_conditions_may_fix_one_field() {
    let one = |model: &str, tier: &str| Condition {
        when: vec![("/model".to_owned(), Json::from(model))],
        fixed: vec![("/tier".to_owned(), Json::from(tier))],
    };
    let text = BodyText {
        limit: 100,
        kind: BodyType::Json,
        conditional: vec![one("a", "low"), one("b", "high")],
        ..BodyText::default()
    };
    assert_eq!(judged(text.clone(), r#"{"model":"b"}"#).unwrap(), r#"{"model":"b","tier":"high"}"#);
    assert_eq!(judged(text, r#"{"model":"c","tier":1}"#).unwrap(), r#"{"model":"c","tier":1}"#);
}

fn any_member() -> impl Strategy<Value = (String, serde_json::Value)> {
    let names =
        ["model", "Model", "max_tokens", "maxTokens", "n", "user", "tools", "stream", "metadata", "x", "messages"];
    let values = [
        "null",
        "true",
        "false",
        "1",
        "-1",
        "4096",
        "1e9",
        "\"gpt-4o\"",
        "\"x\"",
        "[]",
        "{}",
        "{\"source\":1}",
        "\"true\"",
    ];
    let value = prop::sample::select(values.map(|text| serde_json::from_str(text).unwrap()).to_vec());
    (prop::sample::select(names.map(str::to_owned).to_vec()), value)
}

proptest! {
    /// Whatever a client sends: what goes out keeps every rule, in the eyes of another reader.
    #[test]
    fn what_goes_out_keeps_every_rule(members in prop::collection::vec(any_member(), 0..8)) {
        let body: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        if let Ok(sent) = judged(chat(), &format!("{{{}}}", body.join(","))) {
            let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
            prop_assert!(["gpt-4o", "gpt-4o-mini"].contains(&sent["model"].as_str().unwrap()));
            prop_assert!((0.0..=1024.0).contains(&sent["max_tokens"].as_f64().unwrap()));
            prop_assert!((0.0..=1.0).contains(&sent["n"].as_f64().unwrap()));
            prop_assert_eq!(&sent["user"], "app");
            prop_assert_eq!(&sent["metadata"]["source"], "app");
            prop_assert!(sent.get("messages").is_some() && sent.get("tools").is_none());
            prop_assert_eq!(sent["stream"] == true, sent["stream_options"]["include_usage"] == true);
            // Once more nothing changes.
            prop_assert_eq!(judged(chat(), &sent.to_string()).map(|again| serde_json::from_str::<serde_json::Value>(&again).unwrap()), Ok(sent));
        }
    }

    #[test]
    fn no_form_panics_and_what_goes_out_is_a_form(text in "[a-c=&%0-9\\[\\]_+ ]{0,40}") {
        let body = format!("amount=100&{text}");
        if let Ok(sent) = judged(payment(), &body) {
            let fields: Vec<_> = form_urlencoded::parse(sent.as_bytes()).collect();
            prop_assert_eq!(fields.iter().filter(|(name, _)| name == "amount").count(), 1);
            prop_assert!(fields.iter().any(|(name, value)| name == "currency" && value == "eur"));
            prop_assert_eq!(judged(payment(), &sent), Ok(sent));
        }
    }
}

#[test]
fn an_element_of_a_form_is_not_dodged_by_another_way_to_count() {
    let text = BodyText {
        limit: 1024,
        kind: BodyType::Form,
        fixed: pairs(&[("/items/0/price", "\"p_1\"")]),
        forbid: strings(&["/items/1/price_data"]),
        ..BodyText::default()
    };
    for (body, refusal) in [
        // It could be either.
        ("items[][price]=p_9", "field /items/1/price_data is there in another spelling"),
        ("items%5B%5D[quantity]=9", "field /items/1/price_data is there in another spelling"),
        ("items[00][price]=p_9", "field /items/0/price is there in another spelling"),
        ("items[01][price_data]=9", "field /items/1/price_data is there in another spelling"),
        ("items[1][price_data][amount]=9", "field /items/1/price_data is forbidden"),
    ] {
        assert_eq!(judged(text.clone(), body).unwrap_err().to_string(), refusal, "{body}");
    }
    let good = judged(text, "items[0][quantity]=2&items[10][price]=p_2&tags[]=a").unwrap();
    assert_eq!(
        good,
        "items%5B0%5D%5Bquantity%5D=2&items%5B10%5D%5Bprice%5D=p_2&tags%5B%5D=a&items%5B0%5D%5Bprice%5D=p_1"
    );
}

#[test]
fn a_field_of_a_form_is_not_dodged_by_a_path_with_dots() {
    let text = BodyText {
        limit: 1024,
        kind: BodyType::Form,
        fixed: pairs(&[("/card/number", "\"4\""), ("/Line1.Name", "\"a\"")]),
        forbid: strings(&["/transfer"]),
        ..BodyText::default()
    };
    for (body, field) in [
        ("card.number=5", "/card/number"),
        ("Card.Number=5", "/card/number"),
        ("card.number.x=5", "/card/number"),
        ("transfer.destination=1", "/transfer"),
        ("transfer.a[b]=1", "/transfer"),
        ("Line1_Name=b", "/Line1.Name"),
    ] {
        let refusal = judged(text.clone(), body).unwrap_err().to_string();
        assert_eq!(refusal, format!("field {field} is there in another spelling"), "{body}");
    }
    let good = judged(text, "card.brand=x&Line1.Name=b&v1.2=c").unwrap();
    assert_eq!(good, "card.brand=x&Line1.Name=a&v1.2=c&card%5Bnumber%5D=4");
}
