//! The gate: lets the bytes of one request through at a time, and none of the next.
//!
//! In: bytes as they are read from the client. Out: how many of them belong to the request in hand. Proven between:
//! whoever reads behind the gate never holds a byte of a later request, so that a connection between two requests can
//! be parked with nothing but the gate's own leftovers; and a request whose framing is in doubt gets no body at all.

use super::{
    chunked::{ChunkScanner, Chunks},
    findings::HeadFindings,
    head::{Fed, Framing, HeadScanner},
};

/// Where in a request the connection is.
#[derive(Debug)]
enum Phase {
    Head(HeadScanner),
    Length(u64),
    Chunked(ChunkScanner),
    /// The request has been read whole; what comes now waits.
    Done,
    /// Everything passes: HTTP/2, or after a switch of protocols.
    Open,
    /// Nothing passes any more: the head had an invalid finding, or the body broke its coding.
    Shut,
}

/// Why nothing passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The head is longer than its limit.
    HeadTooLarge,
    /// The framing is broken or not to be trusted.
    Framing,
}

/// What one piece held for the request in hand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The number of leading bytes that belong to it.
    pub(crate) bytes: usize,
    /// The findings, in the one piece in which the head ended.
    pub(crate) head: Option<HeadFindings>,
}

/// One request at a time.
#[derive(Debug)]
pub(crate) struct Gate {
    phase: Phase,
    max_head: usize,
    upgrade: bool,
    broken: bool,
}

impl Gate {
    /// A gate before its first request; `max_head` bounds each head in bytes.
    pub(crate) fn new(max_head: usize) -> Self {
        Self { phase: Phase::Done, max_head, upgrade: false, broken: false }
    }

    /// Begins the next request. Only after [`Gate::is_done`].
    pub(crate) fn begin_head(&mut self) {
        self.phase = Phase::Head(HeadScanner::default());
        self.upgrade = false;
    }

    /// Lets everything through from now on.
    pub(crate) fn open(&mut self) {
        self.phase = Phase::Open;
    }

    /// Whether the request has been read whole, and whatever comes is not part of it.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Whether everything passes.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether nothing passes any more.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(self.phase, Phase::Shut)
    }

    /// Whether the request in hand asked for an upgrade, and so may be answered by 101.
    pub(crate) fn asks_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Whether the body broke its coding.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes the next piece, which must not be empty.
    ///
    /// # Errors
    /// [`Stop`] if none of it may pass. After [`Gate::is_done`] the answer is zero bytes.
    pub(crate) fn pass(&mut self, piece: &[u8]) -> Result<Passed, Stop> {
        let Phase::Head(scanner) = &mut self.phase else {
            return self.body(piece).map(|bytes| Passed { bytes, head: None });
        };
        let end = match scanner.feed(piece, self.max_head) {
            Fed::More => return Ok(Passed { bytes: piece.len(), head: None }),
            Fed::TooLarge => {
                self.phase = Phase::Shut;
                return Err(Stop::HeadTooLarge);
            }
            Fed::End(end) => end,
        };
        let (findings, framing) = (scanner.findings(), scanner.framing());
        self.upgrade = scanner.asks_upgrade();
        self.phase = match framing {
            _ if findings.is_invalid() => Phase::Shut,
            Framing::None => Phase::Done,
            Framing::Length(length) => Phase::Length(length),
            Framing::Chunked => Phase::Chunked(ChunkScanner::default()),
        };
        let body = piece.get(end..).unwrap_or_default();
        // A fault in the body is told at the next read: the head is in order and shall be seen.
        let bytes = end + if body.is_empty() { 0 } else { self.body(body).unwrap_or(0) };
        Ok(Passed { bytes, head: Some(findings) })
    }

    fn body(&mut self, piece: &[u8]) -> Result<usize, Stop> {
        match &mut self.phase {
            Phase::Open => Ok(piece.len()),
            Phase::Done => Ok(0),
            Phase::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= take as u64;
                if *left == 0 {
                    self.phase = Phase::Done;
                }
                Ok(take)
            }
            Phase::Chunked(scanner) => match scanner.feed(piece) {
                Chunks::More => Ok(piece.len()),
                Chunks::End(end) => {
                    self.phase = Phase::Done;
                    Ok(end)
                }
                Chunks::Broken(sound) => {
                    self.phase = Phase::Shut;
                    self.broken = true;
                    if sound == 0 { Err(Stop::Framing) } else { Ok(sound) }
                }
            },
            Phase::Head(_) | Phase::Shut => Err(Stop::Framing),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";

    fn gate() -> Gate {
        let mut gate = Gate::new(1024);
        gate.begin_head();
        gate
    }

    #[test]
    fn keeps_the_body_from_a_request_with_two_lengths() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut gate = gate();
        let passed = gate.pass(&[head, b"0\r\n\r\nGET / HTTP/1.1\r\n".as_slice()].concat()).unwrap();
        assert_eq!(passed.bytes, head.len());
        assert!(passed.head.unwrap().is_invalid());
        assert_eq!(gate.pass(b"abc"), Err(Stop::Framing));
        assert!(!gate.is_done());
    }

    #[test]
    fn tells_a_broken_body_after_the_head_was_seen() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut gate = gate();
        assert_eq!(gate.pass(&[head, b"2;\r\n".as_slice()].concat()).unwrap().bytes, head.len());
        assert!(gate.is_broken());
        assert_eq!(gate.pass(b"aa"), Err(Stop::Framing));
    }

    #[test]
    fn passes_nothing_of_a_head_that_is_too_long() {
        assert_eq!(gate().pass(&[b'a'; 1025]), Err(Stop::HeadTooLarge));
    }

    proptest! {
        /// Requests one after the other, read in any pieces: each comes out alone and whole.
        #[test]
        fn requests_come_out_one_by_one(
            order in proptest::collection::vec(0_usize..3, 1..6),
            pieces in proptest::collection::vec(1_usize..50, 1..60),
        ) {
            let requests: Vec<&[u8]> = order.into_iter().map(|one| [GET, POST, CHUNKED][one]).collect();
            let mut pieces = pieces.into_iter().cycle();
            let wire = requests.concat();
            let (mut at, mut gate) = (0, Gate::new(1024));
            for request in requests {
                gate.begin_head();
                let mut out: Vec<u8> = Vec::new();
                while !gate.is_done() {
                    let end = wire.len().min(at + pieces.next().unwrap_or(1));
                    let passed = gate.pass(&wire[at..end]).unwrap().bytes;
                    out.extend(&wire[at..at + passed]);
                    at += passed;
                }
                prop_assert_eq!(&out[..], request);
            }
            prop_assert_eq!(at, wire.len());
        }
    }
}
