//! Who asks for a change, and what they may. In: a role and the apps it is for. Out: yes, or `Forbidden`. The store asks
//! on every change, whatever its caller asked before.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::error::StoreError;

/// Who did something: goes into the audit log with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A person's or token's name, or `service`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The apps it may do it to; absent: all, and what belongs to no app.
    pub apps: Option<Vec<String>>,
    /// From where.
    pub origin: Origin,
}

/// What an actor may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Registers and retires builds, marks and enrols devices.
    Operator,
    /// Everything: keys, revocations, tokens.
    Admin,
}

/// Where an actor acts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command on this machine.
    Local,
    /// The admin API.
    Remote(IpAddr),
    /// The service itself.
    Service,
}

impl Actor {
    /// Whoever may read the state folder and the unlock key: everything.
    #[must_use]
    pub fn local(name: &str) -> Self {
        Self { name: name.to_owned(), role: Role::Admin, apps: None, origin: Origin::Local }
    }

    /// The service itself.
    #[must_use]
    pub fn service() -> Self {
        Self { name: "service".to_owned(), role: Role::Admin, apps: None, origin: Origin::Service }
    }

    /// Proves that the actor may do what takes `needs`, to `app` (absent: to no app in particular).
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may(&self, needs: Role, app: Option<&str>) -> Result<(), StoreError> {
        let in_scope = match (&self.apps, app) {
            (None, _) => true,
            (Some(apps), Some(app)) => apps.iter().any(|own| own == app),
            (Some(_), None) => false,
        };
        if self.role >= needs && in_scope { Ok(()) } else { Err(StoreError::Forbidden { needs }) }
    }
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The role's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// The word is no role.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a role: one of viewer, operator, admin")]
pub struct NotARole;

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(word: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(NotARole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => out.write_str("local"),
            Self::Remote(address) => write!(out, "{address}"),
            Self::Service => out.write_str("service"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_does_not_reach_above_itself_nor_past_its_apps() {
        let mut actor = Actor { role: Role::Operator, ..Actor::local("ann") };
        assert!(matches!(actor.may(Role::Admin, None), Err(StoreError::Forbidden { needs: Role::Admin })));
        assert!(actor.may(Role::Operator, None).is_ok() && actor.may(Role::Viewer, Some("shop")).is_ok());
        actor.apps = Some(vec!["shop".to_owned()]);
        assert!(actor.may(Role::Operator, Some("shop")).is_ok());
        assert!(actor.may(Role::Operator, Some("bank")).is_err());
        assert!(actor.may(Role::Viewer, None).is_err(), "what belongs to no app is not in scope");
        actor.apps = Some(Vec::new());
        assert!(actor.may(Role::Viewer, Some("shop")).is_err(), "no apps is none, not all");
    }

    #[test]
    fn every_role_has_its_word_and_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(NotARole));
    }
}
