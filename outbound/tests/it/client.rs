use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method};
use outbound::client::MOST_ANSWER_BYTES;
use outbound::{AddressRules, Client, Request, Response, SendError, Url};
use zeroize::Zeroizing;

use crate::names::here;
use crate::server::{Says, Server, answer_of};

const PATIENCE: Duration = Duration::from_secs(10);
const SECRET: &str = "client-secret-that-nobody-may-read";

fn client(server: &Server) -> Client {
    Client::new(here(), AddressRules::listed(&["127.0.0.0/8".parse().unwrap()]), server.roots())
}

fn request(server: &Server, target: &str) -> Request {
    let url = Url { place: server.place("token.test"), target: target.parse().unwrap() };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(SECRET))]);
    Request { method: Method::POST, url, headers, body: Zeroizing::new(SECRET.into()) }
}

async fn asked(says: Says, patience: Duration) -> (Result<Response, SendError>, Server) {
    let server = Server::over_tls("token.test", says).await;
    let answer = client(&server).send(request(&server, "/token?x=1"), patience).await;
    (answer, server)
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked_for() {
    let server = Server::over_tls("token.test", answer_of("200 OK", "x-own: 7\r\n", "{\"ok\":true}")).await;
    let mut request = request(&server, "/token?x=1");
    // These are the client's own.
    request.headers.insert(HOST, HeaderValue::from_static("evil.test"));
    request.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("3"));
    let answer = client(&server).send(request, PATIENCE).await.unwrap();
    assert_eq!((answer.status.as_u16(), &**answer.body), (200, &b"{\"ok\":true}"[..]));
    assert_eq!(answer.headers["x-own"], "7");
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    let first = lines.remove(0);
    lines.sort_unstable();
    let host = format!("host: token.test:{}", server.port);
    let length = format!("content-length: {}", SECRET.len());
    let authorization = format!("authorization: {SECRET}");
    assert_eq!(first, "post /token?x=1 http/1.1");
    assert_eq!(lines, [authorization.as_str(), "connection: close", &length, &host, "user-agent: assay"]);
    assert_eq!((body, requests.len()), (SECRET, 1));
}

#[tokio::test]
async fn an_answer_that_refuses_is_an_answer() {
    for status in ["401 Unauthorized", "429 Too Many Requests", "500 Internal Server Error"] {
        let (answer, _) = asked(answer_of(status, "", "no"), PATIENCE).await;
        let answer = answer.ok().unwrap();
        assert_eq!((answer.status.as_str(), &**answer.body), (&status[..3], &b"no"[..]));
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_and_nobody_follows_it() {
    let elsewhere = Server::over_tls("token.test", answer_of("200 OK", "", "")).await;
    for status in [301_u16, 302, 303, 307, 308, 300, 304] {
        let location = format!("location: https://token.test:{}/\r\n", elsewhere.port);
        let (answer, server) = asked(answer_of(&format!("{status} Elsewhere"), &location, ""), PATIENCE).await;
        assert!(matches!(answer, Err(SendError::Redirect { status: told, .. }) if told == status), "{status}");
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_is_bounded_whether_or_not_it_says_how_long_it_is() {
    let long = "x".repeat(MOST_ANSWER_BYTES + 1);
    let endless_head = format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n");
    for says in [answer_of("200 OK", "", &long), Says::Endless] {
        let (answer, _) = asked(says, PATIENCE).await;
        assert!(matches!(answer, Err(SendError::TooLarge { most: MOST_ANSWER_BYTES, .. })));
    }
    let (answer, _) = asked(Says::This(endless_head), PATIENCE).await;
    assert!(matches!(answer, Err(SendError::Broken { .. })));
    let (answer, _) = asked(answer_of("200 OK", "", &long[1..]), PATIENCE).await;
    assert_eq!(answer.ok().unwrap().body.len(), MOST_ANSWER_BYTES);
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    let (answer, _) = asked(answer_of("200 OK", "content-encoding: gzip\r\n", "x"), PATIENCE).await;
    assert!(matches!(answer, Err(SendError::Encoded { .. })));
    let (answer, _) = asked(answer_of("200 OK", "content-encoding: Identity\r\n", "x"), PATIENCE).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn one_deadline_holds_for_all_of_it() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    for says in [Says::ThisAndNothing(""), Says::ThisAndNothing("HTTP/1.1 200 OK\r\n"), Says::ThisAndNothing(begun)] {
        let (answer, _) = asked(says, Duration::from_millis(300)).await;
        assert!(matches!(answer, Err(SendError::TimedOut { .. })));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for text in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "SSH-2.0-x\r\n\r\n"] {
        let (answer, _) = asked(Says::This(text.to_owned()), PATIENCE).await;
        assert!(matches!(answer, Err(SendError::Broken { .. })), "{text:?}");
    }
}

#[tokio::test]
async fn no_error_tells_what_was_sent_or_answered() {
    let long = SECRET.repeat(MOST_ANSWER_BYTES / SECRET.len() + 1);
    for says in [
        answer_of("200 OK", "", &long),
        answer_of("302 Found", &format!("location: https://{SECRET}.test/\r\n"), SECRET),
        answer_of("200 OK", &format!("content-encoding: {SECRET}\r\n"), SECRET),
        Says::This(format!("HTTP/1.1 {SECRET}\r\n\r\n")),
        Says::This(format!("HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n")),
    ] {
        let why = asked(says, PATIENCE).await.0.err().unwrap();
        let told = format!("{why} {why:?}");
        assert!(!told.contains(SECRET) && !told.contains("x=1"), "{told}");
    }
}

#[tokio::test]
async fn provisional_answers_are_passed_over() {
    let says =
        Says::This("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok".to_owned());
    let (answer, _) = asked(says, PATIENCE).await;
    assert_eq!(answer.ok().unwrap().status.as_u16(), 201);
}
