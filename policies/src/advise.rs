//! What enforcing a route's policy now would do, and whether to.
//!
//! In: the counters of a route ([`Observations`]). Out: [`Advice`]: shares in the categories of Firebase App Check, who would be refused,
//! one recommendation with its reasons, and how sure it is. It is made from numbers alone: nothing is changed, nobody is asked.

mod judgement;
mod sentences;

use attest_core::time::UnixTime;
use serde::Serialize;

use crate::observations::{Category, Counts, Observations, STANDARD_ERROR, Window, hour_of};
use crate::version::Version;

pub use judgement::{Confidence, Recommendation};

/// What is known of a route, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The route.
    pub route: String,
    /// Since when, in Unix seconds.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// Hours in which there was traffic.
    pub hours: usize,
    /// Requests, those that could not be verified left aside.
    pub requests: u64,
    /// Requests that the gateway could not verify: the fault was not the clients'.
    pub unverifiable: u64,
    /// By category, in the order of [`Category::ALL`]; shares are of `requests`.
    pub categories: Vec<Share>,
    /// Versions of genuine apps that the policy does not simply allow.
    pub old_versions: Vec<OldVersions>,
    /// Who is refused when everything is enforced.
    pub refused: Refused,
    /// What decides when everything is enforced, the most frequent first.
    pub rules: Vec<ByRule>,
    /// All of it in a sentence.
    pub summary: String,
    /// What to do.
    pub recommendation: Recommendation,
    /// The same in words.
    pub advice: String,
    /// Why.
    pub reasons: Vec<String>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What speaks against being sure.
    pub doubts: Vec<String>,
}

/// One category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Which.
    pub category: Category,
    /// So many.
    pub requests: u64,
    /// Of all requests, in percent.
    pub percent: f64,
    /// Of those of the last 24 hours, in percent; absent: there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_last_day: Option<f64>,
    /// How many are refused when everything is enforced.
    pub refused: u64,
}

/// Versions of one app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OldVersions {
    /// The app.
    pub app: String,
    /// The oldest of them.
    pub from: String,
    /// The newest of them.
    pub to: String,
    /// How many different ones.
    pub versions: usize,
    /// Their requests that are not simply allowed.
    pub requests: u64,
    /// Of all requests, in percent.
    pub percent: f64,
    /// How many of them are refused when everything is enforced; the others wait for spare capacity.
    pub refused: u64,
}

/// Who is refused when everything is enforced.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Requests.
    pub requests: u64,
    /// Of all requests, in percent.
    pub percent: f64,
    /// Requests that are refused already.
    pub already: u64,
    /// Different devices with a genuine app, about.
    pub devices: u64,
    /// Of how many, about.
    pub of_devices: u64,
    /// Different networks (IPv4 addresses, IPv6 /64) of requests without a genuine app, about.
    pub networks: u64,
    /// The standard error of the three counts, in percent.
    pub error_percent: f64,
}

/// What one rule decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByRule {
    /// Its name; `default` where none matches.
    pub rule: String,
    /// Requests.
    pub requests: u64,
    /// Of them refused.
    pub refused: u64,
    /// Of them let through on spare capacity only.
    pub deprioritized: u64,
}

/// Looks at the last `days` days (1 to 7, in UTC, today's part included) of `route`. `None`: nothing was seen of it.
#[must_use]
pub fn advise(observations: &Observations, route: &str, now: UnixTime, days: u8) -> Option<Advice> {
    let window = observations.window(route, hour_of(now), days)?;
    let (first, last) = window.span?;
    let requests = judged(&window.categories);
    let total = |of: fn(&Counts) -> u64| -> u64 {
        window.categories.iter().filter(|(category, _)| **category != Category::Unverifiable).map(|(_, c)| of(c)).sum()
    };
    let last_day = judged(&window.last_day);
    let categories = Category::ALL
        .into_iter()
        .filter(|category| *category != Category::Unverifiable)
        .map(|category| {
            let counts = window.categories.get(&category).copied().unwrap_or_default();
            let recent = window.last_day.get(&category).map_or(0, |counts| counts.requests);
            Share {
                category,
                requests: counts.requests,
                percent: percent(counts.requests, requests),
                percent_last_day: (last_day > 0).then(|| percent(recent, last_day)),
                refused: counts.refused,
            }
        })
        .collect();
    let refused_requests = total(|counts| counts.refused);
    let mut rules: Vec<ByRule> = window
        .rules
        .iter()
        .map(|(rule, counts)| ByRule {
            rule: rule.clone(),
            requests: counts.requests,
            refused: counts.refused,
            deprioritized: counts.deprioritized,
        })
        .collect();
    rules.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.rule.cmp(&b.rule)));
    let mut advice = Advice {
        route: route.to_owned(),
        from: first * 3_600,
        // The hour under way has not ended yet.
        to: ((last + 1) * 3_600).min(now.secs()).max(first * 3_600),
        hours: window.hours,
        requests,
        unverifiable: window.categories.get(&Category::Unverifiable).map_or(0, |counts| counts.requests),
        categories,
        old_versions: old_versions(&window, requests),
        refused: Refused {
            requests: refused_requests,
            percent: percent(refused_requests, requests),
            already: total(|counts| counts.refused_now),
            devices: window.refused_devices.count(),
            of_devices: window.devices.count(),
            networks: window.refused_networks.count(),
            error_percent: STANDARD_ERROR * 100.0,
        },
        rules,
        summary: String::new(),
        recommendation: Recommendation::Wait,
        advice: String::new(),
        reasons: Vec::new(),
        confidence: Confidence::Low,
        doubts: Vec::new(),
    };
    judgement::judge(&mut advice);
    sentences::write(&mut advice);
    Some(advice)
}

impl Advice {
    /// The share of a category.
    #[must_use]
    pub fn percent_of(&self, category: Category) -> f64 {
        self.categories.iter().find(|share| share.category == category).map_or(0.0, |share| share.percent)
    }
}

fn judged(categories: &std::collections::BTreeMap<Category, Counts>) -> u64 {
    let known = categories.iter().filter(|(category, _)| **category != Category::Unverifiable);
    known.map(|(_, counts)| counts.requests).sum()
}

/// Versions of which most requests are not simply allowed, one entry an app.
fn old_versions(window: &Window, requests: u64) -> Vec<OldVersions> {
    let mut found: Vec<OldVersions> = Vec::new();
    for version in &window.versions {
        let worse = version.counts.refused.saturating_add(version.counts.deprioritized);
        if worse == 0 || worse < version.counts.requests / 2 {
            continue;
        }
        match found.last_mut().filter(|last| last.app == version.app) {
            Some(last) => {
                if is_older(&version.version, &last.from) {
                    last.from.clone_from(&version.version);
                }
                if is_older(&last.to, &version.version) {
                    last.to.clone_from(&version.version);
                }
                last.versions += 1;
                last.requests += worse;
                last.refused += version.counts.refused;
            }
            None => found.push(OldVersions {
                app: version.app.clone(),
                from: version.version.clone(),
                to: version.version.clone(),
                versions: 1,
                requests: worse,
                percent: 0.0,
                refused: version.counts.refused,
            }),
        }
    }
    for old in &mut found {
        old.percent = percent(old.requests, requests);
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.requests));
    found
}

/// Whether version `a` comes before `b`; what is no version comes first.
fn is_older(a: &str, b: &str) -> bool {
    (Version::parse(a), a) < (Version::parse(b), b)
}

/// In percent, to a thousandth.
#[allow(clippy::cast_precision_loss, reason = "a share to three places")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 100_000.0 / whole as f64).round() / 1_000.0 }
}

#[cfg(test)]
mod tests;
