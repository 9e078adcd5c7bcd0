//! The fourteen scenes, in the order of the story.
//!
//! In: the house. Out: rows for the table. What the client saw comes from the client; the verdict comes from the
//! gateway's access log, as an operator would read it; the reason comes from the token's support code.

use super::house::{AppRun, House, json};
use super::table::Row;
use super::{Trouble, load};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

mod apps;
mod flood;
mod keys;
mod operator;
mod outage;
mod tokens;

/// Where the scenes play.
pub(super) struct Stage<'a> {
    house: &'a mut House,
    client: reqwest::Client,
    vectors: Option<PathBuf>,
}

/// What came back for one request, and what the gateway's log says of it.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: String,
    log: Value,
}

/// How long a log line may take to come.
const LOG_PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Stage<'a> {
    /// `vectors`: the published Approov examples, where they are there.
    pub(super) fn new(house: &'a mut House, vectors: Option<PathBuf>) -> Result<Self, Trouble> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { house, client, vectors })
    }

    /// Plays one scene.
    pub(super) async fn play(&mut self, number: u8, flood_seconds: u64) -> Result<Vec<Row>, Trouble> {
        match number {
            1 => self.genuine().await,
            2 => self.patched().await,
            3 => self.traced().await,
            4 => self.tokenless().await,
            5 => self.bad_tokens().await,
            6 => self.approov().await,
            7 => self.echo().await,
            8 => self.stream().await,
            9 => self.service_away().await,
            10 => self.flooded(flood_seconds).await,
            11 => self.forged().await,
            12 => self.key_moved().await,
            13 => self.edited().await,
            _ => self.locked_down().await,
        }
    }

    /// One GET with `headers`, and the access-log line that belongs to it.
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Seen, Trouble> {
        let log = self.house.gateway.out().clone();
        let mark = log.mark();
        let mut request = self.client.get(self.house.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = String::from_utf8_lossy(&answer.bytes().await?).into_owned();
        let wanted = path.split('?').next().unwrap_or(path).to_owned();
        let line = tokio::task::spawn_blocking(move || {
            log.wait(mark, LOG_PATIENCE, |line| {
                json(line).filter(|v| v.get("path").and_then(Value::as_str) == Some(&wanted))
            })
        });
        let log = line.await.map_err(|e| Trouble::new(e.to_string()))?;
        let log = log.ok_or_else(|| Trouble::new(format!("the gateway's log has no line for {path}")))?;
        Ok(Seen { status, headers, body, log })
    }

    /// Runs an app and finds the log line of its (one) call.
    async fn app(
        &self,
        path: &str,
        run: impl FnOnce(&House) -> Result<AppRun, Trouble>,
    ) -> Result<(AppRun, Value), Trouble> {
        let log = self.house.gateway.out().clone();
        let mark = log.mark();
        let ran = tokio::task::block_in_place(|| run(self.house))?;
        let line = tokio::task::block_in_place(|| {
            log.wait(mark, LOG_PATIENCE, |line| {
                json(line).filter(|v| v.get("path").and_then(Value::as_str) == Some(path))
            })
        });
        let line = line.ok_or_else(|| Trouble::new(format!("the gateway's log has no line for {path}")))?;
        Ok((ran, line))
    }

    /// A fresh token of the genuine app.
    fn token(&self) -> Result<String, Trouble> {
        tokio::task::block_in_place(|| self.house.genuine_token())
    }
}

impl Seen {
    fn verdict(&self) -> &str {
        text(&self.log, "verdict")
    }

    /// `401 attestation_required`: the status, and the code that the client learns.
    fn answer(&self) -> String {
        match json(&self.body).and_then(|v| v.get("code").and_then(Value::as_str).map(str::to_owned)) {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// A text field of a log line, or nothing.
fn text<'v>(log: &'v Value, field: &str) -> &'v str {
    log.get(field).and_then(Value::as_str).unwrap_or("")
}

/// `verdict failed, rule default`: why, in the log's words.
fn told(log: &Value) -> String {
    format!("verdict {}, rule {}", text(log, "verdict"), text(log, "rule"))
}
