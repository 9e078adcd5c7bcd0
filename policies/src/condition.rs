//! One condition of a rule, and whether a request meets it.
//!
//! In: what the token proved and what the request is. Out: yes, no, or *unknown*: a claim that no genuine signature
//! stands behind is unknown, and a rule with an unknown condition does not match, negated or not.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::target::PathGlob;
use attest_core::tier::Tier;
use http::{HeaderName, Method};
use ipnet::IpNet;

use crate::facts::{RequestFacts, Subject};
use crate::shape::conditions::HeaderTest;
use crate::shape::values::HostPattern;
use crate::verdicts::Verdicts;
use crate::version::Version;

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
    Path(Box<[PathGlob]>),
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
    Network(Box<[IpNet]>),
    Header {
        name: HeaderName,
        test: HeaderTest,
    },
    /// Not all of these.
    Not(Box<[Condition]>),
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
            Self::Path(paths) => paths.iter().any(|path| path.matches(what.target.path())).into(),
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
            Self::Network(networks) => {
                let address = what.address.to_canonical();
                networks.iter().any(|network| network.contains(&address)).into()
            }
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

    /// Whether it is about a claim of the token, itself or inside a `not`.
    pub(crate) fn is_claim(&self) -> bool {
        match self {
            Self::Tier(_) | Self::Evidence(_) | Self::App(_) | Self::AppVersion { .. } | Self::ExpiredFor { .. } => {
                true
            }
            Self::Not(conditions) => conditions.iter().any(Self::is_claim),
            _ => false,
        }
    }

    /// Whether every request that meets `inner` meets this one too. May say `false` where a closer look would say `true`.
    pub(crate) fn covers(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::Verdict(outer), Self::Verdict(inner)) => inner.without(*outer).is_empty(),
            (Self::Method(outer), Self::Method(inner)) => inner.iter().all(|method| outer.contains(method)),
            (Self::Host(outer), Self::Host(inner)) => {
                inner.iter().all(|host| outer.iter().any(|bound| bound.covers(host)))
            }
            (Self::Path(outer), Self::Path(inner)) => {
                inner.iter().all(|path| outer.iter().any(|bound| path.is_within(bound)))
            }
            (Self::Route(outer), Self::Route(inner)) | (Self::App(outer), Self::App(inner)) => {
                inner.iter().all(|name| outer.contains(name))
            }
            (Self::Tier(outer), Self::Tier(inner)) => inner.0 & !outer.0 == 0,
            (Self::Evidence(outer), Self::Evidence(inner)) => outer.contains_all(*inner),
            (Self::AppVersion { min, below }, Self::AppVersion { min: inner_min, below: inner_below }) => {
                min.is_none_or(|min| inner_min.is_some_and(|inner| inner >= min))
                    && below.is_none_or(|below| inner_below.is_some_and(|inner| inner <= below))
            }
            (Self::ExpiredFor { max }, Self::ExpiredFor { max: inner }) => inner <= max,
            (Self::Network(outer), Self::Network(inner)) => {
                inner.iter().all(|network| outer.iter().any(|bound| bound.contains(network)))
            }
            _ => self == inner,
        }
    }

    /// Its field in the YAML.
    pub(crate) fn field(&self) -> &'static str {
        match self {
            Self::Verdict(_) => "verdict",
            Self::Method(_) => "method",
            Self::Host(_) => "host",
            Self::Path(_) => "path",
            Self::Route(_) => "route",
            Self::Tier(_) => "tier",
            Self::Evidence(_) => "evidence",
            Self::App(_) => "app",
            Self::AppVersion { .. } => "app_version",
            Self::ExpiredFor { .. } => "expired_for",
            Self::Network(_) => "network",
            Self::Header { .. } => "header",
            Self::Not(_) => "not",
        }
    }

    /// Why `who` with `what` does not meet it, for a person.
    pub(crate) fn why_not(&self, who: &Subject<'_>, what: &RequestFacts<'_>) -> String {
        if self.is_claim() && !who.genuine {
            return format!(
                "`{}` looks at a claim, and with verdict `{}` there is none to believe",
                self.field(),
                who.verdict
            );
        }
        let is = match self {
            Self::Verdict(_) => format!("verdict is `{}`", who.verdict),
            Self::Method(_) => format!("method is {}", what.target.method()),
            Self::Host(_) => format!("host is {}", what.target.host()),
            Self::Path(_) => format!("path is {}", what.target.path()),
            Self::Route(_) => format!("route is `{}`", what.route),
            Self::Tier(_) => format!("tier is `{}`", who.tier),
            Self::Evidence(_) => format!("evidence is {}", kinds(who.kinds)),
            Self::App(_) => format!("app is {}", who.app.unwrap_or("not known")),
            Self::AppVersion { .. } => format!("app_version is {}", who.version.unwrap_or("not known")),
            Self::ExpiredFor { .. } => match who.expired_for {
                Some(age) => format!("expired for {} s", age.as_secs()),
                None => "the token has not expired".to_owned(),
            },
            Self::Network(_) => format!("address is {}", shown(what.address)),
            Self::Header { name, .. } => format!("header {name} differs"),
            Self::Not(conditions) => {
                let fields: Vec<&str> = conditions.iter().map(Self::field).collect();
                return format!("what `not` excludes is so: {}", fields.join(", "));
            }
        };
        format!("{is}, the rule wants {self}")
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

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdicts) => f.write_str(&verdicts.listed()),
            Self::Method(methods) => joined(f, methods),
            Self::Host(hosts) => joined(f, hosts),
            Self::Path(paths) => joined(f, paths),
            Self::Route(names) | Self::App(names) => joined(f, names),
            Self::Tier(tiers) => {
                let words: Vec<Tier> = Tier::ALL.into_iter().filter(|tier| tiers.has(*tier)).collect();
                joined(f, &words)
            }
            Self::Evidence(set) => f.write_str(&kinds(*set)),
            Self::AppVersion { min, below } => {
                if let Some(min) = min {
                    write!(f, "from {min}")?;
                }
                if let Some(below) = below {
                    write!(f, "{}before {below}", if min.is_some() { ", " } else { "" })?;
                }
                Ok(())
            }
            Self::ExpiredFor { max } => write!(f, "at most {} s", max.as_secs()),
            Self::Network(networks) => joined(f, networks),
            Self::Header { name, test } => match test {
                HeaderTest::Present(true) => write!(f, "{name} to be there"),
                HeaderTest::Present(false) => write!(f, "{name} to be absent"),
                // The value is not told: an explanation may be pasted into a ticket.
                HeaderTest::Equals(_) => write!(f, "{name} to equal what it names"),
                HeaderTest::Prefix(_) => write!(f, "{name} to begin as it says"),
            },
            Self::Not(conditions) => {
                f.write_str("not ")?;
                for (index, condition) in conditions.iter().enumerate() {
                    write!(f, "{}{} {condition}", if index > 0 { ", " } else { "" }, condition.field())?;
                }
                Ok(())
            }
        }
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index > 0 { " or " } else { "" })?;
    }
    Ok(())
}

fn kinds(set: EvidenceKinds) -> String {
    let words: Vec<&str> = set.iter().map(EvidenceKind::as_str).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" or ") }
}

fn shown(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
