//! Scenes 7, 8 and 12: the key on its way back, streams, and a key that is pointed elsewhere.

use super::Stage;
use crate::demo::Trouble;
use crate::demo::house::{gateway_yaml, json};
use crate::demo::table::Row;
use futures_util::StreamExt;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Events of scene 8, and the time between two.
const EVENTS: u64 = 5;
const EVENT_GAP: Duration = Duration::from_millis(200);

impl Stage<'_> {
    /// 7: an endpoint that echoes what it was sent.
    pub(super) async fn echo(&self) -> Result<Vec<Row>, Trouble> {
        let token = self.token()?;
        let seen = self.get("/paid/v1/echo", &[("assay-token", &token), ("x-api-key", "the client's own")]).await?;
        let key = &self.house.key;
        let in_headers = seen.headers.values().any(|v| String::from_utf8_lossy(v.as_bytes()).contains(key));
        let in_body = seen.body.contains(key);
        let echoed = seen.headers.contains_key("x-echo-key") && seen.body.contains('*');
        let token_went_up = seen.body.contains(&token) || seen.body.to_ascii_lowercase().contains("assay-token");
        let own_went_up = seen.body.contains("the client's own");
        let scrubbed = seen.log.get("scrubbed").and_then(Value::as_u64).unwrap_or(0);
        let yes_no = |yes: bool| if yes { "YES" } else { "no" };
        Ok(vec![Row::new(
            7,
            "an API endpoint that echoes its request, the key included",
            format!("{}; key in headers: {}, in body: {}", seen.status, yes_no(in_headers), yes_no(in_body)),
            format!(
                "masked {scrubbed} times on the way back; the attestation token was{} forwarded",
                if token_went_up { "" } else { " not" }
            ),
            seen.status == 200 && echoed && !in_headers && !in_body && !token_went_up && !own_went_up && scrubbed >= 2,
        )])
    }

    /// 8: server-sent events arrive one by one.
    pub(super) async fn stream(&self) -> Result<Vec<Row>, Trouble> {
        let token = self.token()?;
        let url = self.house.url(&format!("/paid/v1/stream?n={EVENTS}&ms={}", EVENT_GAP.as_millis()));
        let answer = self.client.get(url).header("assay-token", token).send().await?;
        let status = answer.status().as_u16();
        let mut arrivals: Vec<Instant> = Vec::new();
        let mut events = 0;
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            let count = chunk?.windows(2).filter(|w| w == b"\n\n").count();
            if count > 0 {
                arrivals.push(Instant::now());
            }
            events += count;
        }
        let gaps: Vec<Duration> =
            arrivals.windows(2).filter_map(|w| Some(w.get(1)?.duration_since(*w.first()?))).collect();
        let shortest = gaps.iter().min().copied().unwrap_or_default();
        // One by one: as many arrivals as events, and none of them together with another.
        let right = status == 200 && events as u64 == EVENTS && arrivals.len() == events && shortest > EVENT_GAP / 4;
        Ok(vec![Row::new(
            8,
            format!("{EVENTS} server-sent events, {} ms apart", EVENT_GAP.as_millis()),
            format!(
                "{status}; {events} events in {} arrivals, never closer than {} ms",
                arrivals.len(),
                shortest.as_millis()
            ),
            "passed on unbuffered, through the response guard",
            right,
        )])
    }

    /// 12: the operator points the sealed key at another host.
    pub(super) async fn key_moved(&self) -> Result<Vec<Row>, Trouble> {
        let file = self.house.file("gateway.yaml");
        let good = std::fs::read_to_string(&file).map_err(|e| Trouble::new(e.to_string()))?;
        let bad = gateway_yaml("127.0.0.1:9", &self.house.service_url);
        let before = self.status().await?;
        replace(&file, &bad)?;
        let after = self.reload_after(&before).await?;
        let reason = after.pointer("/last_reload/error").and_then(Value::as_str).unwrap_or("").to_owned();
        let same = before.get("generation") == after.get("generation");
        let token = self.token()?;
        let still = self.get("/paid/v1/paid", &[("assay-token", &token)]).await?;
        replace(&file, &good)?;
        let first = reason.lines().map(str::trim).find(|l| l.contains("paid-api")).unwrap_or("no reason").to_owned();
        let right = same && still.status == 200 && reason.contains("paid-api");
        Ok(vec![Row::new(
            12,
            "the operator points the sealed key at another host in the YAML",
            format!("the reload is refused; the running configuration still answers {}", still.status),
            first,
            right,
        )])
    }

    async fn status(&self) -> Result<Value, Trouble> {
        let url = format!("http://{}/status", self.house.admin);
        let text = self.client.get(url).send().await?.error_for_status()?.text().await?;
        json(&text).ok_or_else(|| Trouble::new("the admin listener's status is not JSON"))
    }

    /// The first status whose last reload is not the one of `before`.
    async fn reload_after(&self, before: &Value) -> Result<Value, Trouble> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let now = self.status().await?;
            if now.get("last_reload") != before.get("last_reload") {
                return Ok(now);
            }
            if Instant::now() > deadline {
                return Err(Trouble::new("the gateway did not notice that its file changed"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// As an editor saves: a new file, renamed over the old one.
pub(super) fn replace(file: &std::path::Path, text: &str) -> Result<(), Trouble> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, file))
        .map_err(|e| Trouble::new(format!("{}: {e}", file.display())))
}
