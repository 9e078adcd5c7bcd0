//! One condition of a rule, and whether a request meets it.
//!
//! In: what the token proved and what the request is. Out: yes, no, or *unknown*: a claim that no genuine signature
//! stands behind is unknown, and a rule with an unknown condition does not match, negated or not.

mod covers;
mod told;
mod user;

use std::sync::Arc;
use std::time::Duration;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::target::PathGlob;
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use http::{HeaderName, Method};
use ipnet::IpNet;

use crate::enforcement::Dealer;
use crate::facts::{RequestFacts, Subject};
use crate::lists::{Devices, Networks, Paths};
use crate::shape::conditions::HeaderTest;
use crate::shape::values::HostPattern;
use crate::verdicts::Verdicts;
use crate::version::Version;

pub(crate) use user::UserTest;

/// Whether a condition is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Yes,
    No,
    /// It is about a claim, and no genuine signature stands behind one.
    Unknown,
}

impl From<bool> for Met {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// One condition; lists mean "any of these".
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Verdict(Verdicts),
    Method(Box<[Method]>),
    Host(Box<[HostPattern]>),
    Path {
        globs: Box<[PathGlob]>,
        lists: Box<[Listed<Paths>]>,
    },
    Route(Box<[Box<str>]>),
    Tier(Tiers),
    Evidence(EvidenceKinds),
    App(Box<[Box<str>]>),
    AppVersion {
        min: Option<Version>,
        below: Option<Version>,
    },
    ExpiredFor {
        max: Duration,
    },
    DeviceState(DeviceStates),
    DeviceAge {
        min: Option<Duration>,
        below: Option<Duration>,
    },
    Device(Box<[Listed<Devices>]>),
    Annotation(u32),
    /// Nothing: any.
    Caller(Option<Box<[Box<str>]>>),
    User(UserTest),
    Network {
        /// As they were written.
        written: Box<[IpNet]>,
        /// The same, to look up.
        own: Networks,
        lists: Box<[Listed<Networks>]>,
    },
    Percentage {
        percent: u8,
        dealer: Box<Dealer>,
    },
    Header {
        name: HeaderName,
        test: HeaderTest,
    },
    /// Not all of these.
    Not(Box<[Condition]>),
}

/// A named list that a condition refers to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed<T> {
    pub(crate) name: Box<str>,
    pub(crate) list: Arc<T>,
}

/// A set of states of devices, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceStates(pub(crate) u8);

impl DeviceStates {
    pub(crate) fn of(states: impl Iterator<Item = DeviceState>) -> Self {
        Self(states.fold(0, |bits, state| bits | 1 << state as u8))
    }

    pub(crate) fn has(self, state: DeviceState) -> bool {
        self.0 & (1 << state as u8) != 0
    }
}

/// A set of tiers, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiers(pub(crate) u8);

impl Tiers {
    pub(crate) fn of(tiers: impl Iterator<Item = Tier>) -> Self {
        Self(tiers.fold(0, |bits, tier| bits | 1 << tier as u8))
    }

    pub(crate) fn has(self, tier: Tier) -> bool {
        self.0 & (1 << tier as u8) != 0
    }
}

impl Condition {
    /// Whether `who` with `what` meets it. Allocates nothing.
    pub(crate) fn met(&self, who: &Subject<'_>, what: &RequestFacts<'_>) -> Met {
        if self.is_claim() && !who.genuine {
            return Met::Unknown;
        }
        match self {
            Self::Verdict(verdicts) => verdicts.has(who.verdict).into(),
            Self::Method(methods) => methods.contains(what.target.method()).into(),
            Self::Host(hosts) => hosts.iter().any(|host| host.matches(what.target.host())).into(),
            Self::Path { globs, lists } => {
                let path = what.target.path();
                (globs.iter().any(|glob| glob.matches(path)) || lists.iter().any(|listed| listed.list.contains(path)))
                    .into()
            }
            Self::Route(routes) => routes.iter().any(|route| **route == *what.route).into(),
            Self::Tier(tiers) => tiers.has(who.tier).into(),
            Self::Evidence(kinds) => kinds.intersects(who.kinds).into(),
            Self::App(apps) => match who.app {
                Some(app) => apps.iter().any(|name| **name == *app).into(),
                None => Met::Unknown,
            },
            Self::AppVersion { min, below } => match who.version.and_then(Version::parse) {
                Some(version) => {
                    (min.is_none_or(|min| version >= min) && below.is_none_or(|below| version < below)).into()
                }
                None => Met::Unknown,
            },
            Self::ExpiredFor { max } => match who.expired_for {
                Some(age) => (age <= *max).into(),
                None => Met::Unknown,
            },
            Self::DeviceState(states) => states.has(who.device_state).into(),
            Self::DeviceAge { min, below } => match who.device_age {
                Some(age) => (min.is_none_or(|min| age >= min) && below.is_none_or(|below| age < below)).into(),
                None => Met::Unknown,
            },
            Self::Device(lists) => match who.device {
                Some(device) => lists.iter().any(|listed| listed.list.contains(device)).into(),
                None => Met::Unknown,
            },
            Self::Annotation(bits) => (who.annotations & bits != 0).into(),
            Self::Caller(names) => match (what.caller, names) {
                (None, _) => Met::No,
                (Some(_), None) => Met::Yes,
                (Some(caller), Some(names)) => names.iter().any(|name| **name == *caller).into(),
            },
            Self::User(test) => test.met(what.user.as_ref()),
            Self::Network { own, lists, .. } => {
                (own.contains(what.address) || lists.iter().any(|listed| listed.list.contains(what.address))).into()
            }
            Self::Percentage { percent, dealer } => (dealer.bucket(who, what) < *percent).into(),
            Self::Header { name, test } => test.met(name, what).into(),
            Self::Not(conditions) => {
                // All of them are looked at: an unknown one must not hide behind one that is not met.
                conditions.iter().fold(Met::No, |so_far, condition| match (so_far, condition.met(who, what)) {
                    (Met::Unknown, _) | (_, Met::Unknown) => Met::Unknown,
                    (Met::Yes, _) | (_, Met::No) => Met::Yes,
                    (Met::No, Met::Yes) => Met::No,
                })
            }
        }
    }

    /// Whether it looks into the list of this name.
    pub(crate) fn names_list(&self, name: &str) -> bool {
        fn among<T>(lists: &[Listed<T>], name: &str) -> bool {
            lists.iter().any(|listed| *listed.name == *name)
        }
        match self {
            Self::Path { lists, .. } => among(lists, name),
            Self::Network { lists, .. } => among(lists, name),
            Self::Device(lists) => among(lists, name),
            Self::Not(conditions) => conditions.iter().any(|condition| condition.names_list(name)),
            _ => false,
        }
    }

    /// Whether it is about a claim of the token, itself or inside a `not`.
    pub(crate) fn is_claim(&self) -> bool {
        match self {
            Self::Tier(_)
            | Self::Evidence(_)
            | Self::App(_)
            | Self::AppVersion { .. }
            | Self::ExpiredFor { .. }
            | Self::DeviceState(_)
            | Self::DeviceAge { .. }
            | Self::Device(_)
            | Self::Annotation(_) => true,
            Self::Not(conditions) => conditions.iter().any(Self::is_claim),
            _ => false,
        }
    }
}

impl HeaderTest {
    fn met(&self, name: &HeaderName, what: &RequestFacts<'_>) -> bool {
        match self {
            Self::Present(present) => what.headers.any(name, &mut |_| true) == *present,
            Self::Equals(text) => what.headers.any(name, &mut |value| value == text.as_bytes()),
            Self::Prefix(text) => what.headers.any(name, &mut |value| value.starts_with(text.as_bytes())),
        }
    }
}
