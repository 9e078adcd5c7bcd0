//! Has the client left? Asked while a request waits for its turn, so that it waits for nobody no longer.
//!
//! In: a request in hand, its body perhaps still on the way. Out: a future that ends when the client is gone. Not one
//! byte is read: Pingora's own `idle` and `read_body_or_idle` take a byte off the socket, which is a byte of the body.

use std::{os::fd::AsFd, time::Duration};

use pingora_proxy::Session;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{io::Interest, net::TcpStream};

use super::guarded::GuardedIo;

/// How often a socket with unread bytes is asked; readiness alone can't tell a FIN behind them.
const TICK: Duration = Duration::from_millis(20);

/// Ends when the client of `session` has gone: FIN or reset on HTTP/1, `RST_STREAM` or a lost connection on HTTP/2.
///
/// A client that closes its sending side and waits counts as gone, as it does for Pingora. The body stays unread and
/// whole. Drop the future to stop watching. Cost: nothing for a request without unread bytes, else one `poll` a tick.
pub async fn client_left(session: &mut Session) {
    if let Some(closed) = session.downstream_session.watch_h2_stream_close() {
        // A reset and a lost connection alike: nobody waits for the answer.
        let _ = closed.await;
        return;
    }
    let guarded =
        session.downstream_session.stream().and_then(|stream| (**stream).as_any().downcast_ref::<GuardedIo>());
    match guarded.map(GuardedIo::socket) {
        Some(Some(socket)) => left(socket.tcp()).await,
        Some(None) => {}
        // A stream that is not ours (another listener's): nothing is known, nothing is claimed.
        None => std::future::pending().await,
    }
}

async fn left(tcp: &TcpStream) {
    // Returns at once if there are unread bytes; sleeps until something happens if there are none.
    while let Ok(ready) = tcp.ready(Interest::READABLE).await {
        if ready.is_read_closed() || has_hung_up(tcp) {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Whether the peer has closed its side, whatever bytes are still unread.
fn has_hung_up(tcp: &TcpStream) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(tcp.as_fd(), PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(0) => false,
        Ok(_) => true,
        // Interrupted: the next tick asks again. Anything else means the descriptor is no socket any more.
        Err(error) => error != rustix::io::Errno::INTR,
    }
}
