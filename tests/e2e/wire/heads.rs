//! Heads and paths that two parsers could read differently: 400, and the API never hears of them.

use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wire::Connection;

const KEY: &str = "sk_live_0123456789abcdef";

/// A house in front of an API that counts.
fn house() -> (House, Recorder, String) {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    (house, api, token)
}

#[test]
fn requests_that_smuggle_are_400_and_end_the_connection() {
    let (house, api, token) = house();
    let fields = |more: &str| format!("Host: localhost\r\nAssay-Token: {token}\r\n{more}");
    let smuggled = format!("GET /own/smuggled HTTP/1.1\r\n{}\r\n", fields(""));
    let heads = [
        (
            "length and chunks",
            format!(
                "POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n",
                fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
            ),
        ),
        (
            "chunks and length",
            format!(
                "POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n",
                fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")
            ),
        ),
        (
            "two lengths",
            format!("POST /own/x HTTP/1.1\r\n{}\r\nabcde", fields("Content-Length: 5\r\nContent-Length: 0\r\n")),
        ),
        ("a list of lengths", format!("POST /own/x HTTP/1.1\r\n{}\r\nabcde", fields("Content-Length: 5, 5\r\n"))),
        ("a signed length", format!("POST /own/x HTTP/1.1\r\n{}\r\nabcde", fields("Content-Length: +5\r\n"))),
        (
            "a coding after chunked",
            format!("POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n", fields("Transfer-Encoding: chunked, identity\r\n")),
        ),
        (
            "a coding that is none",
            format!("POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n", fields("Transfer-Encoding: xchunked\r\n")),
        ),
        (
            "chunked twice",
            format!(
                "POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n",
                fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")
            ),
        ),
        ("a bare line feed", format!("GET /own/x HTTP/1.1\n{}\n", fields("").replace("\r\n", "\n"))),
        ("one bare line feed", format!("GET /own/x HTTP/1.1\r\n{}\r\n", fields("X: a\n"))),
        ("a bare carriage return", format!("GET /own/x HTTP/1.1\r\n{}\r\n", fields("X: a\rb\r\n"))),
        ("a folded line", format!("GET /own/x HTTP/1.1\r\n{}\r\n", fields("X: a\r\n b\r\n"))),
        (
            "a blank before the colon",
            format!("POST /own/x HTTP/1.1\r\n{}\r\n0\r\n\r\n", fields("Transfer-Encoding : chunked\r\n")),
        ),
        ("a zero byte", format!("GET /own/x HTTP/1.1\r\n{}\r\n", fields("X: a\0b\r\n"))),
        ("no host", format!("GET /own/x HTTP/1.1\r\nAssay-Token: {token}\r\n\r\n")),
        ("two hosts", format!("GET /own/x HTTP/1.1\r\n{}\r\n", fields("Host: elsewhere\r\n"))),
        ("another host in the target", format!("GET http://elsewhere/own/x HTTP/1.1\r\n{}\r\n", fields(""))),
        ("HTTP/1.0", format!("GET /own/x HTTP/1.0\r\n{}\r\n", fields(""))),
        ("HTTP/1.2", format!("GET /own/x HTTP/1.2\r\n{}\r\n", fields(""))),
        ("a blank in the target", format!("GET /own/x y HTTP/1.1\r\n{}\r\n", fields(""))),
        ("CONNECT", format!("CONNECT own:443 HTTP/1.1\r\n{}\r\n", fields(""))),
    ];
    let (mut told, tried) = (0, heads.len());
    for (what, head) in heads {
        let mut connection = Connection::open(&house.public);
        connection.send(format!("{head}{smuggled}").as_bytes());
        let answers = connection.answers();
        // Closed without a word is an answer, too; anything else is one 400 and the end.
        assert!(answers.len() <= 1, "{what}: {answers:?}");
        told += answers.len();
        assert!(answers.iter().all(|answer| answer.status == 400), "{what}: {answers:?}");
        assert!(api.seen().is_empty(), "{what}: the API saw {:?}", api.seen());
    }
    assert!(told + 3 >= tried, "only {told} of {tried} were told why");
    // The same with nothing wrong about it: both arrive.
    let mut connection = Connection::open(&house.public);
    let good = format!("POST /own/x HTTP/1.1\r\n{}\r\nabcde", fields("Content-Length: 5\r\n"));
    connection.send(format!("{good}{smuggled}").as_bytes());
    assert_eq!((connection.answer().unwrap().status, connection.answer().unwrap().status), (200, 200));
    let lines: Vec<_> = api.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(lines, ["POST /own/x HTTP/1.1", "GET /own/smuggled HTTP/1.1"]);
    assert_eq!(api.seen()[0].body, b"abcde");
}

#[test]
fn the_absolute_form_is_read_as_the_origin_form_that_goes_up() {
    let (house, api, token) = house();
    let mut connection = Connection::open(&house.public);
    connection.send(
        format!("GET http://localhost/own/x?a=b HTTP/1.1\r\nHost: localhost\r\nAssay-Token: {token}\r\n\r\n")
            .as_bytes(),
    );
    let answer = connection.answer().unwrap();
    match answer.status {
        200 => assert_eq!(api.last().line(), "GET /own/x?a=b HTTP/1.1"),
        400 => assert!(api.seen().is_empty()),
        other => panic!("{other}: {}", answer.text()),
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_400_on_every_route() {
    let (house, api, token) = house();
    for route in ["/paid/v1", "/own", "/free"] {
        for trick in [
            "/../v1/paid",
            "/%2e%2e/",
            "/%2E%2e/x",
            "/.%2e/x",
            "/./x",
            "/%2e/x",
            "//x",
            "/x//y",
            "/;a=b",
            "/x;jsessionid=1/y",
            "/%2f",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%252e%252e/x",
            "/%25%32%65/x",
            "/%",
            "/%2",
            "/%zz",
            "/%00",
            "/a%0d%0ab",
            "/%7f",
            "/\u{e4}",
        ] {
            let path = format!("{route}{trick}");
            let answer = house.get_as(&token, &path);
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            assert!(api.seen().is_empty(), "{path} arrived as {}", api.last().line());
        }
    }
    // What only looks like it is one path for policy and API alike.
    for (path, arrives) in [
        ("/own/a%7eb", "/own/a~b"),
        ("/own/%61", "/own/a"),
        ("/own/a...b", "/own/a...b"),
        ("/own/x/?q=/../", "/own/x/?q=/../"),
        ("/own/caf%c3%a9", "/own/caf%C3%A9"),
    ] {
        assert_eq!(house.get_as(&token, path).status, 200, "{path}");
        assert_eq!(api.last().line(), format!("GET {arrives} HTTP/1.1"));
    }
    // A detour by encoding does not reach an operation that the key route does not offer, or another route's rules.
    assert_eq!(house.get_as(&token, "/paid/v2/x").status, 404);
    assert_eq!(house.get("/%6fwn/x", &[]).status, 401, "the policy of /own, not that of no route");
}

#[test]
fn heads_and_bodies_over_their_bounds_are_refused() {
    let (house, api, token) = house();
    let long = "x".repeat(40 * 1024);
    let mut connection = Connection::open(&house.public);
    connection.send(format!("GET /own/x HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").as_bytes());
    assert!(connection.answers().iter().all(|answer| (400..500).contains(&answer.status)));
    let post = |length: usize| {
        e2e::wire::call(&house.public, "POST", "/paid/v1/echo", &[("Assay-Token", &token)], &vec![b'x'; length])
    };
    assert_eq!((post(1025).status, post(1025).code()), (413, "too_large".to_owned()));
    assert!(api.seen().is_empty());
    assert_eq!(post(1024).status, 200);
}
