//! Scenes 4 and 10: scripts without a token, one at a time and as a flood.

use super::{Stage, load, text, told};
use crate::demo::Trouble;
use crate::demo::table::Row;
use std::time::Duration;
use tokio::sync::watch;

/// Busy with each request for this long, so that capacity means something.
const SLOW: &str = "/catalogue/v1/catalogue/slow?ms=10";

impl Stage<'_> {
    /// 4: no token, on three routes.
    pub(super) async fn tokenless(&self) -> Result<Vec<Row>, Trouble> {
        let paid = self.get("/paid/v1/paid", &[]).await?;
        let catalogue = self.get("/catalogue/v1/catalogue/items", &[]).await?;
        let monitored = self.get("/monitored/open/hello", &[]).await?;
        let would = text(&monitored.log, "would").to_owned();
        Ok(vec![
            Row::new(
                4,
                "a script without a token: the paid route",
                paid.answer(),
                told(&paid.log),
                paid.status == 401 && paid.verdict() == "missing",
            ),
            Row::new(
                4,
                "… the catalogue route",
                catalogue.answer(),
                format!("{}: deprioritized to class {}", told(&catalogue.log), text(&catalogue.log, "class")),
                catalogue.status == 200 && text(&catalogue.log, "action") == "deprioritize",
            ),
            Row::new(
                4,
                "… a route that is monitored",
                monitored.answer(),
                format!("let through and counted: enforcing would {would}"),
                monitored.status == 200 && would == "block",
            ),
        ])
    }

    /// 10: a flood, with genuine clients in the middle of it.
    pub(super) async fn flooded(&self, seconds: u64) -> Result<Vec<Row>, Trouble> {
        let (send, tokens) = watch::channel(self.token()?);
        let url = self.house.url(SLOW);
        let load = load::flood(&url, tokens, Duration::from_secs(seconds));
        tokio::pin!(load);
        // Tokens live six seconds here: phones take new ones while the flood runs.
        let mut renew = tokio::time::interval(Duration::from_secs(2));
        let (genuine, flood) = loop {
            tokio::select! {
                done = &mut load => break done?,
                _ = renew.tick() => { let _ = send.send(self.token()?); }
            }
        };
        let failure = genuine.first_failure.clone().map(|f| format!("; first failure: {f}")).unwrap_or_default();
        Ok(vec![
            Row::new(
                10,
                format!("a flood without tokens for {seconds} s: genuine clients"),
                format!(
                    "{:.1} % of {} served, p99 {} ms{failure}",
                    genuine.percent(),
                    genuine.sent,
                    genuine.p99().as_millis()
                ),
                "their class comes first, with a reserve",
                genuine.sent > 0 && genuine.served == genuine.sent,
            ),
            Row::new(
                10,
                "… the flood",
                format!("{:.1} % of {} served, p99 {} ms", flood.percent(), flood.sent, flood.p99().as_millis()),
                "spare capacity only; the rest: 503 before anything is spent on it",
                true,
            ),
        ])
    }
}
