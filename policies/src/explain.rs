//! Why a request fares as it does: every rule, and what kept it from matching.
//!
//! In: a policy, a sender who may be made up, the facts of a request. Out: an [`Explanation`]. Nothing here can let a request through.

use attest_core::verdict::Verdict;
use serde::Serialize;

use crate::condition::Met;
use crate::decision::Chosen;
use crate::facts::{RequestFacts, Subject};
use crate::result_policy::ResultPolicy;

/// What happens and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Name of the policy.
    pub policy: String,
    /// The verdict that it was asked for.
    pub verdict: &'static str,
    /// The rule that decides; `default` when none matches, `cannot_verify` for the fail-safe.
    pub rule: String,
    /// What happens: `allow`, `deprioritize` or `block`.
    pub action: &'static str,
    /// The class of what is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// What would happen, were everything enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<&'static str>,
    /// The sender's bucket, 0 to 99, where a share was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u8>,
    /// What else has to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// Each rule in order.
    pub trace: Vec<Step>,
}

/// One rule of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name.
    pub rule: String,
    /// Whether all its conditions are met.
    pub matched: bool,
    /// Why, or why not.
    pub why: String,
}

/// Explains what `policy` does with `who` and `what`.
#[must_use]
pub fn explain(policy: &ResultPolicy, who: &Subject<'_>, what: &RequestFacts<'_>) -> Explanation {
    let compiled = &policy.0;
    let judged = compiled.judge(who, what, &mut || {});
    let passes = judged.action != crate::Action::Block;
    let note = if judged.key_withheld {
        Some("a rule lets it through, but the route adds a key, and this request has no right to it")
    } else if judged.would.is_some() {
        Some("the refusal does not take effect: see `enforcement`")
    } else if judged.rule == Chosen::FailSafe {
        Some("the fault is ours, so no rule is asked: see `our_faults`")
    } else {
        None
    };
    Explanation {
        policy: policy.name().to_owned(),
        verdict: who.verdict.as_str(),
        rule: compiled.name_of(judged.rule).to_owned(),
        action: judged.action.as_str(),
        class: passes.then(|| judged.class.as_str()),
        would: judged.would.map(crate::Action::as_str),
        bucket: judged.bucket,
        note,
        trace: if who.verdict == Verdict::Unverifiable { Vec::new() } else { trace(policy, who, what) },
    }
}

/// Goes through all rules, also those that a decision need not look at.
fn trace(policy: &ResultPolicy, who: &Subject<'_>, what: &RequestFacts<'_>) -> Vec<Step> {
    let mut decided = false;
    let mut steps = Vec::new();
    for rule in &policy.0.rules {
        let unmet = rule.conditions.iter().find(|condition| condition.met(who, what) != Met::Yes);
        let (matched, why) = if decided {
            (false, "not reached: a rule above decided".to_owned())
        } else if !rule.is_alive(what.now) {
            (false, "it has ended (`until`)".to_owned())
        } else if !rule.verdicts.has(who.verdict) {
            let claim = rule.conditions.iter().find(|condition| condition.is_claim() && !who.genuine);
            match claim {
                Some(claim) => (false, claim.why_not(who, what)),
                None => (false, format!("verdict is `{}`, the rule wants {}", who.verdict, rule.verdicts.listed())),
            }
        } else if let Some(unmet) = unmet {
            (false, unmet.why_not(who, what))
        } else if rule.monitored.is_some() {
            (true, format!("matches, but is only monitored: counted as `{}`, then treated as absent", rule.action))
        } else {
            decided = true;
            (true, format!("matches: {}", rule.action))
        };
        steps.push(Step { rule: rule.name.to_string(), matched, why });
    }
    steps
}
