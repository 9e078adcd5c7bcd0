//! Conditions in words, for a person.
//!
//! In: a condition, and a request that may not meet it. Out: what it wants and why the request differs; never the value of a header, of a
//! user's claim or who the user is.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use ipnet::IpNet;

use super::{Condition, Listed};
use crate::facts::{RequestFacts, Subject};
use crate::shape::conditions::HeaderTest;

impl Condition {
    /// Its field in the YAML.
    pub(crate) fn field(&self) -> &'static str {
        match self {
            Self::Verdict(_) => "verdict",
            Self::Method(_) => "method",
            Self::Host(_) => "host",
            Self::Path { .. } => "path",
            Self::Route(_) => "route",
            Self::Tier(_) => "tier",
            Self::Evidence(_) => "evidence",
            Self::App(_) => "app",
            Self::AppVersion { .. } => "app_version",
            Self::ExpiredFor { .. } => "expired_for",
            Self::DeviceState(_) => "device_state",
            Self::DeviceAge { .. } => "device_age",
            Self::Device(_) => "device",
            Self::Annotation(_) => "annotation",
            Self::Caller(_) => "caller",
            Self::User(_) => "user",
            Self::Network { .. } => "network",
            Self::Percentage { .. } => "percentage",
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
            Self::Path { .. } => format!("path is {}", what.target.path()),
            Self::Route(_) => format!("route is `{}`", what.route),
            Self::Tier(_) => format!("tier is `{}`", who.tier),
            Self::Evidence(_) => format!("evidence is {}", kinds(who.kinds)),
            Self::App(_) => format!("app is {}", who.app.unwrap_or("not known")),
            Self::AppVersion { .. } => format!("app_version is {}", who.version.unwrap_or("not known")),
            Self::ExpiredFor { .. } => match who.expired_for {
                Some(age) => format!("expired for {} s", age.as_secs()),
                None => "the token has not expired".to_owned(),
            },
            Self::DeviceState(_) => format!("device_state is `{}`", who.device_state.as_str()),
            Self::DeviceAge { .. } => match who.device_age {
                Some(age) => format!("device_age is {} h", age.as_secs() / 3_600),
                None => "device_age is not known".to_owned(),
            },
            Self::Device(_) => match who.device {
                Some(device) => format!("device is {device}"),
                None => "device is not known".to_owned(),
            },
            Self::Annotation(_) => "the token has no such annotation".to_owned(),
            Self::Caller(_) => match what.caller {
                Some(caller) => format!("caller is `{caller}`"),
                None => "no caller has proven itself".to_owned(),
            },
            Self::User(_) => match what.user {
                // Who it is stays out of explanations.
                Some(user) => format!("user is one of issuer `{}`", user.issuer),
                None => "there is no user".to_owned(),
            },
            Self::Network { .. } => format!("address is {}", shown(what.address)),
            Self::Percentage { dealer, .. } => format!("bucket is {}", dealer.bucket(who, what)),
            Self::Header { name, .. } => format!("header {name} differs"),
            Self::Not(conditions) => {
                let fields: Vec<&str> = conditions.iter().map(Self::field).collect();
                return format!("what `not` excludes is so: {}", fields.join(", "));
            }
        };
        format!("{is}, the rule wants {self}")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdicts) => f.write_str(&verdicts.listed()),
            Self::Method(methods) => joined(f, methods),
            Self::Host(hosts) => joined(f, hosts),
            Self::Path { globs, lists } => alternatives(f, globs, lists),
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
            Self::DeviceState(states) => {
                let words = DeviceState::ALL.into_iter().filter(|state| states.has(*state)).map(DeviceState::as_str);
                f.write_str(&words.collect::<Vec<_>>().join(" or "))
            }
            Self::DeviceAge { min, below } => {
                let hours = |span: &Duration| span.as_secs() / 3_600;
                if let Some(min) = min {
                    write!(f, "from {} h on", hours(min))?;
                }
                if let Some(below) = below {
                    write!(f, "{}under {} h", if min.is_some() { ", " } else { "" }, hours(below))?;
                }
                Ok(())
            }
            Self::Device(lists) => alternatives(f, &[] as &[IpNet], lists),
            Self::Annotation(_) => f.write_str("`dev`"),
            Self::Caller(None) => f.write_str("any"),
            Self::Caller(Some(names)) => joined(f, names),
            Self::User(test) => write!(f, "{test}"),
            Self::Network { written, lists, .. } => alternatives(f, written, lists),
            Self::Percentage { percent, .. } => write!(f, "one under {percent}"),
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

fn alternatives<T: fmt::Display, L>(f: &mut fmt::Formatter<'_>, items: &[T], lists: &[Listed<L>]) -> fmt::Result {
    joined(f, items)?;
    for (index, listed) in lists.iter().enumerate() {
        let or = if index > 0 || !items.is_empty() { " or " } else { "" };
        write!(f, "{or}one of list `{}`", listed.name)?;
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
