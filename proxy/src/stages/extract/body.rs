//! A whole request body, read before anything is done with it.
//!
//! In: a session whose body is still on its way. Out: the body in Pingora's replay buffer, which plays it to the upstream
//! later, and each piece in the hands of whoever asked. Proven between: it came whole, within its bound and within its time;
//! one that trickles holds nothing but its own connection.

use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use pingora_proxy::Session;
use tokio::time::timeout;

use super::content_length;
use crate::admission::Shed;
use crate::refusal::Stop;

/// Pingora's own bound on what it can play again.
pub(crate) const REPLAY_BYTES: u64 = 64 * 1024;
/// The longest that a whole small body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Reads a whole body of at most `most` bytes, themselves at most [`REPLAY_BYTES`]; returns how many it has.
pub(crate) async fn body_in(session: &mut Session, most: u64, mut piece: impl FnMut(&[u8])) -> Result<u64, Stop> {
    let most = most.min(REPLAY_BYTES);
    if content_length(session).is_some_and(|length| length > most) {
        return Err(Stop::BodyTooLarge);
    }
    session.enable_retry_buffering();
    if session.req_header().headers.contains_key(EXPECT) {
        // It waits for this before it sends anything.
        session.write_continue_response().await.map_err(|_| Stop::Overloaded(Shed::ClientLeft))?;
    }
    let mut length: u64 = 0;
    let whole = async {
        // A body of one byte a second would pass a limit on each read alone.
        while let Some(bytes) = session.read_request_body().await.map_err(|_| Stop::BadRequest("body"))? {
            length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            if length > most || session.retry_buffer_truncated() {
                return Err(Stop::BodyTooLarge);
            }
            piece(&bytes);
        }
        Ok(length)
    };
    timeout(BODY_PATIENCE, whole).await.unwrap_or(Err(Stop::BodyTimeout))
}

/// The whole body, where it is in: what Pingora would play to the upstream. `None`: it is not in, or was too long to be kept.
pub(crate) fn whole_body(session: &mut Session) -> Option<Bytes> {
    if session.is_body_empty() {
        return Some(Bytes::new());
    }
    let kept = session.is_body_done() && !session.retry_buffer_truncated();
    // An empty chunked body leaves no buffer.
    kept.then(|| session.get_retry_buffer().unwrap_or_default())
}
