//! A request that was written down: what it can be asked, and what not.
//!
//! In: a [`Record`], or a line of the access log. Out: a [`Sample`]. A condition asked of it is met, not met, or can't be told; nothing is
//! guessed.

use std::net::IpAddr;
use std::time::Duration;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::verdict::Verdict;
use http::uri::PathAndQuery;
use http::{HeaderName, Method};
use ipnet::IpNet;

use super::Record;
use super::fingerprint::fingerprint;
use crate::condition::{Condition, Met};
use crate::facts::{FailSafe, HeaderSource, Mode, RequestFacts, Subject};
use crate::lists::Networks;
use crate::shape::conditions::HeaderTest;

/// A request that was written down.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(crate) record: Record,
    target: Target,
    network: IpNet,
    /// Fields of conditions that nothing was written down about.
    pub(crate) gaps: &'static [&'static str],
}

/// What a condition's answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Yes,
    No,
    /// There is nothing to ask: a claim, and no genuine signature behind it.
    Nothing,
    /// It was not written down; what exactly.
    Untold(String),
}

impl From<Met> for Asked {
    fn from(met: Met) -> Self {
        match met {
            Met::Yes => Self::Yes,
            Met::No => Self::No,
            Met::Unknown => Self::Nothing,
        }
    }
}

impl From<Option<bool>> for Asked {
    fn from(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None => Self::Nothing,
        }
    }
}

/// No header was written down.
struct NoHeaders;

impl HeaderSource for NoHeaders {
    fn any(&self, _: &HeaderName, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

impl Sample {
    /// Of a record.
    ///
    /// # Errors
    /// What of the request is no method, host, path or network.
    pub fn new(record: Record) -> Result<Self, String> {
        Self::with_gaps(record, &[])
    }

    pub(super) fn with_gaps(record: Record, gaps: &'static [&'static str]) -> Result<Self, String> {
        let method: Method = record.method.parse().map_err(|_| "`method` is not a method".to_owned())?;
        let path: PathAndQuery = record.path.parse().map_err(|_| "`path` is not a path".to_owned())?;
        // What the gateway took once is not judged again: a route may allow an encoded slash.
        let options = TargetOptions { allow_encoded_slash: true };
        let target = Target::parse(&method, Scheme::Https, &record.host, &path, options)
            .map_err(|error| format!("`method`, `host` and `path` are no target: {error}"))?;
        let network = match (record.network.parse::<IpNet>(), record.network.parse::<IpAddr>()) {
            (Ok(network), _) => network,
            (_, Ok(address)) => IpNet::from(address.to_canonical()),
            _ => return Err("`network` is not a network".to_owned()),
        };
        Ok(Self { record, target, network, gaps })
    }

    /// The record, or what the line of the log says of one.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        let record = &self.record;
        Subject {
            genuine: record.genuine,
            tier: record.tier.unwrap_or(Tier::None),
            kinds: if record.genuine { record.kinds } else { EvidenceKinds::EMPTY },
            app: record.app.as_deref(),
            version: record.version.as_deref(),
            expired_for: record.expired_for.map(Duration::from_secs),
            may_unseal: record.may_unseal && record.verdict == Verdict::Attested,
            device_state: record.device_state.unwrap_or_default(),
            device_age: record.device_age.map(Duration::from_secs),
            annotations: record.annotations,
            ..Subject::supposed(record.verdict)
        }
    }

    /// The request, without headers and user: those are asked by [`Sample::ask`].
    pub(crate) fn request(&self) -> RequestFacts<'_> {
        RequestFacts {
            target: &self.target,
            route: &self.record.route,
            address: self.network.addr(),
            headers: &NoHeaders,
            injects: self.record.injects,
            fail_safe: FailSafe::Refuse,
            now: UnixTime::from_secs(self.record.at),
            caller: self.record.caller.as_deref(),
            user: None,
            mode: Mode::Normal,
        }
    }

    /// Asks one condition.
    pub(crate) fn ask(&self, condition: &Condition) -> Asked {
        if condition.is_claim() && !self.record.genuine {
            return Asked::Nothing;
        }
        if let Condition::Not(inner) = condition {
            return not(inner.iter().map(|condition| (self.ask(condition), condition.is_claim())));
        }
        if self.gaps.contains(&condition.field()) {
            return Asked::Untold(format!("`{}` is not written down", condition.field()));
        }
        let answered = || {
            let answer = fingerprint(condition).and_then(|name| self.record.answers.get(&name));
            answer.map(|answer| Asked::from(*answer))
        };
        match condition {
            // What the lists say today, where the client's network settles it; else what they said then.
            Condition::Network { own, lists, .. } => {
                let all = || std::iter::once(own).chain(lists.iter().map(|listed| &*listed.list));
                if all().any(|networks| networks.covers(&Networks::new([self.network]))) {
                    Asked::Yes
                } else if all().any(|networks| networks.touches(self.network)) {
                    answered().unwrap_or_else(|| Asked::Untold(format!("which address of {} it was", self.network)))
                } else {
                    Asked::No
                }
            }
            Condition::Header { name, test } => match (test, self.record.headers.get(name.as_str())) {
                (HeaderTest::Present(wanted), Some(there)) => Asked::from(Some(wanted == there)),
                // A header that was not there equals nothing.
                (HeaderTest::Equals(_) | HeaderTest::Prefix(_), Some(false)) => Asked::No,
                (HeaderTest::Present(_), None) => {
                    answered().unwrap_or_else(|| Asked::Untold(format!("whether header {name} was there")))
                }
                (HeaderTest::Equals(_) | HeaderTest::Prefix(_), _) => {
                    answered().unwrap_or_else(|| Asked::Untold(format!("what header {name} held")))
                }
            },
            Condition::User(test) => match &self.record.user_issuer {
                None => Asked::from(condition.met(&self.subject(), &self.request())),
                Some(_) if !test.present => Asked::No,
                Some(issuer) if !test.issuers.is_empty() && !test.issuers.iter().any(|one| **one == **issuer) => {
                    // A claim that is absent would be nothing to ask.
                    if test.claims.is_empty() { Asked::No } else { answered().unwrap_or_else(untold_user) }
                }
                Some(_) if test.subjects.is_empty() && test.claims.is_empty() => Asked::Yes,
                Some(_) => answered().unwrap_or_else(untold_user),
            },
            Condition::Device(_) if self.record.device.is_none() => Asked::Nothing,
            Condition::Device(_) => answered()
                .unwrap_or_else(|| Asked::Untold("which device it was, and so whether a list holds it".to_owned())),
            Condition::Percentage { percent: 100, .. } => Asked::Yes,
            Condition::Percentage { .. } => {
                answered().unwrap_or_else(|| Asked::Untold("whose share it falls into".to_owned()))
            }
            _ => Asked::from(condition.met(&self.subject(), &self.request())),
        }
    }
}

fn untold_user() -> Asked {
    Asked::Untold("what the user's token said".to_owned())
}

/// Not all of these: as [`Condition::met`], with answers that may be missing.
fn not(answers: impl Iterator<Item = (Asked, bool)>) -> Asked {
    let (mut one_unmet, mut untold, mut untold_claim) = (false, None, false);
    for (answer, is_claim) in answers {
        match answer {
            Asked::Nothing => return Asked::Nothing,
            Asked::No => one_unmet = true,
            Asked::Yes => {}
            Asked::Untold(what) => {
                // Could still turn out to be nothing to ask, and the whole then with it.
                untold_claim |= is_claim;
                untold.get_or_insert(what);
            }
        }
    }
    match untold {
        Some(what) if untold_claim || !one_unmet => Asked::Untold(what),
        _ => Asked::from(Some(one_unmet)),
    }
}
