//! The head scanner: each finding by its smallest request, then the same whatever the pieces.

use proptest::prelude::*;

use super::*;

fn scan(request: &[u8]) -> (Fed, HeadScanner) {
    let mut scanner = HeadScanner::default();
    let fed = scanner.feed(request, 32 * 1024);
    (fed, scanner)
}

fn codes(request: &[u8]) -> Vec<&'static str> {
    let (fed, scanner) = scan(request);
    assert!(matches!(fed, Fed::End(_)), "no end in {:?}", request.escape_ascii().to_string());
    scanner.findings().iter().map(HeadFinding::as_str).collect()
}

#[test]
fn names_what_is_wrong() {
    let cases: &[(&[u8], &[&str])] = &[
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &["length_and_encoding"],
        ),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", &["bare_line_feed"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", &["bare_line_feed"]),
        (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", &["control_in_target"]),
        (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", &["control_in_target"]),
        (b"GET /\r/ HTTP/1.1\r\nHost: a\r\n\r\n", &["control_in_target"]),
        (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", &["non_ascii_target"]),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &["bad_request_line"]),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &["bad_request_line", "target_form"]),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &["bad_request_line"]),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", &["control_in_target", "nul"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: \x00\r\n\r\n", &["nul"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &["bad_transfer_encoding"]),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            &["bad_transfer_encoding"],
        ),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", &["bad_transfer_encoding", "http_1_0"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", &["duplicate_length"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", &["bad_length"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", &["bad_length"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", &["bad_length"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", &["bad_length"]),
        (b"GET / HTTP/1.1\r\n\r\n", &["no_host"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", &["duplicate_host"]),
        (b"GET / HTTP/1.0\r\n\r\n", &["http_1_0"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", &["obs_fold"]),
        (b"GET s://x/ HTTP/1.1\r\nHost: a\r\n\r\n", &["target_form"]),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &["target_form"]),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &["fragment_in_target"]),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", &["bad_version"]),
        (b"GET\r\nHost: a\r\n\r\n", &["bad_request_line"]),
    ];
    for (request, expected) in cases {
        assert_eq!(codes(request), *expected, "{:?}", request.escape_ascii().to_string());
    }
}

#[test]
fn finds_nothing_in_ordinary_requests() {
    for request in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"\r\nGET /a?b=%20 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: \t Chunked \r\n\r\n",
    ] {
        assert_eq!(codes(request), [""; 0], "{:?}", request.escape_ascii().to_string());
    }
}

#[test]
fn counts_fields_up_to_the_bound() {
    let head = |fields: usize| {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        head.extend("A: b\r\n".repeat(fields - 1).bytes());
        head.extend(b"\r\n");
        head
    };
    assert_eq!(codes(&head(MAX_FIELD_LINES as usize)), [""; 0]);
    assert_eq!(codes(&head(MAX_FIELD_LINES as usize + 1)), ["too_many_fields"]);
}

#[test]
fn refuses_a_head_one_byte_over_the_limit() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(HeadScanner::default().feed(head, head.len()), Fed::End(head.len()));
    assert_eq!(HeadScanner::default().feed(head, head.len() - 1), Fed::TooLarge);
    assert_eq!(HeadScanner::default().feed(&[b'a'; 11], 10), Fed::TooLarge);
    let mut dribbled = HeadScanner::default();
    assert_eq!(dribbled.feed(&[b'a'; 10], 10), Fed::More);
    assert_eq!(dribbled.feed(&[b'a'; 11], 10), Fed::TooLarge);
}

#[test]
fn does_not_wait_for_the_end_of_another_protocol() {
    let hello = b"\x16\x03\x01\x02\x00";
    let (fed, scanner) = scan(hello);
    assert_eq!(fed, Fed::End(hello.len()));
    assert!(scanner.findings().is_invalid());
    assert_eq!(scan(b"\r\n").0, Fed::More);
}

#[test]
fn tells_the_framing_and_the_wish_to_upgrade() {
    let framing = |request: &[u8]| scan(request).1.framing();
    assert_eq!(framing(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Framing::None);
    assert_eq!(framing(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), Framing::None);
    assert_eq!(framing(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n"), Framing::Length(7));
    assert_eq!(framing(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), Framing::Chunked);
    assert!(scan(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").1.asks_upgrade());
}

proptest! {
    /// Bytes that look like a head, cut anywhere: the end and the findings are those of the whole.
    #[test]
    fn the_pieces_make_no_difference(
        request in proptest::collection::vec(proptest::sample::select(b"GET /HTP1.0: \r\r\n\n\n\0aContent-Length:3Host".to_vec()), 0..200),
        cuts in proptest::collection::vec(1_usize..40, 1..40),
    ) {
        // What can't begin a request is not waited for, whatever follows.
        let mut request = [b"G", &request[..]].concat();
        request.extend(b" / HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\nabc");
        let (whole, expected) = scan(&request);
        let mut pieces = HeadScanner::default();
        let (mut at, mut cuts, mut last) = (0, cuts.into_iter().cycle(), Fed::More);
        while last == Fed::More && at < request.len() {
            at = request.len().min(at + cuts.next().unwrap_or(1));
            last = pieces.feed(&request[..at], 32 * 1024);
        }
        prop_assert_eq!(whole, last);
        prop_assert_eq!(expected.findings(), pieces.findings());
        prop_assert_eq!(expected.framing(), pieces.framing());
    }
}
