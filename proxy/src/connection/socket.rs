//! The socket under a connection: TCP or TLS over TCP, and the seat that it occupies.
//!
//! In: an accepted stream, its handshake done. Out: one type to read and write, whatever is below. Proven between: as
//! long as the socket is open its seat is taken, wherever it was moved to; dropping it frees the seat.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::server::TlsStream;

use super::stats::ConnectionStats;

/// One open connection out of the limited number.
#[derive(Debug)]
pub(crate) struct Seat {
    permit: OwnedSemaphorePermit,
    stats: Arc<ConnectionStats>,
    /// With fewer seats left than this, nothing is done merely to be polite.
    scarce: usize,
}

impl Seat {
    /// Counts the connection in; `scarce` as in [`Seat::are_scarce`].
    pub(crate) fn new(permit: OwnedSemaphorePermit, stats: Arc<ConnectionStats>, scarce: usize) -> Self {
        stats.accepted.add();
        stats.open.add();
        Self { permit, stats, scarce }
    }

    /// Whether few seats are left.
    pub(crate) fn are_scarce(&self) -> bool {
        self.permit.semaphore().available_permits() < self.scarce
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stats.open.subtract();
    }
}

/// An open socket on its seat.
#[derive(Debug)]
pub(crate) struct Socket {
    // Fields drop in this order: the descriptor is closed before its seat is given away.
    io: Transport,
    seat: Seat,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(crate) fn plain(io: TcpStream, seat: Seat) -> Self {
        Self { io: Transport::Plain(io), seat }
    }

    pub(crate) fn tls(io: Box<TlsStream<TcpStream>>, seat: Seat) -> Self {
        Self { io: Transport::Tls(io), seat }
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The TCP socket, below TLS if there is any.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match &self.io {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
