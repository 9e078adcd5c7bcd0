//! When the client asks, how often, and what it goes on with.

use std::time::Duration;

use attest_client::{FetchError, Reaction, Status};

use crate::fake::{Fake, Reply, client};

#[tokio::test]
async fn an_answer_that_will_be_the_same_next_time_is_not_asked_for_again() {
    for (status, expected) in [(400, Status::InternalError), (413, Status::InternalError), (403, Status::Rejected)] {
        let fake = Fake::start(&[Reply::Status(status, None)]).await;
        let client = client(&fake).0.build().unwrap();
        assert_eq!(client.fetch_token().await.unwrap_err().status(), expected, "{status}");
        assert_eq!(fake.counts(), (1, 1), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = Fake::start(&[Reply::Status(307, None)]).await;
    let error = client(&fake).0.build().unwrap().fetch_token().await.unwrap_err();
    assert!(matches!(error, FetchError::Protocol { status: 307, .. }), "{error:?}");
    assert_eq!(fake.counts(), (1, 1));
}

#[tokio::test]
async fn an_unavailable_service_is_asked_a_bounded_number_of_times_and_then_left_alone() {
    let fake = Fake::start(&[Reply::Status(503, None); 100]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    for _ in 0..10 {
        assert_eq!(client.fetch_token().await.unwrap_err().status(), Status::NoAssayService);
    }
    assert_eq!(fake.counts(), (4, 4), "four rounds, then the failure is held");
    clock.set(1);
    assert!(client.fetch_token().await.is_err());
    assert_eq!(fake.counts(), (8, 8));
}

#[tokio::test]
async fn a_service_that_asks_for_long_is_not_asked_again_within_the_fetch() {
    let fake = Fake::start(&[Reply::Status(429, Some(30))]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    let error = client.fetch_token().await.unwrap_err();
    assert_eq!(error, FetchError::Limited { retry_after: Some(Duration::from_secs(30)) });
    clock.set(29);
    assert!(client.fetch_token().await.is_err());
    assert_eq!(fake.counts(), (1, 1));
    // A quarter more at most: apps that were sent away together do not come back together.
    clock.set(38);
    assert!(client.fetch_token().await.is_ok());
}

#[tokio::test]
async fn a_spent_or_expired_challenge_is_replaced_by_a_new_one() {
    for status in [409, 410] {
        let fake = Fake::start(&[Reply::Status(status, None)]).await;
        assert!(client(&fake).0.build().unwrap().fetch_token().await.is_ok(), "{status}");
        assert_eq!(fake.counts(), (2, 2));
        fake.with(|seen| assert_ne!(seen.requests[0], seen.requests[1]));
    }
}

#[tokio::test]
async fn a_request_whose_reply_was_lost_is_sent_once_more_as_it_was() {
    let fake = Fake::start(&[Reply::Lost]).await;
    assert!(client(&fake).0.build().unwrap().fetch_token().await.is_ok());
    assert_eq!(fake.counts(), (1, 2), "no second challenge");
    fake.with(|seen| assert_eq!(seen.requests[0], seen.requests[1]));
}

#[tokio::test]
async fn lost_twice_takes_a_new_challenge() {
    let fake = Fake::start(&[Reply::Lost, Reply::Lost]).await;
    assert!(client(&fake).0.build().unwrap().fetch_token().await.is_ok());
    assert_eq!(fake.counts(), (2, 3));
}

#[tokio::test]
async fn a_token_serves_four_fifths_of_its_life_and_many_callers() {
    let fake = Fake::start(&[]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let client = client.clone();
                async move { client.fetch_token().await }
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().as_str(), "token.1.x");
    }
    clock.set(239);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.1.x");
    assert_eq!(fake.counts(), (1, 1));
    clock.set(240);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.2.x");
    assert_eq!(fake.counts(), (2, 2));
}

#[tokio::test]
async fn with_the_service_gone_the_token_in_hand_is_given_out_and_says_why() {
    let fake = Fake::start(&[]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    client.fetch_token().await.unwrap();
    fake.stop().await;
    clock.set(100_000);
    let token = client.fetch_token().await.unwrap();
    assert_eq!((token.as_str(), token.status()), ("token.1.x", Status::NoNetwork));
}

#[tokio::test]
async fn each_binding_has_a_token_of_its_own() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    let alice = client.fetch_token_bound(b"Bearer alice").await.unwrap();
    let bob = client.fetch_token_bound(b"Bearer bob").await.unwrap();
    let again = client.fetch_token_bound_to(&[b"Bearer alice"]).await.unwrap();
    assert_ne!(alice.as_str(), bob.as_str());
    assert_eq!(alice.as_str(), again.as_str());
    fake.with(|seen| {
        let bindings: Vec<serde_json::Value> = seen
            .requests
            .iter()
            .map(|body| serde_json::from_slice::<serde_json::Value>(body).unwrap()["binding"].clone())
            .collect();
        assert_eq!(bindings.len(), 2);
        assert!(bindings[0].is_string() && bindings[0] != bindings[1]);
    });
}

#[tokio::test]
async fn a_gateway_that_wants_a_token_gets_a_new_one_and_a_refusal_brings_one_a_minute() {
    let fake = Fake::start(&[]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    let first = client.fetch_token().await.unwrap();
    assert_eq!(client.on_response(&first, 503, Some("overloaded")), Reaction::Wait);
    assert_eq!(client.on_response(&first, 401, Some("invalid_api_key")), Reaction::Deliver);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.1.x", "kept");

    assert_eq!(client.on_response(&first, 401, Some("attestation_required")), Reaction::Retry);
    let second = client.fetch_token().await.unwrap();
    assert_eq!(client.on_response(&first, 401, Some("attestation_required")), Reaction::Retry);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.2.x", "an answer to the old one costs nothing");

    assert_eq!(client.on_response(&second, 403, Some("refused")), Reaction::FetchAgain);
    let third = client.fetch_token().await.unwrap();
    assert_eq!(third.as_str(), "token.3.x");
    assert_eq!(client.on_response(&third, 403, Some("refused")), Reaction::Deliver);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.3.x");
    clock.set(60);
    assert_eq!(client.on_response(&third, 403, Some("refused")), Reaction::FetchAgain);
}

/// A gateway whose clock is wrong wants a new token each time; so does whoever answers in its place.
#[tokio::test]
async fn a_gateway_that_is_never_content_provokes_six_fetches_a_minute() {
    let fake = Fake::start(&[]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    let mut delivered = 0;
    for second in 0..59 {
        clock.set(second);
        let token = client.fetch_token().await.unwrap();
        match client.on_response(&token, 401, Some("attestation_required")) {
            Reaction::Deliver => delivered += 1,
            reaction => assert_eq!(reaction, Reaction::Retry),
        }
    }
    assert_eq!((fake.counts(), delivered), ((7, 7), 53));
    assert!(!client.invalidate(None), "the app's own loop is bounded too");
    clock.set(70);
    assert!(client.invalidate(None));
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.8.x");
}

#[tokio::test]
async fn a_life_of_seconds_is_not_a_fetch_per_request() {
    let fake = Fake::start(&[Reply::Life(1), Reply::Life(u64::MAX)]).await;
    let (builder, clock) = client(&fake);
    let client = builder.build().unwrap();
    for second in 0..8 {
        clock.set(second);
        client.fetch_token().await.unwrap();
    }
    assert_eq!(fake.counts(), (1, 1));
    clock.set(8);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.2.x");
    clock.set(8 + 24 * 60 * 60);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.3.x", "nor is any for ever");
}
