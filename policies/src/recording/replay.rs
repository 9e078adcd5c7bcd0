//! Recorded traffic against another policy: what would change, for whom.
//!
//! In: lines of records, one at a time. Out: a [`Report`]: differences by rule, with how many devices; what the records can't tell. Proven: its
//! size does not grow with the traffic. A record stands for what the policy meant: shares and orders that kept a refusal from taking
//! effect are left aside on both sides.

use std::collections::BTreeMap;
use std::hash::Hasher;

use serde::Serialize;
use siphasher::sip::SipHasher13;

use super::walk::{Outcome, walk};
use super::{Broken, Record, Sample};
use crate::class::{Action, Class};
use crate::observations::Sketch;
use crate::result_policy::ResultPolicy;

/// Differences and gaps that are told apart.
const MAX_GROUPS: usize = 500;
/// Broken lines that are named.
const MAX_BROKEN: usize = 20;
/// Decisions that are named for a difference.
const MAX_EXAMPLES: usize = 3;

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    candidate: ResultPolicy,
    route: Option<String>,
    report: Report,
    reached: BTreeMap<String, u64>,
    groups: BTreeMap<Change, Group>,
    beyond: Group,
    gaps: BTreeMap<String, Group>,
}

/// How a request's fate changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    from_rule: String,
    from: String,
    to_rule: String,
    to: String,
}

#[derive(Debug, Default)]
struct Group {
    requests: u64,
    devices: Sketch,
    networks: Sketch,
    examples: Vec<String>,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that are no records.
    pub broken: u64,
    /// The first of them, each with what is wrong.
    pub broken_lines: Vec<BrokenLine>,
    /// Records of other routes (or of other policies, when no route was asked for).
    pub others: u64,
    /// Records made under a lockdown: the policy did not decide them.
    pub ordered: u64,
    /// Records that were tried.
    pub tried: u64,
    /// They fare as before.
    pub same: u64,
    /// They fare differently.
    pub different: u64,
    /// Whether they would can't be told from what was written down.
    pub untold: u64,
    /// The differences, the most frequent first.
    pub differences: Vec<Difference>,
    /// Requests that differ in ways beyond those told apart.
    pub further_differences: u64,
    /// What could not be told, the most frequent first.
    pub gaps: Vec<Gap>,
    /// How many requests each rule of the candidate decided.
    pub rules: Vec<Reached>,
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenLine {
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// One way in which requests fare differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The rule that decided.
    pub from_rule: String,
    /// What it meant: the action, and the class of what was let through.
    pub from: String,
    /// The candidate's rule.
    pub to_rule: String,
    /// What it means.
    pub to: String,
    /// So many requests.
    pub requests: u64,
    /// Of so many different devices, about (standard error 2.3 %).
    pub devices: u64,
    /// Of so many different networks without a genuine app, about.
    pub networks: u64,
    /// Ids of some of these decisions.
    pub examples: Vec<String>,
}

/// Something that was not written down and on which it depends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// What it is, and which rule looks at it.
    pub what: String,
    /// So many requests.
    pub requests: u64,
    /// Of so many devices, about.
    pub devices: u64,
    /// Ids of some of these decisions.
    pub examples: Vec<String>,
}

/// What a rule of the candidate decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// Its name; `default` where none matches.
    pub rule: String,
    /// So many requests.
    pub requests: u64,
}

impl Replay {
    /// Tries `candidate` on records of `route`; without a route on those of policies with the candidate's name.
    #[must_use]
    pub fn new(candidate: &ResultPolicy, route: Option<&str>) -> Self {
        Self {
            candidate: candidate.clone(),
            route: route.map(str::to_owned),
            report: Report::default(),
            reached: BTreeMap::new(),
            groups: BTreeMap::new(),
            beyond: Group::default(),
            gaps: BTreeMap::new(),
        }
    }

    /// Takes one line, with its number.
    pub fn line(&mut self, number: u64, line: Result<&[u8], Broken>) {
        self.report.lines += 1;
        let sample = line.and_then(Record::parse).map_err(|broken| broken.to_string()).and_then(Sample::new);
        match sample {
            Ok(sample) => self.sample(&sample),
            Err(why) => {
                self.report.broken += 1;
                if self.report.broken_lines.len() < MAX_BROKEN {
                    self.report.broken_lines.push(BrokenLine { line: number, why });
                }
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        let record = sample.record();
        let wanted = match &self.route {
            Some(route) => *route == record.route,
            None => self.candidate.name() == record.policy,
        };
        if !wanted {
            self.report.others += 1;
            return;
        }
        if record.mode.as_deref() == Some("lockdown") {
            self.report.ordered += 1;
            return;
        }
        self.report.tried += 1;
        let before = Outcome::recorded(record);
        let walked = walk(&self.candidate, sample);
        let (first, others) = (&walked.first, &walked.others);
        if others.iter().any(|other| !other.fares_as(first)) {
            self.report.untold += 1;
            let what = walked.gap.clone().unwrap_or_default();
            let known = self.gaps.contains_key(&what) || self.gaps.len() < MAX_GROUPS;
            let group = if known { self.gaps.entry(what).or_default() } else { &mut self.beyond };
            group.add(record);
            return;
        }
        *self.reached.entry(first.rule.clone()).or_default() += 1;
        if before.fares_as(first) {
            self.report.same += 1;
            return;
        }
        self.report.different += 1;
        let change = Change {
            from_rule: before.rule.clone(),
            from: before.shown(),
            to_rule: first.rule.clone(),
            to: first.shown(),
        };
        let known = self.groups.contains_key(&change) || self.groups.len() < MAX_GROUPS;
        if !known {
            self.report.further_differences += 1;
        }
        let group = if known { self.groups.entry(change).or_default() } else { &mut self.beyond };
        group.add(record);
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Report {
        let mut report = self.report;
        report.differences = self
            .groups
            .into_iter()
            .map(|(change, group)| Difference {
                from_rule: change.from_rule,
                from: change.from,
                to_rule: change.to_rule,
                to: change.to,
                requests: group.requests,
                devices: group.devices.count(),
                networks: group.networks.count(),
                examples: group.examples,
            })
            .collect();
        report.differences.sort_by_key(|one| std::cmp::Reverse(one.requests));
        report.gaps = self
            .gaps
            .into_iter()
            .map(|(what, group)| Gap {
                what,
                requests: group.requests,
                devices: group.devices.count(),
                examples: group.examples,
            })
            .collect();
        report.gaps.sort_by_key(|one| std::cmp::Reverse(one.requests));
        let names = self.candidate.rule_names().chain([crate::result_policy::DEFAULT]);
        report.rules = names
            .map(|rule| Reached { rule: rule.to_owned(), requests: self.reached.get(rule).copied().unwrap_or(0) })
            .collect();
        report
    }
}

impl Group {
    fn add(&mut self, record: &Record) {
        self.requests += 1;
        match record.device.as_deref().and_then(|device| u64::from_str_radix(device, 16).ok()) {
            Some(device) => self.devices.add(device),
            None => {
                let mut hasher = SipHasher13::new();
                hasher.write(record.network.as_bytes());
                self.networks.add(hasher.finish());
            }
        }
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(record.id.chars().take(64).collect());
        }
    }
}

impl Outcome {
    /// What a record says.
    fn recorded(record: &Record) -> Self {
        let action = record.meant();
        // A refusal that took no effect has a class that nobody chose.
        let class = record.class.filter(|_| record.would.is_none());
        Self { rule: record.rule.clone(), action, class, withheld: record.withheld }
    }

    /// Whether a request notices no difference. The class counts where both sides know one.
    fn fares_as(&self, other: &Self) -> bool {
        let classes = (self.class, other.class);
        self.action == other.action && !matches!(classes, (Some(one), Some(two)) if one != two)
    }

    fn shown(&self) -> String {
        match (self.action, self.class) {
            (Action::Block, _) if self.withheld => "block (no right to the key)".to_owned(),
            (Action::Block, _) | (_, None) => self.action.to_string(),
            (action, Some(class)) if class == default_class(action) => action.to_string(),
            (action, Some(class)) => format!("{action} as {class}"),
        }
    }
}

fn default_class(action: Action) -> Class {
    Class::by_default(action, true)
}
