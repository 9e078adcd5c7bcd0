//! Has the client left? Asked while a request waits for its turn, so that it waits for nobody no longer.
//!
//! In: a request in hand, its body perhaps still on the way. Out: a future that ends when the client is gone. Not one
//! byte is read: Pingora's own `idle` and `read_body_or_idle` take a byte off the socket, which is a byte of the body.

use std::time::Duration;

use pingora_proxy::Session;
use tokio::{io::Interest, net::TcpStream};

use super::guarded::GuardedIo;

/// How often a connection with unread bytes is looked at: there is no waiting for a FIN alone.
const TICK: Duration = Duration::from_millis(20);

/// Ends when the client of `session` has gone: FIN or reset on HTTP/1, `RST_STREAM` or a lost connection on HTTP/2.
///
/// A client that closes its sending side and waits counts as gone, as it does for Pingora. The body stays unread and
/// whole. Drop the future to stop watching. Costs no system call: without unread
/// bytes it sleeps until the client stirs, with them it looks every 20 ms at what the event loop knows.
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
    // Sleeps until something happens if there are no unread bytes, else returns at once.
    while let Ok(ready) = tcp.ready(Interest::READABLE).await {
        // The event loop remembers a FIN or a reset, also behind unread bytes.
        if ready.is_read_closed() {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}
