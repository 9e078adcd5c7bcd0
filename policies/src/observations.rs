//! What became of a route's requests over the last week, in counters of bounded size: what `assay policy advise` reads.
//!
//! In: one [`Seen`] a decision. Out: [`Observations`], which merge, and which can be written as JSON and read back. Nothing in them names a
//! device or an address: how many different ones there were is counted by [`Sketch`]es. Requests are counted by hour, versions, rules and
//! distinct devices by day (UTC).
//!
//! Bounds: 1,000 routes; for each of them 168 hours, 8 days, and in a day 64 versions and 256 rules, all others together. That is at most about
//! 100 KiB a route, and a few KiB for one with little traffic.

mod category;
mod seen;
mod sketch;
mod window;

use std::collections::BTreeMap;

use attest_core::time::UnixTime;
use attest_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::class::Action;

pub use category::Category;
pub use seen::Seen;
pub use sketch::{STANDARD_ERROR, Sketch};
pub use window::{Version, Window};

/// The form that this program writes and reads.
pub const VERSION: u8 = 1;

/// How many routes are observed; requests of further ones are only counted.
pub const MAX_ROUTES: usize = 1_000;

/// How many apps' versions are told apart in a day.
pub const MAX_VERSIONS: usize = 64;

/// How many rules are told apart in a day.
pub const MAX_RULES: usize = 256;

/// How many hours are kept.
pub const HOURS: i64 = 7 * 24;

/// The longest name of an app, a version or a rule that is kept; of longer ones the beginning.
const MAX_NAME: usize = 128;

/// The hour of a moment: hours since 1970.
#[must_use]
pub const fn hour_of(moment: UnixTime) -> i64 {
    moment.secs().div_euclid(3_600)
}

/// A week of all routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observations {
    /// [`VERSION`].
    v: u8,
    /// By route.
    routes: BTreeMap<Box<str>, Route>,
    /// Requests of routes beyond [`MAX_ROUTES`].
    #[serde(default)]
    beyond: u64,
}

/// A week of one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Route {
    hours: BTreeMap<i64, Hour>,
    days: BTreeMap<i64, Day>,
}

/// One hour: how many of each category, and how they would fare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Hour {
    categories: BTreeMap<Category, Counts>,
    verdicts: BTreeMap<Box<str>, u64>,
}

/// One day: who, by which rule, how many different ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Day {
    /// Attested requests, by app and version.
    versions: Vec<(Box<str>, Box<str>, Counts)>,
    other_versions: Counts,
    /// What decides with everything enforced.
    rules: BTreeMap<Box<str>, Counts>,
    other_rules: Counts,
    /// Devices with a genuine token.
    devices: Sketch,
    /// Those of them that are refused when everything is enforced.
    refused_devices: Sketch,
    /// Networks of requests without a genuine token that are refused when everything is enforced.
    refused_networks: Sketch,
}

/// So many requests, and how many of them fare worse than `allow` when everything is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// All.
    pub requests: u64,
    /// Refused, were everything enforced.
    pub refused: u64,
    /// Let through on spare capacity only, were everything enforced.
    pub deprioritized: u64,
    /// Refused in fact.
    pub refused_now: u64,
}

impl Counts {
    fn count(&mut self, seen: &Seen<'_>) {
        self.requests = self.requests.saturating_add(1);
        match seen.enforced {
            Action::Block => self.refused = self.refused.saturating_add(1),
            Action::Deprioritize => self.deprioritized = self.deprioritized.saturating_add(1),
            Action::Allow => {}
        }
        if seen.action == Action::Block {
            self.refused_now = self.refused_now.saturating_add(1);
        }
    }

    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.refused = self.refused.saturating_add(other.refused);
        self.deprioritized = self.deprioritized.saturating_add(other.deprioritized);
        self.refused_now = self.refused_now.saturating_add(other.refused_now);
    }
}

impl Default for Observations {
    fn default() -> Self {
        Self { v: VERSION, routes: BTreeMap::new(), beyond: 0 }
    }
}

/// Why a text is no observations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotObservations(String);

impl std::fmt::Display for NotObservations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not observations of a gateway: {}", self.0)
    }
}

impl std::error::Error for NotObservations {}

impl Observations {
    /// Counts one decision of the hour `hour` ([`hour_of`]). What is older than a week by then is let go of.
    pub fn record(&mut self, hour: i64, seen: &Seen<'_>) {
        if !self.routes.contains_key(seen.route) {
            if self.routes.len() >= MAX_ROUTES {
                self.beyond = self.beyond.saturating_add(1);
                return;
            }
            self.routes.insert(seen.route.into(), Route::default());
        }
        if let Some(route) = self.routes.get_mut(seen.route) {
            route.record(hour, seen);
        }
    }

    /// Adds what another part of the same gateway has counted, or another gateway with the same [`Pseudonyms`](crate::recording::Pseudonyms).
    pub fn merge(&mut self, other: &Self) {
        self.beyond = self.beyond.saturating_add(other.beyond);
        for (name, theirs) in &other.routes {
            if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(name) {
                self.beyond = self.beyond.saturating_add(theirs.requests());
                continue;
            }
            self.routes.entry(name.clone()).or_default().merge(theirs);
        }
    }

    /// Lets go of what is older than a week at the hour `now`; routes without traffic since go too.
    pub fn forget(&mut self, now: i64) {
        self.routes.retain(|_, route| {
            route.forget(now);
            !route.hours.is_empty()
        });
    }

    /// The routes that there is something about.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.routes.keys().map(|name| &**name)
    }

    /// Requests of routes beyond [`MAX_ROUTES`], of which nothing else is known.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // All keys are text or numbers, so nothing can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Observations::to_json`] wrote.
    ///
    /// # Errors
    /// Not JSON, another form, or outside the bounds.
    pub fn from_json(text: &[u8]) -> Result<Self, NotObservations> {
        let read: Self = serde_json::from_slice(text).map_err(|error| NotObservations(error.to_string()))?;
        if read.v != VERSION {
            return Err(NotObservations(format!("form {}, and this program reads form {VERSION}", read.v)));
        }
        if read.routes.len() > MAX_ROUTES || read.routes.values().any(|route| !route.is_within_bounds()) {
            return Err(NotObservations("more of something than a gateway keeps".to_owned()));
        }
        Ok(read)
    }
}

impl Route {
    fn record(&mut self, hour: i64, seen: &Seen<'_>) {
        if !self.hours.contains_key(&hour) {
            let last = self.hours.last_key_value().map_or(hour, |(last, _)| *last);
            // A clock that was ahead by more than a week is believed no longer; one that steps back a little costs nothing.
            self.forget(if hour <= last - HOURS { hour } else { hour.max(last) });
        }
        let category = seen.category();
        let of_hour = self.hours.entry(hour).or_default();
        of_hour.categories.entry(category).or_default().count(seen);
        match of_hour.verdicts.get_mut(seen.verdict.as_str()) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                of_hour.verdicts.insert(seen.verdict.as_str().into(), 1);
            }
        }
        self.days.entry(hour.div_euclid(24)).or_default().record(seen);
    }

    fn merge(&mut self, other: &Self) {
        for (hour, theirs) in &other.hours {
            let ours = self.hours.entry(*hour).or_default();
            for (category, counts) in &theirs.categories {
                ours.categories.entry(*category).or_default().add(*counts);
            }
            for (verdict, count) in &theirs.verdicts {
                let slot = ours.verdicts.entry(verdict.clone()).or_default();
                *slot = slot.saturating_add(*count);
            }
        }
        for (day, theirs) in &other.days {
            self.days.entry(*day).or_default().merge(theirs);
        }
        if let Some((last, _)) = self.hours.last_key_value() {
            self.forget(*last);
        }
    }

    fn forget(&mut self, now: i64) {
        let oldest = now.saturating_sub(HOURS);
        // What was counted while the clock was ahead goes too, or it would stay for as long as that.
        self.hours.retain(|hour, _| *hour > oldest && *hour <= now.saturating_add(1));
        self.days.retain(|day, _| *day >= (oldest + 1).div_euclid(24) && *day <= now.saturating_add(1).div_euclid(24));
    }

    fn requests(&self) -> u64 {
        let counts = self.hours.values().flat_map(|hour| hour.categories.values());
        counts.fold(0, |sum, counts| sum.saturating_add(counts.requests))
    }

    fn is_within_bounds(&self) -> bool {
        let few = |len: usize, most: i64| i64::try_from(len).is_ok_and(|len| len <= most);
        let near = |number: &i64| (0..1_000_000_000).contains(number);
        few(self.hours.len(), HOURS + 1)
            && few(self.days.len(), HOURS / 24 + 2)
            && self.hours.keys().all(near)
            && self.days.keys().all(near)
            && self.hours.values().all(|hour| hour.verdicts.len() <= Verdict::ALL.len())
            && self.days.values().all(|day| day.versions.len() <= MAX_VERSIONS && day.rules.len() <= MAX_RULES)
    }
}

impl Day {
    fn record(&mut self, seen: &Seen<'_>) {
        if let (Some(app), Verdict::Attested) = (seen.app, seen.verdict) {
            self.version(cut(app), cut(seen.version.unwrap_or(""))).count(seen);
        }
        self.rule(cut(seen.rule)).count(seen);
        let refused = seen.enforced == Action::Block;
        match seen.device {
            Some(device) => {
                self.devices.add(device);
                if refused {
                    self.refused_devices.add(device);
                }
            }
            None if refused => self.refused_networks.add(seen.network),
            None => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        for (app, version, counts) in &other.versions {
            self.version(app, version).add(*counts);
        }
        self.other_versions.add(other.other_versions);
        for (rule, counts) in &other.rules {
            self.rule(rule).add(*counts);
        }
        self.other_rules.add(other.other_rules);
        self.devices.merge(&other.devices);
        self.refused_devices.merge(&other.refused_devices);
        self.refused_networks.merge(&other.refused_networks);
    }

    /// The counts of a version, or those of all others when there are many.
    fn version(&mut self, app: &str, version: &str) -> &mut Counts {
        let found = self.versions.binary_search_by(|(a, v, _)| (&**a, &**v).cmp(&(app, version)));
        let at = match found {
            Ok(at) => at,
            Err(_) if self.versions.len() >= MAX_VERSIONS => return &mut self.other_versions,
            Err(at) => {
                self.versions.insert(at, (app.into(), version.into(), Counts::default()));
                at
            }
        };
        match self.versions.get_mut(at) {
            Some((_, _, counts)) => counts,
            None => &mut self.other_versions,
        }
    }

    fn rule(&mut self, rule: &str) -> &mut Counts {
        if !self.rules.contains_key(rule) {
            if self.rules.len() >= MAX_RULES {
                return &mut self.other_rules;
            }
            self.rules.insert(rule.into(), Counts::default());
        }
        self.rules.get_mut(rule).unwrap_or(&mut self.other_rules)
    }
}

/// The beginning of a long name.
fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
