//! Attacks: the scanners that read an HTTP/1 head and a chunked body before any lenient parser does. They are the
//! gateway's own and not public, so their files are taken in as they are. Input: a limit, two cuts, then bytes.
//!
//! Holds: where a head or body ends, how it is framed and what is wrong with it does not depend on how the bytes arrive.
#![no_main]

use assay_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unreachable_pub, reason = "the gateway uses the rest")]
#[path = "../../proxy/src/connection"]
mod connection {
    pub(crate) mod chunked;
    pub(crate) mod findings;
    pub(crate) mod head;
}

use connection::chunked::{ChunkScanner, Chunks};
use connection::findings::HeadFindings;
use connection::head::{Fed, Framing, HeadScanner};

fuzz_target!(|data: &[u8]| {
    let Some(([limit, cuts @ ..], bytes)) = data.split_first_chunk::<3>() else { return };
    let limit = 16 + usize::from(*limit) * 16;
    let at_once = head(&[bytes], limit);
    let in_pieces = head(&pieces(bytes, cuts).collect::<Vec<_>>(), limit);
    // What can't begin a head (TLS, perhaps) is refused with what came so far, without waiting for a line.
    let begins = bytes.iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
    if begins.is_none_or(u8::is_ascii_graphic) {
        assert_eq!(at_once, in_pieces, "cut by {cuts:?}");
    }
    if let Fed::End(end) = at_once.0 {
        assert!((1..=bytes.len()).contains(&end));
        // Nothing behind the end was looked at.
        if !at_once.1.is_invalid() {
            assert!(end <= limit && bytes[..end].ends_with(b"\r\n\r\n"));
            assert_eq!(head(&[&bytes[..end]], limit), at_once);
        }
        bodies_agree(&bytes[end..], cuts);
    }
    bodies_agree(bytes, cuts);
});

fn head(pieces: &[&[u8]], limit: usize) -> (Fed, HeadFindings, Framing, bool) {
    let (mut scanner, mut so_far, mut answer) = (HeadScanner::default(), Vec::new(), Fed::More);
    for piece in pieces {
        so_far.extend_from_slice(piece);
        answer = scanner.feed(&so_far, limit);
        if answer != Fed::More {
            break;
        }
    }
    (answer, scanner.findings(), scanner.framing(), scanner.asks_upgrade())
}

fn bodies_agree(bytes: &[u8], cuts: &[u8]) {
    match (body(&[bytes]), body(&pieces(bytes, cuts).collect::<Vec<_>>())) {
        // The beginning of a line that breaks later may have passed already.
        (Chunks::Broken(at_once), Chunks::Broken(in_pieces)) => assert!(at_once <= in_pieces),
        (at_once, in_pieces) => assert_eq!(at_once, in_pieces, "cut by {cuts:?}"),
    }
}

/// The answer, with places counted from the first byte of the body.
fn body(pieces: &[&[u8]]) -> Chunks {
    let (mut scanner, mut before) = (ChunkScanner::default(), 0);
    for piece in pieces {
        match scanner.feed(piece) {
            Chunks::More => before += piece.len(),
            Chunks::End(at) => return Chunks::End(before + at),
            Chunks::Broken(at) => return Chunks::Broken(before + at),
        }
    }
    Chunks::More
}
