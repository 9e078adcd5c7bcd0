//! From numbers to one recommendation.
//!
//! In: shares and counts. Out: what to do, why, and how sure that is. The thresholds stand here, each with its reason.

use std::fmt;

use serde::Serialize;

use super::sentences::many;
use super::{Advice, Share};
use crate::observations::Category;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// Everything that enforcing would refuse is refused already.
    NothingToDo,
    /// Enforce: hardly a genuine device is refused.
    Enforce,
    /// Enforce for a share first, and look again.
    EnforceInSteps,
    /// Find out first who it is that would be refused.
    LookFirst,
    /// Don't: too many genuine devices are refused, or too little is known.
    Wait,
}

/// How sure the advice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A guess: few requests, or hours only.
    Low,
    /// Some days, or not that many devices.
    Medium,
    /// Most of a week of many devices, and the last day no different.
    High,
}

impl Confidence {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Fewer requests tell nothing about the one in a thousand.
const FEW_REQUESTS: u64 = 1_000;
/// With so many, a share of one in a thousand is known to about a third of itself.
const MANY_REQUESTS: u64 = 10_000;
/// Less than a day: nights, or mornings, are missing.
const FEW_HOURS: usize = 24;
/// Five days hold a weekend or its beginning.
const MANY_HOURS: usize = 5 * 24;
/// With so many devices, one in a thousand is some.
const MANY_DEVICES: u64 = 1_000;
/// Refused genuine devices, in percent: below, support can answer each of them.
const FEW_REFUSED: f64 = 0.1;
/// Above, it is an outage for part of the users.
const MANY_REFUSED: f64 = 1.0;
/// A share that is so large is not noise: somebody is behind it.
const LARGE_SHARE: f64 = 5.0;
/// So many percentage points between the last day and all days: something has changed.
const CHANGED: f64 = 2.0;

/// Fills in the recommendation, its reasons, the confidence and the doubts.
pub(super) fn judge(advice: &mut Advice) {
    doubt(advice);
    let unknown = advice.percent_of(Category::UnknownOrigin);
    let invalid = advice.percent_of(Category::Invalid);
    let mut reasons = Vec::new();
    let mut recommendation = Recommendation::Enforce;
    let mut at_least = |one: Recommendation, why: String, to: &mut Recommendation| {
        reasons.push(why);
        *to = more_careful(*to, one);
    };
    let at = &mut recommendation;
    let share = genuine_refused(advice);
    if share > MANY_REFUSED {
        let why = format!("{share:.1} % {} would be refused; {}", of_what(advice), who(advice));
        at_least(Recommendation::Wait, why, at);
    } else if share > FEW_REFUSED {
        let why = format!("{share:.2} % {} would be refused; {}", of_what(advice), who(advice));
        at_least(Recommendation::EnforceInSteps, why, at);
    } else {
        let share = if share > 0.0 { "hardly a" } else { "no" };
        let what = if advice.refused.of_devices > 0 { "device with" } else { "request of" };
        at_least(Recommendation::Enforce, format!("{share} {what} a genuine app would be refused"), at);
    }
    let refused = |category| advice.categories.iter().any(|share| share.category == category && share.refused > 0);
    if unknown > LARGE_SHARE && refused(Category::UnknownOrigin) {
        let why = format!(
            "{unknown:.1} % come without a token: apps from before the SDK, partners, or scripts? `enforcement: {{ missing: 0, others: 100 }}` leaves them be until you know"
        );
        at_least(Recommendation::LookFirst, why, at);
    }
    if invalid > LARGE_SHARE && refused(Category::Invalid) {
        let why = format!(
            "{invalid:.1} % come with a token that is not good: an attack, or an issuer that is configured wrongly; the access log's `reason` tells which"
        );
        at_least(Recommendation::LookFirst, why, at);
    }
    let all = advice.requests.saturating_add(advice.unverifiable);
    if percent(advice.unverifiable, all) > MANY_REFUSED {
        let why = format!(
            "{:.1} % could not be verified, for a fault that is not the clients': mend that first",
            percent(advice.unverifiable, all)
        );
        at_least(Recommendation::LookFirst, why, at);
    }
    if advice.refused.requests <= advice.refused.already {
        reasons = vec![match advice.refused.requests {
            0 => "nothing that came would be refused".to_owned(),
            _ => "all that enforcing would refuse is refused already".to_owned(),
        }];
        recommendation = Recommendation::NothingToDo;
    } else if advice.confidence == Confidence::Low {
        reasons.insert(0, "too little is known to enforce on".to_owned());
        recommendation = Recommendation::Wait;
    }
    advice.reasons = reasons;
    advice.recommendation = recommendation;
}

/// Says what speaks against being sure, and how sure that leaves it.
fn doubt(advice: &mut Advice) {
    let mut sure = Confidence::High;
    let mut doubts = Vec::new();
    let mut at_most = |one: Confidence, why: String| {
        sure = sure.min(one);
        doubts.push(why);
    };
    if advice.requests < FEW_REQUESTS {
        at_most(Confidence::Low, format!("too few data: {}", many(advice.requests, "request")));
    } else if advice.requests < MANY_REQUESTS {
        at_most(Confidence::Medium, format!("only {} requests", advice.requests));
    }
    if advice.hours < FEW_HOURS {
        at_most(
            Confidence::Low,
            format!("too few data: traffic in {}, not a whole day", many(advice.hours as u64, "hour")),
        );
    } else if advice.hours < MANY_HOURS {
        at_most(Confidence::Medium, format!("traffic in {} hours only, less than five days", advice.hours));
    }
    if advice.refused.of_devices < MANY_DEVICES {
        at_most(Confidence::Medium, format!("{} with a genuine app", many(advice.refused.of_devices, "device")));
    }
    for share in &advice.categories {
        let Some(recent) = share.percent_last_day else { continue };
        if (recent - share.percent).abs() > CHANGED {
            let name = share.category.as_str();
            at_most(
                Confidence::Medium,
                format!("the last day differs: {recent:.1} % {name}, and {:.1} % over all", share.percent),
            );
        }
    }
    if advice.categories.iter().all(|share| share.percent_last_day.is_none()) {
        at_most(Confidence::Low, "nothing was seen in the last 24 hours".to_owned());
    }
    advice.confidence = sure;
    advice.doubts = doubts;
}

/// In percent: devices; where tokens name none, requests of genuine apps.
fn genuine_refused(advice: &Advice) -> f64 {
    if advice.refused.of_devices > 0 {
        return percent(advice.refused.devices, advice.refused.of_devices);
    }
    let genuine = |share: &&Share| matches!(share.category, Category::Verified | Category::Outdated);
    let sum = |of: fn(&Share) -> u64| advice.categories.iter().filter(genuine).map(of).sum();
    percent(sum(|share| share.refused), sum(|share| share.requests))
}

const fn of_what(advice: &Advice) -> &'static str {
    if advice.refused.of_devices > 0 {
        "of the devices with a genuine app"
    } else {
        "of the requests of genuine apps, whose tokens name no device,"
    }
}

fn who(advice: &Advice) -> String {
    match advice.old_versions.iter().find(|old| old.refused > 0) {
        Some(old) if old.from == old.to => format!("most of it version {} of `{}`", old.from, old.app),
        Some(old) => format!("most of it versions {} to {} of `{}`", old.from, old.to, old.app),
        None => "`rules` tells by which rule".to_owned(),
    }
}

/// The one that does less.
fn more_careful(a: Recommendation, b: Recommendation) -> Recommendation {
    let care = |one: Recommendation| match one {
        Recommendation::NothingToDo => 0,
        Recommendation::Enforce => 1,
        Recommendation::EnforceInSteps => 2,
        Recommendation::LookFirst => 3,
        Recommendation::Wait => 4,
    };
    if care(a) >= care(b) { a } else { b }
}

#[allow(clippy::cast_precision_loss, reason = "a share")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
