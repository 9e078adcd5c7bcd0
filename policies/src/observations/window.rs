//! The counts of one route over its last days, added up: what advice is made from.

use std::collections::BTreeMap;

use super::{Category, Counts, HOURS, Observations, Sketch};

/// One route, from the beginning of a day (UTC) until now.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// First and last hour with traffic, both part of it; absent: there was none.
    pub span: Option<(i64, i64)>,
    /// Hours with traffic.
    pub hours: usize,
    /// By category.
    pub categories: BTreeMap<Category, Counts>,
    /// The same of the last 24 hours.
    pub last_day: BTreeMap<Category, Counts>,
    /// By verdict, as words.
    pub verdicts: BTreeMap<String, u64>,
    /// Apps and versions of attested requests.
    pub versions: Vec<Version>,
    /// Versions beyond those.
    pub other_versions: Counts,
    /// By the rule that decides when everything is enforced.
    pub rules: BTreeMap<String, Counts>,
    /// Rules beyond those that are told apart.
    pub other_rules: Counts,
    /// Devices with a genuine token.
    pub devices: Sketch,
    /// Those of them that enforcing would refuse.
    pub refused_devices: Sketch,
    /// Networks without a genuine token that enforcing would refuse.
    pub refused_networks: Sketch,
}

/// One version of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The app.
    pub app: String,
    /// As its tokens say it; may be empty.
    pub version: String,
    /// How its requests fare.
    pub counts: Counts,
}

impl Observations {
    /// What was seen of `route` in the `days` days (1 to 7, UTC, today's part included) up to the hour `now`; `None` when there is nothing.
    #[must_use]
    pub fn window(&self, route: &str, now: i64, days: u8) -> Option<Window> {
        let route = self.routes.get(route)?;
        let from = ((now.div_euclid(24) - i64::from(days.clamp(1, 7)) + 1) * 24).max(now - HOURS + 1);
        let mut window = Window::default();
        for (hour, counts) in route.hours.range(from..=now) {
            window.span = Some((window.span.map_or(*hour, |(first, _)| first), *hour));
            window.hours += 1;
            for (category, counts) in &counts.categories {
                window.categories.entry(*category).or_default().add(*counts);
                if *hour > now - 24 {
                    window.last_day.entry(*category).or_default().add(*counts);
                }
            }
            for (verdict, count) in &counts.verdicts {
                let slot = window.verdicts.entry(verdict.to_string()).or_default();
                *slot = slot.saturating_add(*count);
            }
        }
        window.span?;
        let mut versions: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
        for (_, day) in route.days.range(from.div_euclid(24)..=now.div_euclid(24)) {
            for (app, version, counts) in &day.versions {
                versions.entry((app, version)).or_default().add(*counts);
            }
            for (rule, counts) in &day.rules {
                window.rules.entry(rule.to_string()).or_default().add(*counts);
            }
            window.other_versions.add(day.other_versions);
            window.other_rules.add(day.other_rules);
            window.devices.merge(&day.devices);
            window.refused_devices.merge(&day.refused_devices);
            window.refused_networks.merge(&day.refused_networks);
        }
        window.versions = versions
            .into_iter()
            .map(|((app, version), counts)| Version { app: app.to_owned(), version: version.to_owned(), counts })
            .collect();
        Some(window)
    }
}
