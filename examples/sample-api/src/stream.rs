//! Server-sent events. Comes in: how many (`n`) and how far apart (`ms`). Goes out: events that each carry
//! their send time in milliseconds since 1970, so that a reader can tell whether somebody held them back.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::Query;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

/// The longest pause a caller may ask for, in milliseconds.
pub(crate) const MAX_WAIT_MS: u64 = 60_000;
/// The most events of one stream.
const MAX_EVENTS: u64 = 10_000;

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default = "five")]
    n: u64,
    #[serde(default = "two_hundred")]
    ms: u64,
}

fn five() -> u64 {
    5
}

fn two_hundred() -> u64 {
    200
}

/// `data: {"n":1,"of":5,"sent_ms":...}`: the first at once, each further one after the pause.
pub(crate) async fn events(Query(asked): Query<Asked>) -> impl IntoResponse {
    let of = asked.n.min(MAX_EVENTS);
    let pause = Duration::from_millis(asked.ms.min(MAX_WAIT_MS));
    Sse::new(stream::unfold(0_u64, move |sent| async move {
        if sent >= of {
            return None;
        }
        if sent > 0 {
            tokio::time::sleep(pause).await;
        }
        let n = sent.saturating_add(1);
        let event = Event::default().data(json!({ "n": n, "of": of, "sent_ms": now_ms() }).to_string());
        Some((Ok::<_, Infallible>(event), n))
    }))
}

#[expect(clippy::disallowed_methods, reason = "the send time is this endpoint's content; nothing is decided by it")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
