//! The advice in words.

use super::{Advice, Recommendation};
use crate::observations::Category;

/// Writes the summary and the advice.
pub(super) fn write(advice: &mut Advice) {
    advice.summary = summary(advice);
    advice.advice = told(advice.recommendation).to_owned();
}

/// "94.1 % verified over 7 days; 4.9 % old versions 3.1 to 3.3; enforcing would block about 1,230 devices".
fn summary(advice: &Advice) -> String {
    let mut parts = vec![format!("{:.1} % verified over {}", advice.percent_of(Category::Verified), span(advice))];
    let one_app = advice.old_versions.len() == 1;
    for old in &advice.old_versions {
        let of = if one_app { String::new() } else { format!(" of {}", old.app) };
        let which = if old.versions == 1 {
            format!("version {}", shown(&old.from))
        } else {
            format!("versions {} to {}", shown(&old.from), shown(&old.to))
        };
        parts.push(format!("{:.1} % old {which}{of}", old.percent));
    }
    let in_versions: f64 = advice.old_versions.iter().map(|old| old.percent).sum();
    for category in Category::ALL {
        let mut percent = advice.percent_of(category);
        let name = match category {
            Category::Verified | Category::Unverifiable => continue,
            // Old versions are outdated clients too, and told already.
            Category::Outdated => {
                percent -= in_versions;
                if advice.old_versions.is_empty() { "outdated client" } else { "other outdated clients" }
            }
            Category::UnknownOrigin | Category::Invalid | Category::Replayed => category.as_str(),
        };
        if percent >= 0.05 {
            parts.push(format!("{percent:.1} % {name}"));
        }
    }
    parts.push(consequence(advice));
    parts.join("; ")
}

fn consequence(advice: &Advice) -> String {
    let refused = &advice.refused;
    if refused.requests == 0 {
        return "enforcing would block nothing".to_owned();
    }
    let mut whom = Vec::new();
    if refused.devices > 0 {
        whom.push(many(refused.devices, "device"));
    }
    if refused.networks > 0 {
        whom.push(format!("{} without a genuine app", many(refused.networks, "network")));
    }
    if whom.is_empty() {
        whom.push(many(refused.requests, "request"));
    }
    if refused.requests <= refused.already {
        format!("{} blocked already", whom.join(" and "))
    } else {
        format!("enforcing would block {}", whom.join(" and "))
    }
}

const fn told(recommendation: Recommendation) -> &'static str {
    match recommendation {
        Recommendation::NothingToDo => "Nothing to do: enforcing changes nothing.",
        Recommendation::Enforce => {
            "Enforce: take `enforcement` and the rules' `mode: monitor` away. The guard stays behind it."
        }
        Recommendation::EnforceInSteps => {
            "Enforce in steps: `enforcement: { others: 10 }`, look again in a day, then more."
        }
        Recommendation::LookFirst => "Look first: find out who would be refused, then ask again.",
        Recommendation::Wait => "Wait: don't enforce now.",
    }
}

/// How long, as one says it.
fn span(advice: &Advice) -> String {
    let hours = advice.to.saturating_sub(advice.from).max(0).saturating_add(3_599) / 3_600;
    match hours {
        0..=1 => "1 hour".to_owned(),
        2..48 => format!("{hours} hours"),
        _ => format!("{} days", hours.saturating_add(12) / 24),
    }
}

fn shown(version: &str) -> &str {
    if version.is_empty() { "(none)" } else { version }
}

/// "12 devices", "about 1,230 devices": beyond a few hundred the counts are estimates.
pub(super) fn many(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    let about = if count > 200 { "about " } else { "" };
    format!("{about}{} {what}{s}", grouped(count))
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
