//! `GuardedIo`: the client's connection as Pingora sees it, with our guards around every byte.
//!
//! In: a [`Socket`] (above TLS, so these are HTTP bytes) and the connection's facts. Out: a stream that Pingora reads
//! and writes. Proven between: a head is whole within its time and its size or the connection is cut with an answer;
//! what was strange about it is in the facts; no byte of the next request passes before this one is finished; and an
//! answer leaves in one write where it fits.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use pingora_core::protocols::{SocketDigest, raw_connect::ProxyDigest, tls::SslDigest};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    facts::{ConnFacts, HeadPhase},
    gate::{Gate, Stop},
    linger::{self, Canned},
    socket::Socket,
};

mod digests;
mod write;

/// What is read ahead while a connection is parked, or while the next request has to wait.
const READ_AHEAD: usize = 4096;

/// One client connection. Made by the connection's task, lent to Pingora for each request.
pub(crate) struct GuardedIo {
    /// `None` once the connection was cut.
    socket: Option<Socket>,
    facts: Arc<ConnFacts>,
    gate: Gate,
    /// Read from the socket, not yet passed on. Bounded by the largest single read, 64 KiB.
    pending: BytesMut,
    /// Written by Pingora, not yet sent; below [`write::COALESCE`] bytes.
    out: Vec<u8>,
    /// How much of `out` was sent.
    sent: usize,
    /// Runs while a head is late, or a close is.
    deadline: Option<Pin<Box<Sleep>>>,
    head_timeout: Duration,
    /// Something was written since the head began.
    answered: bool,
    end_of_stream: bool,
    /// The connection's facts in the shape in which Pingora hands them to each request.
    digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
    ssl_digest: Option<Arc<SslDigest>>,
}

impl GuardedIo {
    /// Guards `socket`; heads are bounded by `max_head` bytes and `head_timeout` from their first byte.
    pub(crate) fn new(socket: Socket, facts: Arc<ConnFacts>, max_head: usize, head_timeout: Duration) -> Box<Self> {
        let (digest, socket_digest, ssl_digest) = digests::build(&socket, &facts);
        Box::new(Self {
            socket: Some(socket),
            facts,
            gate: Gate::new(max_head),
            pending: BytesMut::new(),
            out: Vec::new(),
            sent: 0,
            deadline: None,
            head_timeout,
            answered: false,
            end_of_stream: false,
            digest,
            socket_digest,
            ssl_digest,
        })
    }

    /// The connection's facts.
    pub(crate) fn facts(&self) -> &Arc<ConnFacts> {
        &self.facts
    }

    /// The open socket.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// Lets everything pass, both ways, from now on: HTTP/2 has its own framing and its own buffers.
    pub(crate) fn open(&mut self) {
        self.gate.open();
    }

    /// Waits until something was read, without consuming it. False: the client has left.
    ///
    /// # Errors
    /// Whatever the socket says.
    pub(crate) async fn first_bytes(&mut self) -> io::Result<bool> {
        std::future::poll_fn(
            |cx| {
                if self.pending.is_empty() { self.poll_read_ahead(cx) } else { Poll::Ready(Ok(true)) }
            },
        )
        .await
    }

    /// Waits for more bytes beyond those that wait already. False: the client has left.
    ///
    /// # Errors
    /// Whatever the socket says.
    pub(crate) async fn more_bytes(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|cx| self.poll_read_ahead(cx)).await
    }

    /// What was read and not yet passed on.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.pending
    }

    /// Begins the head phase of the next request.
    pub(crate) fn begin_head(&mut self) {
        self.gate.begin_head();
        self.answered = false;
        self.facts.enter_head();
    }

    /// Whether this request was read to its end and the connection can serve another.
    pub(crate) fn is_reusable(&self) -> bool {
        self.gate.is_done() && self.socket.is_some() && !self.end_of_stream
    }

    /// Gives back what is not needed while nothing happens.
    pub(crate) fn rest(&mut self) {
        self.deadline = None;
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// Reads into `pending`, at most [`READ_AHEAD`] bytes at a time. False at the end of the stream.
    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Err(closed())) };
        let mut space = [std::mem::MaybeUninit::uninit(); READ_AHEAD];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(socket).poll_read(cx, &mut buf))?;
        self.end_of_stream = buf.filled().is_empty();
        self.pending.extend_from_slice(buf.filled());
        Poll::Ready(Ok(!self.end_of_stream))
    }

    /// Between the end of a request and its answer: tells when the client leaves, and keeps what it sends for later.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending.is_empty() {
            if !ready!(self.poll_read_ahead(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        // The next request is there already, so its client is too. Nobody need wake us: the next read is a new one.
        Poll::Pending
    }

    /// Gathers the head in `pending` until it is whole. False: the client left before that.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match self.gate.head(&self.pending) {
                Ok(Some(findings)) => {
                    self.facts.set_findings(findings);
                    if findings.is_invalid() {
                        self.facts.stats().malformed.add();
                    }
                    return Poll::Ready(Ok(true));
                }
                Ok(None) => {}
                Err(stop) => return Poll::Ready(Err(self.stopped(stop))),
            }
            match self.poll_read_ahead(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    self.facts.set_head(HeadPhase::Gone);
                    return Poll::Ready(Ok(false));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_deadline(cx).map(Err),
            }
        }
    }

    /// How much of `bytes` may pass; a fault goes into the facts.
    fn pass(gate: &mut Gate, facts: &ConnFacts, bytes: &[u8]) -> Result<usize, Stop> {
        let passed = gate.pass(bytes);
        if gate.is_broken() {
            facts.set_broken_body();
        }
        passed
    }

    /// Passes on what was read ahead, as far as it belongs to this request and fits.
    fn read_pending(&mut self, buf: &mut ReadBuf<'_>) -> Result<(), Stop> {
        let piece = self.pending.get(..buf.remaining()).unwrap_or(&self.pending);
        let passed = Self::pass(&mut self.gate, &self.facts, piece)?;
        if let Some(passing) = self.pending.get(..passed) {
            buf.put_slice(passing);
        }
        self.pending.advance(passed);
        Ok(())
    }

    /// Reads from the socket into `buf`, and keeps back what belongs to the next request.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Err(closed())) };
        let before = buf.filled().len();
        ready!(Pin::new(socket).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            self.end_of_stream = true;
            return Poll::Ready(Ok(()));
        }
        let passed = Self::pass(&mut self.gate, &self.facts, read);
        let kept = passed.unwrap_or(0);
        self.pending.extend_from_slice(read.get(kept..).unwrap_or_default());
        buf.set_filled(before + kept);
        Poll::Ready(passed.map(drop).map_err(|stop| self.stopped(stop)))
    }

    /// While no stage has seen the head: runs its clock, from the first time that it lets us wait.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.facts.head_phase() != HeadPhase::Open {
            self.deadline = None;
            return Poll::Pending;
        }
        let late = self.deadline.get_or_insert_with(|| Box::pin(sleep(self.head_timeout)));
        ready!(late.as_mut().poll(cx));
        self.facts.stats().head_timeout.add();
        Poll::Ready(self.cut(Canned::HeadTimeout))
    }

    /// Answers in place of everybody else and takes the connection away.
    fn cut(&mut self, answer: Canned) -> io::Error {
        self.facts.set_head(HeadPhase::Cut);
        self.pending = BytesMut::new();
        if let Some(socket) = self.socket.take() {
            linger::close(socket, Some(answer));
        }
        closed()
    }

    fn stopped(&mut self, stop: Stop) -> io::Error {
        match stop {
            Stop::HeadTooLarge => {
                self.facts.stats().head_too_large.add();
                self.cut(Canned::HeadTooLarge)
            }
            Stop::Framing => io::Error::new(io::ErrorKind::InvalidData, "the request's framing is not sound"),
        }
    }
}

impl AsyncRead for GuardedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.gate.is_in_head() && !ready!(this.poll_head(cx))? {
            return Poll::Ready(Ok(()));
        }
        if this.gate.is_shut() {
            return Poll::Ready(Err(this.stopped(Stop::Framing)));
        }
        let read = if this.gate.is_done() {
            this.poll_idle(cx)
        } else if this.pending.is_empty() {
            this.poll_socket(cx, buf)
        } else {
            return Poll::Ready(this.read_pending(buf).map_err(|stop| this.stopped(stop)));
        };
        // A parser that wants more of a head that is whole for us runs into the head's deadline.
        if read.is_pending() { this.poll_deadline(cx).map(Err) } else { read }
    }
}

impl Drop for GuardedIo {
    /// An answer given to a client that is still sending (a refusal in the middle of an upload) is also read.
    fn drop(&mut self) {
        let rude = self.answered && !self.end_of_stream && !self.gate.is_open();
        if rude
            && !(self.gate.is_done() && self.pending.is_empty())
            && let Some(socket) = self.socket.take()
        {
            linger::close(socket, None);
        }
    }
}

impl fmt::Debug for GuardedIo {
    /// Pingora prints streams into its logs; the peer says enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedIo").field("peer", &self.facts.peer()).finish_non_exhaustive()
    }
}

/// The error of a connection that was cut.
fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}
