//! A flood without tokens while genuine clients go on working: what each side gets.
//!
//! In: where to send, a source of fresh tokens, how long. Out: served, refused and p99 of both sides. The load is
//! bounded in connections and in time, and goes to loopback only.

use super::Trouble;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Connections of the flood, and of the genuine clients.
const FLOOD_CONNECTIONS: usize = 96;
const GENUINE_CONNECTIONS: usize = 4;

/// A genuine client rests this long between two calls.
const REST: Duration = Duration::from_millis(20);

/// What one side got.
#[derive(Debug, Default, Clone)]
pub(super) struct Side {
    /// Requests sent.
    pub(super) sent: u64,
    /// Answers with status 200.
    pub(super) served: u64,
    /// First answer or error that was not 200.
    pub(super) first_failure: Option<String>,
    latencies: Vec<Duration>,
}

impl Side {
    /// Share of requests that were served, in percent.
    pub(super) fn percent(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { 100.0 * self.served as f64 / self.sent as f64 }
    }

    /// The 99th percentile of all answers' times.
    pub(super) fn p99(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_mul(99) / 100).or(sorted.last()).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Side) {
        self.sent += other.sent;
        self.served += other.served;
        self.latencies.extend(other.latencies);
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    async fn call(&mut self, client: &reqwest::Client, url: &str, token: Option<&str>) {
        let mut request = client.get(url);
        if let Some(token) = token {
            request = request.header("assay-token", token);
        }
        let start = Instant::now();
        let answer = match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                let _ = answer.bytes().await;
                status.to_string()
            }
            Err(error) => format!("{error}"),
        };
        self.sent += 1;
        self.latencies.push(start.elapsed());
        if answer.starts_with("200") {
            self.served += 1;
        } else if self.first_failure.is_none() {
            self.first_failure = Some(answer);
        }
    }
}

/// Runs both sides for `length`. Genuine clients use the newest of `tokens`.
pub(super) async fn flood(
    url: &str,
    tokens: watch::Receiver<String>,
    length: Duration,
) -> Result<(Side, Side), Trouble> {
    let url: Arc<str> = url.into();
    // Made before the clock runs: on a busy machine that alone takes a second.
    let clients = |count| (0..count).map(|_| client()).collect::<Result<Vec<_>, _>>();
    let (flooding, calling) = (clients(FLOOD_CONNECTIONS)?, clients(GENUINE_CONNECTIONS)?);
    let end = Instant::now() + length;
    let mut flood = Vec::with_capacity(FLOOD_CONNECTIONS);
    for client in flooding {
        let url = Arc::clone(&url);
        flood.push(tokio::spawn(async move {
            let mut side = Side::default();
            while Instant::now() < end {
                side.call(&client, &url, None).await;
            }
            side
        }));
    }
    let mut genuine = Vec::with_capacity(GENUINE_CONNECTIONS);
    for client in calling {
        let url = Arc::clone(&url);
        let tokens = tokens.clone();
        genuine.push(tokio::spawn(async move {
            let mut side = Side::default();
            while Instant::now() < end {
                let token = tokens.borrow().clone();
                side.call(&client, &url, Some(&token)).await;
                tokio::time::sleep(REST).await;
            }
            side
        }));
    }
    Ok((together(genuine).await?, together(flood).await?))
}

async fn together(tasks: Vec<tokio::task::JoinHandle<Side>>) -> Result<Side, Trouble> {
    let mut sum = Side::default();
    for task in tasks {
        sum.add(task.await.map_err(|e| Trouble::new(format!("the load stopped: {e}")))?);
    }
    Ok(sum)
}

/// One connection of its own, like one phone.
fn client() -> Result<reqwest::Client, Trouble> {
    Ok(reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).timeout(Duration::from_secs(10)).build()?)
}
