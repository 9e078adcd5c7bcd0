//! Why a request fares as it does: every rule, and what kept it from matching.
//!
//! In: a policy, and a sender who may be made up with the facts of a request; or a request that was written down. Out: an [`Explanation`].
//! Nothing here can let a request through.

use attest_core::verdict::Verdict;
use serde::Serialize;

use crate::condition::{Condition, Met};
use crate::decision::Chosen;
use crate::facts::{Mode, RequestFacts, Subject};
use crate::recording::{Asked, Record, Sample};
use crate::result_policy::{Judgement, ResultPolicy};
use crate::rule::Rule;

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
    /// The limits that it counts against, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// Names of the monitored rules that matched on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub monitored: Vec<String>,
    /// Each rule in order.
    pub trace: Vec<Step>,
    /// What the gateway decided, where a decision of its own is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
}

/// What a gateway decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The decision's id.
    pub id: String,
    /// The policy that it used.
    pub policy: String,
    /// The rule.
    pub rule: String,
    /// What happened.
    pub action: &'static str,
    /// What would have happened, had the refusal taken effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<&'static str>,
    /// What overruled the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether this policy says the same.
    pub agrees: bool,
}

/// One rule of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name.
    pub rule: String,
    /// Whether all its conditions are met.
    pub matched: bool,
    /// Whether that can't be told from what was written down.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// Why, or why not.
    pub why: String,
}

/// Explains what `policy` does with `who` and `what`.
#[must_use]
pub fn explain(policy: &ResultPolicy, who: &Subject<'_>, what: &RequestFacts<'_>) -> Explanation {
    let judged = policy.0.judge(who, what, &mut || {});
    let steps = trace(policy, who, what, &mut |_, rule| match unmet(rule, who, what) {
        Some(condition) => Found::No(condition.why_not(who, what)),
        None => Found::Yes,
    });
    explanation(policy, who, what, &judged, steps)
}

/// Explains what `policy` does with a request that was written down. What was not is said, and settled by what the gateway decided where
/// that tells it.
#[must_use]
pub fn explain_sample(policy: &ResultPolicy, sample: &Sample) -> Explanation {
    let (who, what, record) = (sample.subject(), sample.request(), sample.record());
    let decided = policy.0.rules.iter().position(|rule| *rule.name == *record.rule && rule.monitored.is_none());
    let same_policy = policy.name() == record.policy;
    let mut chosen = None;
    let mut monitored = 0;
    let steps = trace(policy, &who, &what, &mut |id, rule| {
        let mut untold = None;
        for condition in &rule.conditions {
            match sample.ask(condition) {
                Asked::Yes => {}
                Asked::No | Asked::Nothing => return Found::No(condition.why_not(&who, &what)),
                Asked::Untold(why) => {
                    untold.get_or_insert(why);
                }
            }
        }
        let Some(why) = untold else {
            match rule.monitored {
                Some(bit) => monitored |= 1 << bit,
                None => chosen = Some((id, rule)),
            }
            return Found::Yes;
        };
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        if rule.monitored.is_some() {
            return Found::Untold(why);
        }
        match decided.filter(|_| same_policy) {
            Some(decided) if decided == at => {
                chosen = Some((id, rule));
                Found::Told(why)
            }
            Some(decided) if decided > at => Found::NotSo(why),
            None if same_policy && record.rule == crate::result_policy::DEFAULT => Found::NotSo(why),
            _ => Found::Untold(why),
        }
    });
    let judged = if who.verdict == Verdict::Unverifiable {
        policy.0.judge(&who, &what, &mut || {})
    } else {
        // The bucket of a device goes by its id, which was not written down: what the gateway recorded stands.
        Judgement { bucket: record.bucket, ..policy.0.settle(chosen, monitored, &who, &what) }
    };
    let mut explained = explanation(policy, &who, &what, &judged, steps);
    let meant = judged.would.unwrap_or(judged.action);
    if record.mode.is_none() && record.meant() == meant {
        // Whether a share let the refusal take effect is known only from the record.
        explained.action = record.action.as_str();
        explained.would = record.would.map(crate::Action::as_str);
        explained.class = record.class.map(crate::Class::as_str).filter(|_| record.action != crate::Action::Block);
        explained.note = note(&judged, record.would.is_some());
    }
    explained.recorded = Some(recorded(record, &explained.rule, meant));
    explained
}

fn recorded(record: &Record, rule: &str, meant: crate::Action) -> Recorded {
    Recorded {
        id: record.id.clone(),
        policy: record.policy.clone(),
        rule: record.rule.clone(),
        action: record.action.as_str(),
        would: record.would.map(crate::Action::as_str),
        mode: record.mode.clone(),
        agrees: record.rule == rule && (record.mode.is_some() || record.meant() == meant),
    }
}

fn explanation(
    policy: &ResultPolicy,
    who: &Subject<'_>,
    what: &RequestFacts<'_>,
    judged: &Judgement,
    trace: Vec<Step>,
) -> Explanation {
    let compiled = &policy.0;
    let passes = judged.action != crate::Action::Block;
    let limits = match judged.rule {
        Chosen::Rule(id) if passes && judged.would.is_none() => {
            compiled.rule(id).map_or_else(Vec::new, |rule| rule.limits.iter().map(|one| one.name.to_string()).collect())
        }
        _ => Vec::new(),
    };
    let note = match what.mode {
        Mode::Lockdown if judged.locked_down => Some("refused by the lockdown that is in force"),
        Mode::Monitor(_) if judged.would.is_some() => Some("the refusal does not take effect: the route is monitored"),
        _ => note(judged, judged.would.is_some()),
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
        limits,
        monitored: compiled.monitored_rules(judged.monitored).map(|(rule, _)| rule.to_owned()).collect(),
        trace,
        recorded: None,
    }
}

fn note(judged: &Judgement, spared: bool) -> Option<&'static str> {
    if judged.key_withheld {
        Some("a rule lets it through, but the route adds a key, and this request has no right to it")
    } else if spared {
        Some("the refusal does not take effect: see `enforcement`")
    } else if judged.rule == Chosen::FailSafe {
        Some("the fault is ours, so no rule is asked: see `our_faults`")
    } else {
        None
    }
}

/// What was found of one rule whose verdict fits.
enum Found {
    Yes,
    No(String),
    /// It can't be told, and the gateway decided by it.
    Told(String),
    /// It can't be told, and the gateway decided by a later one.
    NotSo(String),
    Untold(String),
}

fn unmet<'r>(rule: &'r Rule, who: &Subject<'_>, what: &RequestFacts<'_>) -> Option<&'r Condition> {
    rule.conditions.iter().find(|condition| condition.met(who, what) != Met::Yes)
}

/// Goes through all rules, also those that a decision need not look at.
fn trace<'p>(
    policy: &'p ResultPolicy,
    who: &Subject<'_>,
    what: &RequestFacts<'_>,
    find: &mut dyn FnMut(u32, &'p Rule) -> Found,
) -> Vec<Step> {
    if who.verdict == Verdict::Unverifiable {
        return Vec::new();
    }
    let mut decided = false;
    let mut steps = Vec::new();
    for (id, rule) in (0_u32..).zip(&policy.0.rules) {
        let (matched, untold, why) = if decided {
            (false, false, "not reached: a rule above decided".to_owned())
        } else if !rule.is_alive(what.now) {
            (false, false, "it has ended (`until`)".to_owned())
        } else if !rule.verdicts.has(who.verdict) {
            let claim = rule.conditions.iter().find(|condition| condition.is_claim() && !who.genuine);
            match claim {
                Some(claim) => (false, false, claim.why_not(who, what)),
                None => {
                    (false, false, format!("verdict is `{}`, the rule wants {}", who.verdict, rule.verdicts.listed()))
                }
            }
        } else {
            match find(id, rule) {
                Found::No(why) => (false, false, why),
                Found::Untold(why) => (false, true, format!("can't be told: {why}")),
                Found::NotSo(why) => (false, true, format!("can't be told ({why}), but a later rule decided")),
                found @ (Found::Yes | Found::Told(_)) if rule.monitored.is_none() => {
                    decided = true;
                    match found {
                        Found::Told(why) => (true, true, format!("decided, as the gateway says ({why})")),
                        _ => (true, false, format!("matches: {}", rule.action)),
                    }
                }
                Found::Yes | Found::Told(_) => (
                    true,
                    false,
                    format!("matches, but is only monitored: counted as `{}`, then treated as absent", rule.action),
                ),
            }
        };
        steps.push(Step { rule: rule.name.to_string(), matched, untold, why });
    }
    steps
}
