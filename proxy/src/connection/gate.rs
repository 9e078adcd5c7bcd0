//! The gate: lets the bytes of one request through at a time, and none of the next.
//!
//! In: bytes as they are read from the client. Out: how many of them belong to the request in hand. Proven between: a
//! head passes when it is whole, so that the parser behind reads it once however it dribbled in; whoever reads behind
//! the gate never holds a byte of a later request, so that a connection between two requests can be parked with
//! nothing but the gate's own leftovers; and a request whose framing is in doubt gets no body at all.

use super::{
    chunked::{ChunkScanner, Chunks},
    findings::HeadFindings,
    head::{Fed, Framing, HeadScanner},
};

/// Where in a request the connection is.
#[derive(Debug)]
enum Phase {
    /// The head is not whole yet: nothing passes.
    Head(HeadScanner),
    /// The head is whole and so many bytes of it have not passed.
    Whole(usize, Body),
    Body(Body),
    /// Everything passes: HTTP/2, or after a switch of protocols.
    Open,
}

/// What follows the head, and how much of it is still to come.
#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(ChunkScanner),
    /// The request has been read whole; what comes now waits.
    Done,
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
        Self { phase: Phase::Body(Body::Done), max_head, upgrade: false, broken: false }
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
        matches!(self.phase, Phase::Body(Body::Done))
    }

    /// Whether everything passes.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether the head is still being gathered: [`Gate::head`] comes before [`Gate::pass`].
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.phase, Phase::Head(_))
    }

    /// Whether nothing passes any more.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(self.phase, Phase::Body(Body::Shut))
    }

    /// Whether the request in hand asked for an upgrade, and so may be answered by 101.
    pub(crate) fn asks_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Whether the body broke its coding.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Looks at all that was read of a head. Its findings, once it is whole; from then on it may pass.
    ///
    /// # Errors
    /// [`Stop::HeadTooLarge`], and nothing passes any more.
    pub(crate) fn head(&mut self, so_far: &[u8]) -> Result<Option<HeadFindings>, Stop> {
        let Phase::Head(scanner) = &mut self.phase else { return Ok(None) };
        let length = match scanner.feed(so_far, self.max_head) {
            Fed::More => return Ok(None),
            Fed::End(length) => length,
            Fed::TooLarge => {
                self.phase = Phase::Body(Body::Shut);
                return Err(Stop::HeadTooLarge);
            }
        };
        let findings = scanner.findings();
        self.upgrade = scanner.asks_upgrade();
        let body = match scanner.framing() {
            _ if findings.is_invalid() => Body::Shut,
            Framing::None => Body::Done,
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(ChunkScanner::default()),
        };
        self.phase = Phase::Whole(length, body);
        Ok(Some(findings))
    }

    /// How many leading bytes of `piece`, which must not be empty, belong to this request and pass.
    ///
    /// After [`Gate::is_done`] that is none of them.
    ///
    /// # Errors
    /// [`Stop::Framing`] if nothing may pass any more.
    pub(crate) fn pass(&mut self, piece: &[u8]) -> Result<usize, Stop> {
        match &mut self.phase {
            Phase::Open => Ok(piece.len()),
            Phase::Head(_) => Ok(0),
            Phase::Body(body) => body.pass(piece, &mut self.broken),
            Phase::Whole(left, body) => {
                let head = piece.len().min(*left);
                *left -= head;
                if *left > 0 {
                    return Ok(head);
                }
                let mut body = std::mem::replace(body, Body::Done);
                let rest = piece.get(head..).unwrap_or_default();
                // A fault in the body is told at the next read: the head is in order and shall be seen.
                let passed = if rest.is_empty() { 0 } else { body.pass(rest, &mut self.broken).unwrap_or(0) };
                self.phase = Phase::Body(body);
                Ok(head + passed)
            }
        }
    }
}

impl Body {
    fn pass(&mut self, piece: &[u8], broken: &mut bool) -> Result<usize, Stop> {
        match self {
            Self::Done => Ok(0),
            Self::Shut => Err(Stop::Framing),
            Self::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(take)
            }
            Self::Chunked(scanner) => match scanner.feed(piece) {
                Chunks::More => Ok(piece.len()),
                Chunks::End(end) => {
                    *self = Self::Done;
                    Ok(end)
                }
                Chunks::Broken(sound) => {
                    *self = Self::Shut;
                    *broken = true;
                    if sound == 0 { Err(Stop::Framing) } else { Ok(sound) }
                }
            },
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
        let wire = [head, b"0\r\n\r\nGET / HTTP/1.1\r\n".as_slice()].concat();
        let mut gate = gate();
        assert!(gate.head(&wire).unwrap().unwrap().is_invalid());
        assert_eq!(gate.pass(&wire), Ok(head.len()));
        assert_eq!(gate.pass(b"abc"), Err(Stop::Framing));
        assert!(gate.is_shut() && !gate.is_done());
    }

    #[test]
    fn tells_a_broken_body_after_the_head_was_seen() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let wire = [head, b"2;\r\n".as_slice()].concat();
        let mut gate = gate();
        assert_eq!(gate.head(&wire), Ok(Some(HeadFindings::NONE)));
        assert_eq!(gate.pass(&wire), Ok(head.len()));
        assert!(gate.is_broken());
        assert_eq!(gate.pass(b"aa"), Err(Stop::Framing));
    }

    #[test]
    fn passes_nothing_of_a_head_that_is_too_long() {
        let mut gate = gate();
        assert_eq!(gate.head(&[b'a'; 1025]), Err(Stop::HeadTooLarge));
        assert_eq!(gate.pass(&[b'a'; 1025]), Err(Stop::Framing));
    }

    #[test]
    fn passes_nothing_of_a_head_that_is_not_whole() {
        let mut gate = gate();
        assert_eq!(gate.head(b"GET / HTTP/1.1\r\n"), Ok(None));
        assert_eq!(gate.pass(b"GET / HTTP/1.1\r\n"), Ok(0));
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
                let mut read = at;
                while gate.is_in_head() {
                    read = wire.len().min(read + pieces.next().unwrap_or(1));
                    prop_assert!(gate.head(&wire[at..read]).unwrap().is_none_or(HeadFindings::is_empty));
                }
                let mut out: Vec<u8> = Vec::new();
                while !gate.is_done() {
                    let end = wire.len().min(at + pieces.next().unwrap_or(1));
                    let passed = gate.pass(&wire[at..end]).unwrap();
                    out.extend(&wire[at..at + passed]);
                    at += passed;
                }
                prop_assert_eq!(&out[..], request);
            }
            prop_assert_eq!(at, wire.len());
        }
    }
}
