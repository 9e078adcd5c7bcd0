//! Scene 9: the attestation service goes away and comes back.

use super::{Stage, told};
use crate::demo::Trouble;
use crate::demo::house::{LEEWAY_SECONDS, TOKEN_SECONDS};
use crate::demo::table::Row;
use serde_json::Value;
use std::time::{Duration, Instant};

const PAID: &str = "/paid/v1/paid";

impl Stage<'_> {
    /// 9: tokens in hand pass offline, past their life too, and all is as before when the service is back.
    pub(super) async fn service_away(&mut self) -> Result<Vec<Row>, Trouble> {
        let token = self.token()?;
        let issued = Instant::now();
        self.house.stop_service();
        let offline = self.get(PAID, &[("assay-token", &token)]).await?;
        let tokenless = self.get(PAID, &[]).await?;
        // Past its life, clocks' leeway included: expired for everybody but for `accept_expired`.
        let past = Duration::from_secs(TOKEN_SECONDS + LEEWAY_SECONDS + 1);
        tokio::time::sleep(past.saturating_sub(issued.elapsed())).await;
        let expired = self.get(PAID, &[("assay-token", &token)]).await?;
        let age = issued.elapsed().as_secs();
        let marked = expired.log.get("accepted_expired").and_then(Value::as_bool) == Some(true);
        tokio::task::block_in_place(|| self.house.start_service())?;
        let back = self.until_strict(&token).await?;
        let fresh = self.token()?;
        let again = self.get(PAID, &[("assay-token", &fresh)]).await?;
        Ok(vec![
            Row::new(
                9,
                "the attestation service is stopped; a token in hand",
                format!("{}; without a token: {}", offline.status, tokenless.status),
                format!("{}: verified offline", told(&offline.log)),
                offline.status == 200 && tokenless.status == 401,
            ),
            Row::new(
                9,
                format!("the same token {age} s after it was issued (life: {TOKEN_SECONDS} s)"),
                expired.status.to_string(),
                "accept_expired: we issued it, and none can be had now",
                expired.status == 200 && marked,
            ),
            Row::new(
                9,
                "the service comes back",
                format!("the old token: {back}; a new one: {}", again.status),
                told(&again.log),
                back == 401 && again.status == 200,
            ),
        ])
    }

    /// Waits until the gateway has seen the service again, which ends `accept_expired`.
    async fn until_strict(&self, expired: &str) -> Result<u16, Trouble> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let seen = self.get(PAID, &[("assay-token", expired)]).await?;
            if seen.status != 200 || Instant::now() > deadline {
                return Ok(seen.status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
