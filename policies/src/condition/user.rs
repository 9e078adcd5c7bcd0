//! The condition on a user, whose own token was verified beside the app's.
//!
//! In: what a rule asks, and the user, if there is one. Out: yes, no, or unknown: there is no user of whom anything could be so, or
//! its token lacks the claim.

use std::fmt;

use serde_json::Value;

use super::Met;
use crate::facts::User;

/// What must be so of a user: all of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UserTest {
    /// Whether there is one; implied where anything else is asked.
    pub(crate) present: bool,
    pub(crate) issuers: Box<[Box<str>]>,
    pub(crate) subjects: Box<[Box<str>]>,
    /// All of them.
    pub(crate) claims: Box<[Claim]>,
}

/// A claim by name, and the values that will do.
pub(crate) type Claim = (Box<str>, Box<[Value]>);

impl UserTest {
    pub(super) fn met(&self, user: Option<&User<'_>>) -> Met {
        let Some(user) = user else {
            return match (self.present, self.asks_who()) {
                (false, _) => Met::Yes,
                (true, false) => Met::No,
                (true, true) => Met::Unknown,
            };
        };
        if !self.present {
            return Met::No;
        }
        let any = |names: &[Box<str>], name: &str| names.is_empty() || names.iter().any(|one| **one == *name);
        let mut met = any(&self.issuers, user.issuer) && any(&self.subjects, user.subject);
        for (name, wanted) in &self.claims {
            // All are looked at: an absent one must not hide behind another that differs.
            match user.claims.get(&**name) {
                None | Some(Value::Null) => return Met::Unknown,
                Some(Value::Array(have)) => met &= have.iter().any(|have| wanted.contains(have)),
                Some(have) => met &= wanted.contains(have),
            }
        }
        met.into()
    }

    /// Whether it asks for more than that there is one.
    fn asks_who(&self) -> bool {
        !self.issuers.is_empty() || !self.subjects.is_empty() || !self.claims.is_empty()
    }

    /// Whether whoever meets `inner` meets this.
    pub(super) fn covers(&self, inner: &Self) -> bool {
        let names = |outer: &[Box<str>], inner: &[Box<str>]| {
            outer.is_empty() || (!inner.is_empty() && inner.iter().all(|name| outer.contains(name)))
        };
        self.present == inner.present
            && names(&self.issuers, &inner.issuers)
            && names(&self.subjects, &inner.subjects)
            && self.claims.iter().all(|(name, values)| {
                inner
                    .claims
                    .iter()
                    .any(|(other, wanted)| other == name && wanted.iter().all(|one| values.contains(one)))
            })
    }
}

impl fmt::Display for UserTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.present {
            return f.write_str("none");
        }
        // Neither subjects nor the values of claims are told: an explanation may be pasted into a ticket.
        let mut parts = Vec::new();
        if !self.issuers.is_empty() {
            parts.push(format!("of {}", self.issuers.join(" or ")));
        }
        if !self.subjects.is_empty() {
            parts.push("whose subject it names".to_owned());
        }
        parts.extend(self.claims.iter().map(|(name, _)| format!("whose claim {name} is as it says")));
        if parts.is_empty() { f.write_str("one") } else { write!(f, "one {}", parts.join(", ")) }
    }
}
