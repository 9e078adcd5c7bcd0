//! The lingering close: an answer that was sent is also read.
//!
//! In: a socket whose client is still sending, and maybe an answer of our own. Out: nothing; the socket is closed soon.
//! Closing a socket that has unread bytes makes the kernel send a reset, which can destroy the answer before the
//! client has read it. So the answer goes out, then FIN, and for a short and bounded while what comes is thrown away.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::Socket;

/// The longest that a closed connection is kept for its client's sake.
const LINGER_TIME: Duration = Duration::from_millis(500);
/// The most that is read and thrown away meanwhile.
const LINGER_BYTES: usize = 256 * 1024;

/// Answers to heads that no parser will see. They name no server and carry no decision id: nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canned {
    /// The head did not come whole in time.
    HeadTimeout,
    /// The head is longer than its limit.
    HeadTooLarge,
}

impl Canned {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::HeadTimeout => {
                b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\r\nThe request head took too long.\n"
            }
            Self::HeadTooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 31\r\n\r\nThe request head is too large.\n"
            }
        }
    }
}

/// Closes `socket` gently, in a task of its own; the seat stays taken until it is closed.
///
/// With few seats left, or outside a runtime, it is closed at once.
pub(crate) fn close(mut socket: Socket, answer: Option<Canned>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if socket.seat().are_scarce() {
        return;
    }
    runtime.spawn(async move {
        let gently = async {
            if let Some(answer) = answer {
                socket.write_all(answer.bytes()).await?;
            }
            socket.shutdown().await?;
            let mut waste = [0; 2048];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match socket.read(&mut waste).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            std::io::Result::Ok(())
        };
        // Whatever goes wrong here, the connection was over before.
        let _ = pingora_timeout::timeout(LINGER_TIME, gently).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_answers_have_the_length_they_state() {
        for canned in [Canned::HeadTimeout, Canned::HeadTooLarge] {
            let text = std::str::from_utf8(canned.bytes()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{canned:?}: {}", body.len());
            assert!(!head.to_ascii_lowercase().contains("server:"));
        }
    }
}
