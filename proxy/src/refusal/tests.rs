use super::*;

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn stops() -> Vec<Stop> {
    let limit = Limit {
        name: "search".into(),
        amount: std::num::NonZeroU64::new(60).unwrap(),
        unit: policies::Unit::Requests,
        per: policies::Per::Address,
        window: Duration::from_secs(60),
        burst: None,
        count: policies::Count::Sliding,
        reserve: 1,
    };
    vec![
        Stop::BadRequest("dot segment"),
        Stop::NoRoute,
        Stop::NoOperation,
        Stop::NotAllowed(Box::new(Refusal::Missing("/model".into()))),
        Stop::NotAllowed(Box::new(Refusal::Type)),
        Stop::BodyTooLarge,
        Stop::AttestationRequired,
        Stop::Refused,
        Stop::UserRequired,
        Stop::UserRefused,
        Stop::Unverifiable,
        Stop::Limited(Limited::by(&limit, 0, Duration::from_millis(1_500))),
        Stop::SharedStateDown,
        Stop::Overloaded(Shed::Deadline),
        Stop::BodyTimeout,
        Stop::KeyUnavailable("key_disabled"),
        Stop::UpstreamUnreachable,
        Stop::UpstreamTimeout,
        Stop::UpstreamRefused("101"),
        Stop::Internal,
    ]
}

#[test]
fn only_a_missing_or_stale_token_is_told_how_to_authenticate() {
    for stop in stops() {
        let answer = stop.answer(ID, false, 0, None).unwrap();
        let told = answer.head.headers.get(WWW_AUTHENTICATE).map(|scheme| scheme.to_str().unwrap());
        let expected = match stop {
            Stop::AttestationRequired => Some("Assay"),
            Stop::UserRequired => Some("Bearer"),
            _ => None,
        };
        assert_eq!(told, expected, "{stop:?}");
    }
}

#[test]
fn no_answer_carries_the_detail() {
    for stop in stops() {
        let answer = stop.answer(ID, false, 0, None).unwrap();
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], stop.status().as_u16());
        assert_eq!(problem["code"], stop.code());
        assert_eq!(problem["decision"], ID);
        if !stop.detail().is_empty() {
            assert!(!body.contains(&format!("\"{}\"", stop.detail())), "{stop:?}");
        }
    }
}

#[test]
fn overload_and_our_faults_spread_the_clients_they_send_away() {
    for stop in [Stop::Unverifiable, Stop::Overloaded(Shed::Full), Stop::KeyUnavailable("key_token")] {
        let after = |spread| stop.answer(ID, false, spread, None).unwrap().head.headers[RETRY_AFTER].clone();
        assert_eq!(after(0), "1");
        assert_eq!(after(4), "5");
    }
}

#[test]
fn a_limit_says_what_it_is_and_when() {
    let Some(limited) = stops().into_iter().find(|stop| stop.code() == "limited") else { panic!() };
    let head = limited.answer(ID, false, 0, None).unwrap().head;
    assert_eq!(head.headers[RETRY_AFTER], "2");
    assert_eq!(head.headers["ratelimit-policy"], "\"search\";q=60;w=60");
    assert_eq!(head.headers["ratelimit"], "\"search\";r=0;t=2");
}

#[test]
fn grpc_gets_the_same_as_a_status_of_its_own() {
    let answer = Stop::Refused.answer(ID, true, 0, None).unwrap();
    assert_eq!(answer.head.status, StatusCode::OK);
    assert_eq!(answer.head.headers[GRPC_STATUS], "7");
    assert!(answer.body.is_empty());
}

/// A policy that words every group its own way.
fn worded() -> policies::ResultPolicy {
    let body = |group: &str| {
        format!(
            "  {group}: {{ body: '{{{{\"error\":\"{{code}}\",\"id\":\"{{decision}}\",\"of\":\"{group}\"}}}}', \
             content_type: application/json, headers: {{ X-Api: \"7\" }} }}\n"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    };
    let groups: String = Group::ALL.iter().map(|group| body(group.as_str())).collect();
    let text = format!(
        "default: block\nrules: [{{ name: r, when: {{ verdict: attested }}, then: allow }}]\nrefusals:\n{groups}"
    );
    let about = policies::RouteContext::new("r");
    policies::compile(policies::parse_file("t", &text).unwrap(), "t", &about).unwrap_or_else(|why| panic!("{why:?}")).0
}

#[test]
fn a_body_of_the_api_s_own_is_the_group_s_and_changes_nothing_else() {
    let policy = worded();
    for stop in stops() {
        let own = stop.group().and_then(|group| policy.refusal(group));
        assert_eq!(own.is_some(), stop.group().is_some());
        let (plain, worded) = (stop.answer(ID, false, 3, None).unwrap(), stop.answer(ID, false, 3, own).unwrap());
        assert_eq!(plain.head.status, worded.head.status);
        assert_eq!(worded.head.headers[CONTENT_LENGTH], worded.body.len().to_string());
        for name in
            [WWW_AUTHENTICATE, RETRY_AFTER, CACHE_CONTROL, crate::limits::RATELIMIT, crate::limits::RATELIMIT_POLICY]
        {
            assert_eq!(plain.head.headers.get(&name), worded.head.headers.get(&name), "{stop:?} {name}");
        }
        let Some(group) = stop.group() else { continue };
        let body: serde_json::Value = serde_json::from_slice(&worded.body).unwrap();
        assert_eq!(body, serde_json::json!({ "error": stop.code(), "id": ID, "of": group.as_str() }));
        assert_eq!(
            (&worded.head.headers[CONTENT_TYPE], &worded.head.headers["x-api"]),
            (&HeaderValue::from_static("application/json"), &HeaderValue::from_static("7"))
        );
        let grpc = stop.answer(ID, true, 3, own).unwrap();
        assert!(grpc.body.is_empty() && !grpc.head.headers.contains_key("x-api"));
    }
}

#[test]
fn all_that_is_refused_looks_alike_to_the_last_byte() {
    let policy = worded();
    let alike: Vec<Stop> = stops().into_iter().filter(|stop| stop.group() == Some(Group::Refused)).collect();
    assert_eq!(alike, [Stop::Refused, Stop::UserRefused]);
    for own in [None, policy.refusal(Group::Refused)] {
        let shown: Vec<_> = alike
            .iter()
            .flat_map(|stop| [false, true].map(|grpc| (grpc, stop.answer(ID, grpc, 0, own).unwrap())))
            .map(|(grpc, answer)| (grpc, answer.head.status, format!("{:?}", answer.head.headers), answer.body))
            .collect();
        assert_eq!(shown[0], shown[2]);
        assert_eq!(shown[1], shown[3]);
    }
}
