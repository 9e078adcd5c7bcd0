//! The write side of [`GuardedIo`]: one system call, and one TLS record, for an answer that fits.
//!
//! In: the writes of Pingora, a head and then pieces of a body, each with or without a flush. Out: the same bytes in as
//! few writes as possible. Nothing stays behind: every flush empties the buffer, and a close that the client does not
//! let us finish is given up.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{io::AsyncWrite, time::sleep};

use super::{GuardedIo, closed};

/// Writes below this are collected.
pub(super) const COALESCE: usize = 4096;
/// Room for a head and a small body, so that the second does not move the first.
const FIRST_ROOM: usize = 1024;
/// How long a close waits for a client that does not read.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

impl GuardedIo {
    /// Sends what was collected.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            let Some(socket) = &mut self.socket else { return Poll::Ready(Err(closed())) };
            let rest = self.out.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends what was collected and `bytes` behind it; answers how much of `bytes` went out, 1 or more.
    fn poll_send_both(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Some(socket) = &mut self.socket else { return Poll::Ready(Err(closed())) };
            let rest = self.out.get(self.sent..).unwrap_or_default();
            let collected = rest.len();
            if collected == 0 {
                self.out.clear();
                self.sent = 0;
                return Pin::new(socket).poll_write(cx, bytes);
            }
            let slices = [IoSlice::new(rest), IoSlice::new(bytes)];
            match ready!(Pin::new(socket).poll_write_vectored(cx, &slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n if n > collected => {
                    self.out.clear();
                    self.sent = 0;
                    return Poll::Ready(Ok(n - collected));
                }
                n => self.sent += n,
            }
        }
    }

    /// Takes note of what is being answered.
    fn note_answer(&mut self, bytes: &[u8]) {
        self.answered = true;
        // After 101 the bytes are no longer HTTP. Only a request that asked may be answered so; Pingora's own
        // upgrade state is not visible from below, its answer is.
        if self.gate.asks_upgrade() && bytes.starts_with(b"HTTP/1.1 101 ") {
            self.gate.open();
        }
    }
}

impl AsyncWrite for GuardedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.facts.is_http2() {
            let Some(socket) = &mut this.socket else { return Poll::Ready(Err(closed())) };
            return Pin::new(socket).poll_write(cx, bytes);
        }
        this.note_answer(bytes);
        if this.out.len() + bytes.len() <= COALESCE && this.socket.is_some() {
            if this.out.capacity() == 0 {
                this.out.reserve(FIRST_ROOM);
            }
            this.out.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        this.poll_send_both(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.facts.is_http2() {
            let Some(socket) = &mut this.socket else { return Poll::Ready(Err(closed())) };
            return Pin::new(socket).poll_write_vectored(cx, slices);
        }
        // Pingora's HTTP/1 writer never comes here.
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        Pin::new(this).poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.facts.is_http2()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let Some(socket) = &mut self.socket else { return Poll::Ready(Err(closed())) };
        Pin::new(socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let closing = match this.poll_drain(cx) {
            Poll::Ready(Ok(())) => match &mut this.socket {
                Some(socket) => Pin::new(socket).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            },
            other => other,
        };
        if closing.is_ready() {
            return closing;
        }
        // Pingora waits for this without a time-out of its own: a client that stopped reading must not hold us.
        let late = this.deadline.get_or_insert_with(|| Box::pin(sleep(CLOSE_PATIENCE)));
        ready!(late.as_mut().poll(cx));
        this.socket = None;
        Poll::Ready(Ok(()))
    }
}
