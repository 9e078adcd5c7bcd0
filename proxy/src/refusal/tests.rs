use super::*;

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn stops() -> Vec<Stop> {
    let rate = Rate::new(60, Duration::from_secs(60));
    vec![
        Stop::BadRequest("dot segment"),
        Stop::NoRoute,
        Stop::NoOperation,
        Stop::BodyTooLarge,
        Stop::AttestationRequired,
        Stop::Refused,
        Stop::Unverifiable,
        Stop::Limited(Limited { name: "search".into(), rate, retry_after: Duration::from_millis(1_500) }),
        Stop::SharedStateDown,
        Stop::Overloaded(Shed::Deadline),
        Stop::BodyTimeout,
        Stop::KeyUnavailable,
        Stop::UpstreamUnreachable,
        Stop::UpstreamTimeout,
        Stop::UpstreamRefused("101"),
        Stop::Internal,
    ]
}

#[test]
fn only_a_missing_or_stale_token_is_told_how_to_authenticate() {
    for stop in stops() {
        let answer = stop.answer(ID, false, 0).unwrap();
        let told = answer.head.headers.contains_key(WWW_AUTHENTICATE);
        assert_eq!(told, stop == Stop::AttestationRequired, "{stop:?}");
    }
}

#[test]
fn no_answer_carries_the_detail() {
    for stop in stops() {
        let answer = stop.answer(ID, false, 0).unwrap();
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
    for stop in [Stop::Unverifiable, Stop::Overloaded(Shed::Full), Stop::KeyUnavailable] {
        let after = |spread| stop.answer(ID, false, spread).unwrap().head.headers[RETRY_AFTER].clone();
        assert_eq!(after(0), "1");
        assert_eq!(after(4), "5");
    }
}

#[test]
fn a_limit_says_what_it_is_and_when() {
    let Some(limited) = stops().into_iter().find(|stop| stop.code() == "limited") else { panic!() };
    let head = limited.answer(ID, false, 0).unwrap().head;
    assert_eq!(head.headers[RETRY_AFTER], "2");
    assert_eq!(head.headers[RATELIMIT_POLICY], "\"search\";q=60;w=60");
    assert_eq!(head.headers[RATELIMIT], "\"search\";r=0;t=2");
}

#[test]
fn grpc_gets_the_same_as_a_status_of_its_own() {
    let answer = Stop::Refused.answer(ID, true, 0).unwrap();
    assert_eq!(answer.head.status, StatusCode::OK);
    assert_eq!(answer.head.headers[GRPC_STATUS], "7");
    assert!(answer.body.is_empty());
}
