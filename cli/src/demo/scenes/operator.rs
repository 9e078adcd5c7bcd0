//! Scenes 13 and 14: an operator edits a policy, and closes a route in an attack.

use super::keys::replace;
use super::{Seen, Stage, json, text, told};
use crate::demo::Trouble;
use crate::demo::table::Row;
use serde_json::Value;
use std::time::{Duration, Instant};

const CATALOGUE: &str = "/catalogue/v1/catalogue/items";
const MONITORED: &str = "/monitored/v1/catalogue/items";

/// The rule of the route `monitored`, as `gateway_yaml` writes it.
const RULES: &str =
    "      enforcement: monitor\n      rules: [{ name: genuine, when: { verdict: attested }, then: allow }]\n";

/// How long an edit or an order may take to be followed.
const PATIENCE: Duration = Duration::from_secs(15);

impl Stage<'_> {
    /// 13: an edit that is broken changes nothing; one that would turn genuine devices away is seen in the shadow.
    pub(super) async fn edited(&self) -> Result<Vec<Row>, Trouble> {
        let file = self.house.file("gateway.yaml");
        let good = std::fs::read_to_string(&file).map_err(|e| Trouble::new(e.to_string()))?;
        let save = |rules: &str| replace(&file, &good.replace(RULES, rules));
        let app = || async { self.get(MONITORED, &[("assay-token", &self.token()?)]).await };

        save(&RULES.replace("attested", "atested"))?;
        let refused = self.until_status(|status| {
            at(status, "/last_reload/error").filter(|why| why.contains("atested")).map(str::to_owned)
        });
        let refused = refused.await?;
        let broken = app().await?;
        let hint = refused.lines().find_map(|line| line.trim().strip_prefix("= help: ")).unwrap_or_default();

        // Nobody has version 10 yet: "3.10" was meant.
        let stricter = RULES.replace("attested }", "attested, app_version: { min: \"10\" } }");
        let candidate = stricter.replace("      enforcement: monitor\n", "");
        save(&format!("{RULES}    candidate:\n      default: block\n{candidate}"))?;
        self.until_status(|status| status.pointer("/last_reload/ok")?.as_bool().filter(|ok| *ok)).await?;
        let shadowed = app().await?;
        let seen = self.until_status(|status| {
            let routes = status.get("routes")?.as_array()?;
            let route = routes.iter().find(|route| at(route, "/name") == Some("monitored"))?;
            route.pointer("/candidate/differences/0").cloned()
        });
        let seen = seen.await?;
        save(RULES)?;
        let word = |name: &str| text(&seen, name);
        Ok(vec![
            Row::new(
                13,
                "a policy is saved with a typo: `verdict: atested`",
                format!("the app: {}", broken.status),
                format!("the policy before goes on, and /status says: {hint}"),
                broken.status == 200 && broken.verdict() == "attested" && hint == "did you mean `attested`?",
            ),
            Row::new(
                13,
                "a stricter policy (`min: \"10\"`) as a candidate, in the shadow",
                format!("the app: {}", shadowed.status),
                format!(
                    "{} {} would become {} {}: caught before a device is turned away",
                    word("rule"),
                    word("action"),
                    word("candidate_rule"),
                    word("candidate_action")
                ),
                shadowed.status == 200 && word("action") == "allow" && word("candidate_action") == "block",
            ),
        ])
    }

    /// 14: one command closes a route to everything but genuine apps, at every gateway; another opens it again.
    pub(super) async fn locked_down(&self) -> Result<Vec<Row>, Trouble> {
        let before = self.get(CATALOGUE, &[]).await?;
        let order = ["panic", "lockdown", "--route", "catalogue", "--for", "1h", "--reason", "a flood"];
        let given = tokio::task::block_in_place(|| self.house.command(&order))?;
        let number = given.pointer("/order/number").and_then(Value::as_u64).unwrap_or_default().to_string();
        let closed = self.until_answer(401).await?;
        let genuine = self.get(CATALOGUE, &[("assay-token", &self.token()?)]).await?;
        tokio::task::block_in_place(|| self.house.command(&["panic", "end", &number, "--reason", "it is over"]))?;
        let open = self.until_answer(200).await?;
        Ok(vec![
            Row::new(
                14,
                "assay panic lockdown --route catalogue --for 1h",
                format!("without a token: {}, then {}; the app: {}", before.status, closed.status, genuine.status),
                format!("{}, panic {} by order {number}", told(&closed.log), text(&closed.log, "panic")),
                before.status == 200
                    && closed.status == 401
                    && genuine.status == 200
                    && text(&closed.log, "panic") == "lockdown",
            ),
            Row::new(
                14,
                format!("assay panic end {number}"),
                format!("without a token: {}", open.status),
                told(&open.log),
                open.status == 200 && open.log.get("panic").is_none(),
            ),
        ])
    }

    /// Asks without a token until the answer is `status`, or for too long.
    async fn until_answer(&self, status: u16) -> Result<Seen, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(CATALOGUE, &[]).await?;
            if seen.status == status || Instant::now() > deadline {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What `find` sees in the gateway's status, as soon as it is there.
    async fn until_status<T>(&self, find: impl Fn(&Value) -> Option<T>) -> Result<T, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.get(format!("http://{}/status", self.house.admin)).send().await?;
            if let Some(found) = json(&answer.text().await?).as_ref().and_then(&find) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(Trouble::new("the gateway's status did not come to say so"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}
