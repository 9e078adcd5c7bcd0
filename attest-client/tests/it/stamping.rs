//! Requests with tokens, and what follows from their answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;

use attest_client::http::{HeaderMap, Response};
use attest_client::stamp::CallError;
use attest_client::{Client, FetchError};

use crate::fake::{Fake, Reply, client};

/// A gateway that says these answers in turn, and what it was sent.
struct Gateway {
    answers: Mutex<VecDeque<Response<Vec<u8>>>>,
    sent: Mutex<Vec<HeaderMap>>,
}

impl Gateway {
    fn new(answers: impl IntoIterator<Item = Response<Vec<u8>>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), sent: Mutex::default() }
    }

    async fn call(&self, client: &Client, headers: &HeaderMap) -> Result<u16, CallError<Infallible>> {
        let send = async |headers| {
            self.sent.lock().unwrap().push(headers);
            Ok(self.answers.lock().unwrap().pop_front().unwrap())
        };
        client.call(headers, send).await.map(|answer| answer.status().as_u16())
    }

    fn tokens(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|headers| headers["assay-token"].to_str().unwrap().to_owned()).collect()
    }
}

fn answer(status: u16, code: &str, retry_after: Option<&str>) -> Response<Vec<u8>> {
    let mut answer = Response::builder().status(status);
    if let Some(after) = retry_after {
        answer = answer.header("retry-after", after);
    }
    answer.body(format!(r#"{{"code":"{code}"}}"#).into_bytes()).unwrap()
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let fake = Fake::start(&[Reply::Status(400, None)]).await;
    let gateway = Gateway::new([]);
    let failed = gateway.call(&client(&fake).0.build().unwrap(), &HeaderMap::new()).await.unwrap_err();
    assert!(matches!(failed, CallError::Token(FetchError::Protocol { .. })), "{failed:?}");
    assert!(gateway.tokens().is_empty());
}

#[tokio::test]
async fn a_token_that_is_wanted_is_fetched_once_and_the_request_sent_once_more() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    let wanted = || answer(401, "attestation_required", None);
    let gateway = Gateway::new([wanted(), answer(200, "", None)]);
    assert_eq!(gateway.call(&client, &HeaderMap::new()).await.unwrap(), 200);
    assert_eq!(gateway.tokens(), ["token.1.x", "token.2.x"]);
    let never_content = Gateway::new([wanted(), wanted()]);
    assert_eq!(never_content.call(&client, &HeaderMap::new()).await.unwrap(), 401);
    assert_eq!(never_content.tokens(), ["token.2.x", "token.3.x"]);
}

#[tokio::test]
async fn a_refused_request_is_not_repeated_and_the_next_carries_a_new_token() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    let gateway = Gateway::new([answer(403, "refused", None), answer(403, "refused", None), answer(200, "", None)]);
    for expected in [403, 403, 200] {
        assert_eq!(gateway.call(&client, &HeaderMap::new()).await.unwrap(), expected);
    }
    assert_eq!(gateway.tokens(), ["token.1.x", "token.2.x", "token.2.x"], "once a minute");
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_is_the_apps() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    let gateway = Gateway::new([answer(503, "overloaded", Some("0")), answer(200, "", None)]);
    assert_eq!(gateway.call(&client, &HeaderMap::new()).await.unwrap(), 200);
    assert_eq!(gateway.tokens(), ["token.1.x"; 2], "the token was not at fault");
    for away in [answer(429, "limited", Some("30")), answer(503, "overloaded", None), answer(503, "theirs", Some("0"))]
    {
        let gateway = Gateway::new([away]);
        assert!(gateway.call(&client, &HeaderMap::new()).await.unwrap() >= 429);
    }
    assert_eq!(fake.counts(), (1, 1));
}

#[tokio::test]
async fn a_stamp_is_sensitive_bound_and_replaces_what_was_there() {
    let fake = Fake::start(&[Reply::Token, Reply::Token, Reply::Status(400, None)]).await;
    let builder = client(&fake).0.token_header("X-Token").bind_to(["Authorization"]);
    let client = builder.build().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-token", "somebody's".parse().unwrap());
    client.stamp(&mut headers).await.unwrap();
    assert_eq!(headers["x-token"], "token.1.x");
    assert!(headers["x-token"].is_sensitive());
    headers.insert("authorization", "Bearer alice".parse().unwrap());
    client.stamp(&mut headers).await.unwrap();
    assert_eq!(headers["x-token"], "token.2.x");
    assert_eq!(client.fetch_token_bound(b"Bearer alice").await.unwrap().as_str(), "token.2.x");
    headers.insert("authorization", "Bearer bob".parse().unwrap());
    assert!(client.stamp(&mut headers).await.is_err());
    assert!(!headers.contains_key("x-token"), "another user's token is not left behind");
}

#[tokio::test]
async fn a_name_that_is_no_header_makes_no_client() {
    let fake = Fake::start(&[]).await;
    for builder in [client(&fake).0.token_header("two words"), client(&fake).0.bind_to(["", "x"])] {
        assert!(builder.build().unwrap_err().to_string().starts_with("header: "));
    }
}
