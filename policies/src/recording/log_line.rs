//! A line of the access log -> a [`Sample`]: for asking why, when no record was kept.

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::tier::Tier;
use attest_core::token::asv::annotations;
use attest_core::verdict::Verdict;
use serde::Deserialize;

use super::words::Word;
use super::{MAX_LINE, Record, Sample, VERSION};
use crate::class::{Action, Class};

/// What of a line is read; the rest is about other things.
#[derive(Deserialize)]
struct Line {
    ts: f64,
    #[serde(default)]
    id: String,
    #[serde(default)]
    generation: u64,
    route: Option<String>,
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    address: Option<String>,
    verdict: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    accepted_expired: bool,
    app: Option<String>,
    version: Option<String>,
    tier: Option<String>,
    expires_in_s: Option<i64>,
    device: Option<String>,
    #[serde(default)]
    policy: String,
    #[serde(default)]
    rule: String,
    action: Option<String>,
    class: Option<String>,
    would: Option<String>,
    bucket: Option<u8>,
    withheld: Option<String>,
    key: Option<serde::de::IgnoredAny>,
    caller: Option<String>,
    user_issuer: Option<String>,
    /// What overruled the policy.
    panic: Option<String>,
}

/// What conditions look at and the log does not tell.
const GAPS: &[&str] = &["evidence", "device_state", "device_age", "annotation", "device", "header", "percentage"];
/// The same, where the token was over: the log tells when it ended, not what leeway it was given.
const GAPS_EXPIRED: &[&str] =
    &["expired_for", "evidence", "device_state", "device_age", "annotation", "device", "header", "percentage"];

impl Sample {
    /// Reads a line of the gateway's access log.
    ///
    /// # Errors
    /// Not such a line, or one of a request that no policy was asked about.
    pub fn from_log_line(line: &str) -> Result<Self, String> {
        if line.len() > MAX_LINE {
            return Err(format!("the line is longer than {MAX_LINE} bytes"));
        }
        let line: Line =
            serde_json::from_str(line).map_err(|error| format!("not a line of the access log: {error}"))?;
        let (Some(verdict), Some(action)) = (line.verdict, line.action) else {
            return Err("no policy was asked about this request: the line has no `verdict`; see its `code`".to_owned());
        };
        let verdict = Verdict::of(&verdict).ok_or_else(|| format!("`{}` is not a verdict", short(&verdict)))?;
        let class = line.class.as_deref().and_then(Class::of);
        let action = match (Action::of(&action), class) {
            (Some(action), _) => action,
            // Permitted, and then ended by a limit or for want of a seat.
            (None, Some(Class::Critical | Class::Attested)) => Action::Allow,
            (None, _) => Action::Deprioritize,
        };
        let (Some(route), Some(method), Some(host), Some(path), Some(address)) =
            (line.route, line.method, line.host, line.path, line.address)
        else {
            return Err("the line lacks one of `route`, `method`, `host`, `path`, `address`".to_owned());
        };
        let tier = line.tier.as_deref().and_then(Tier::of);
        let is_over = line.expires_in_s.is_some_and(|left| left < 0);
        #[allow(clippy::cast_possible_truncation, reason = "whole seconds of a time of day; a float saturates")]
        let at = line.ts as i64;
        let record = Record {
            v: VERSION,
            id: line.id,
            at,
            route,
            policy: line.policy,
            generation: line.generation,
            verdict,
            genuine: tier.is_some(),
            may_unseal: verdict == Verdict::Attested && !line.accepted_expired,
            tier,
            kinds: EvidenceKinds::EMPTY,
            app: line.app,
            version: line.version,
            expired_for: None,
            device: line.device,
            device_state: None,
            device_age: None,
            annotations: if line.dev { annotations::DEV.into() } else { 0 },
            caller: line.caller,
            user_issuer: line.user_issuer,
            method,
            host,
            path,
            network: address,
            injects: line.key.is_some() || line.withheld.is_some(),
            headers: std::collections::BTreeMap::new(),
            answers: std::collections::BTreeMap::new(),
            rule: line.rule,
            action,
            class,
            would: line.would.as_deref().and_then(Action::of),
            bucket: line.bucket,
            withheld: line.withheld.is_some(),
            monitored: Vec::new(),
            // An order by which tokens live longer leaves the policy as it is.
            mode: line.panic.filter(|by| by != "extend_tokens"),
        };
        Self::with_gaps(record, if is_over { GAPS_EXPIRED } else { GAPS })
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
