//! Cases for a policy: requests that are made up, and what must come of them.
//!
//! In: a file of cases ([`CaseFile::parse`]) and a compiled policy. Out: what differs, as problems with places, and which rules were reached.
//! `assay policy test` is made of this; the decision is the gateway's own.

mod read;
mod shape;

use std::net::IpAddr;
use std::time::Duration;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::target::Target;
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::asv::DeviceState;
use attest_core::verdict::Verdict;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value as Json;

use crate::compile::{Includes, RouteContext};
use crate::explain::{Explanation, explain};
use crate::facts::{self, FailSafe, Mode, RequestFacts, Subject};
use crate::lists::Lists;
use crate::problem::Problem;
use crate::result_policy::{CANNOT_VERIFY, DEFAULT, ResultPolicy};
use crate::yaml::{Place, listed, nearest};

/// A file of cases that can be tried.
#[derive(Clone, Debug)]
pub struct CaseFile {
    name: String,
    policy: Option<(String, Place)>,
    route: Option<String>,
    injects: bool,
    danger_inject_unattested: bool,
    user: bool,
    callers: Vec<String>,
    lists: Lists,
    cases: Vec<Case>,
}

/// One request, and what must come of it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    verdict: Verdict,
    target: Target,
    address: IpAddr,
    headers: HeaderMap,
    at: Option<UnixTime>,
    app: Option<String>,
    version: Option<String>,
    tier: Tier,
    kinds: EvidenceKinds,
    expired_for: Option<Duration>,
    device: Option<String>,
    device_state: DeviceState,
    device_age: Option<Duration>,
    annotations: u32,
    caller: Option<String>,
    user: Option<User>,
    mode: Mode,
    expect: shape::Expect,
}

#[derive(Clone, Debug)]
struct User {
    issuer: String,
    subject: String,
    claims: serde_json::Map<String, Json>,
}

/// What is the same for all cases.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Name of the route; the case file's own, or its policy's name, where there is none.
    pub route: Option<&'a str>,
    /// Whether the route adds a key.
    pub injects: bool,
    /// What happens when the verdict is `unverifiable`.
    pub fail_safe: FailSafe,
    /// The moment of cases that name none.
    pub now: UnixTime,
}

/// Which rules of a policy the cases reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The policy's name.
    pub policy: String,
    /// Each rule in order, `default` last, with how many cases it decided; a monitored one, how many it matched.
    pub rules: Vec<(String, u64)>,
}

impl Coverage {
    /// Of a policy that nothing was tried on.
    #[must_use]
    pub fn new(policy: &ResultPolicy) -> Self {
        let rules = policy.rule_names().chain([DEFAULT]).map(|rule| (rule.to_owned(), 0)).collect();
        Self { policy: policy.name().to_owned(), rules }
    }

    /// The rules that no case reached.
    pub fn missed(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|(_, cases)| *cases == 0).map(|(rule, _)| rule.as_str())
    }

    /// How many of 100 rules were reached, rounded down; `default` counts as one.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let reached = self.rules.len() - self.missed().count();
        (reached * 100).checked_div(self.rules.len()).and_then(|share| u8::try_from(share).ok()).unwrap_or(100)
    }

    fn count(&mut self, rule: &str) {
        if let Some((_, cases)) = self.rules.iter_mut().find(|(name, _)| name == rule) {
            *cases += 1;
        }
    }
}

/// What came of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// How many cases.
    pub cases: usize,
    /// How many of them came out otherwise than expected.
    pub failed: usize,
    /// Each difference, at the place of what was expected.
    pub differences: Vec<Problem>,
}

impl CaseFile {
    /// Reads `text`, the content of the file `name`. Lists in files of their own are read from `files`.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the file.
    pub fn parse(name: &str, text: &str, files: &dyn Includes) -> Result<Self, Vec<Problem>> {
        read::read(name, text, files)
    }

    /// The policy file that it names, relative to its own folder, and where it does.
    #[must_use]
    pub fn policy(&self) -> Option<(&str, Place)> {
        self.policy.as_ref().map(|(path, place)| (path.as_str(), *place))
    }

    /// Name of the route that its requests take.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// Whether its route adds a key.
    #[must_use]
    pub fn injects(&self) -> bool {
        self.injects
    }

    /// How many cases it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Never: a file without cases is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// What it says of the route, for compiling a policy that stands in a file of its own.
    #[must_use]
    pub fn context<'a>(&'a self, policy_name: &'a str, files: &'a dyn Includes) -> RouteContext<'a> {
        RouteContext {
            injects: self.injects,
            danger_inject_unattested: self.danger_inject_unattested,
            trusts_proxies: true,
            lists: &self.lists,
            callers: &self.callers,
            user: self.user,
            files,
            ..RouteContext::new(self.route.as_deref().unwrap_or(policy_name))
        }
    }

    /// What in it is the configuration's to say, when the policy is that of a route: each with its place.
    #[must_use]
    pub fn overruled(&self) -> Option<&'static str> {
        if !self.lists.is_empty() {
            Some("lists")
        } else if !self.callers.is_empty() {
            Some("callers")
        } else if self.injects || self.danger_inject_unattested {
            Some("injects")
        } else {
            None
        }
    }

    /// Tries all cases on `policy`; counts in `coverage` which rules they reach.
    #[must_use]
    pub fn run(&self, policy: &ResultPolicy, setting: &Setting<'_>, coverage: &mut Coverage) -> Tried {
        let mut tried = Tried { cases: self.cases.len(), ..Tried::default() };
        let route = setting.route.or(self.route.as_deref()).unwrap_or(policy.name());
        for case in &self.cases {
            let found = case.explained(policy, setting, route);
            coverage.count(&found.rule);
            found.monitored.iter().for_each(|rule| coverage.count(rule));
            let before = tried.differences.len();
            case.compare(policy, &found, &mut tried.differences);
            tried.failed += usize::from(tried.differences.len() > before);
        }
        for problem in &mut tried.differences {
            self.name.clone_into(&mut problem.file);
        }
        tried
    }
}

impl Case {
    fn explained(&self, policy: &ResultPolicy, setting: &Setting<'_>, route: &str) -> Explanation {
        let who = Subject {
            tier: self.tier,
            kinds: self.kinds,
            app: self.app.as_deref(),
            version: self.version.as_deref(),
            expired_for: self.expired_for,
            own_device: self.device.as_deref().map(str::as_bytes),
            device: self.device.as_deref(),
            device_state: self.device_state,
            device_age: self.device_age,
            annotations: self.annotations,
            ..Subject::supposed(self.verdict)
        };
        let user = self.user.as_ref().map(|user| facts::User {
            issuer: &user.issuer,
            subject: &user.subject,
            claims: &user.claims,
        });
        let what = RequestFacts {
            target: &self.target,
            route,
            address: self.address,
            headers: &self.headers,
            injects: setting.injects,
            fail_safe: setting.fail_safe,
            now: self.at.unwrap_or(setting.now),
            caller: self.caller.as_deref(),
            user,
            mode: self.mode,
        };
        explain(policy, &who, &what)
    }

    fn compare(&self, policy: &ResultPolicy, found: &Explanation, differences: &mut Vec<Problem>) {
        let mut differs = |place: Place, what: &str, expected: &str, got: &str, hint: Option<String>| {
            let message = format!("case `{}`: {what} is {got}, expected {expected}", self.name);
            let mut problem = Problem::error(place, "case_differs", message);
            problem.hint = hint;
            differences.push(problem);
        };
        let quoted = |word: &str| format!("`{word}`");
        let maybe = |word: Option<&str>| word.map_or_else(|| "none".to_owned(), quoted);
        if let Some(rule) = &self.expect.rule
            && rule.value != found.rule
        {
            let hint = Some(self.why(policy, found, &rule.value));
            differs(rule.place, "the rule", &quoted(&rule.value), &quoted(&found.rule), hint);
        }
        let by_rule = (self.expect.rule.is_none()).then(|| format!("rule `{}` decides", found.rule));
        if let Some(action) = &self.expect.action
            && action.value.as_str() != found.action
        {
            let hint = found.note.map(str::to_owned).or_else(|| by_rule.clone());
            differs(action.place, "the action", &quoted(action.value.as_str()), &quoted(found.action), hint);
        }
        if let Some(class) = &self.expect.class
            && Some(class.value.as_str()) != found.class
        {
            differs(class.place, "the class", &quoted(class.value.as_str()), &maybe(found.class), by_rule.clone());
        }
        if let Some(would) = &self.expect.would
            && Some(would.value.as_str()) != found.would
        {
            differs(would.place, "`would`", &quoted(would.value.as_str()), &maybe(found.would), by_rule.clone());
        }
        for (what, expected, got) in [
            ("the limits", &self.expect.limits, &found.limits),
            ("the monitored rules", &self.expect.monitored, &found.monitored),
        ] {
            let Some(expected) = expected else { continue };
            let sorted = |names: &[String]| {
                let mut names = names.to_vec();
                names.sort();
                names
            };
            if sorted(&expected.value.0) != sorted(got) {
                let shown = |names: &[String]| if names.is_empty() { "none".to_owned() } else { listed(names) };
                differs(expected.place, what, &shown(&expected.value.0), &shown(got), by_rule.clone());
            }
        }
    }

    /// Why the expected rule did not decide.
    fn why(&self, policy: &ResultPolicy, found: &Explanation, expected: &str) -> String {
        if let Some(step) = found.trace.iter().find(|step| step.rule == expected) {
            return format!("rule `{expected}`: {}", step.why);
        }
        if expected == DEFAULT || expected == CANNOT_VERIFY {
            return match found.trace.iter().find(|step| step.rule == found.rule) {
                Some(step) => format!("rule `{}`: {}", step.rule, step.why),
                None => "`unverifiable` reaches no rule".to_owned(),
            };
        }
        let names: Vec<&str> = policy.rule_names().collect();
        match nearest(expected, &names) {
            Some(near) => format!("policy `{}` has no rule `{expected}`; did you mean `{near}`?", policy.name()),
            None => format!("policy `{}` has no rule `{expected}` that is not disabled", policy.name()),
        }
    }
}

/// The JSON schema (draft 7) of a file of cases.
#[must_use]
pub fn schema() -> Json {
    crate::raw::draft_07::<shape::FileShape>("Cases for an Assay result policy")
}

#[cfg(test)]
mod tests;
