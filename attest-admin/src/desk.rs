//! The operations themselves, the same for HTTP and for a command on the service's own machine.
//!
//! In: who asks, and what. Out: typed answers or a [`Problem`]. What is proven: an operation can only be reached through
//! the role that it needs ([`Desk::viewer`], [`Desk::operator`], [`Desk::admin`]), and sees nothing of apps that the
//! caller's token does not reach: what is not in reach is not there. Calls block.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use attest_core::time::UnixTime;
use attest_store::{Actor, Role, Store, StoreError};
use settings::{AppSettings, Attestation, ServeSettings};

use crate::{
    problem::{Code, Problem},
    types::{self, DEFAULT_LIMIT, MAX_LIMIT},
};

mod audit;
mod builds;
mod devices;
mod gateways;
mod key_sets;
mod orders;
mod package;
mod revocations;
mod status;
mod tokens;

/// What the configuration says of apps and keys.
#[derive(Clone, Debug)]
pub struct Known {
    /// The apps that can be attested.
    pub apps: BTreeMap<String, AppSettings>,
    /// The key set's name.
    pub key_set: String,
    /// How long some gateway may use a key set that it can't renew.
    pub keys_stale: Duration,
}

impl Known {
    /// The part of `attestation:` that operations need, where it is served.
    #[must_use]
    pub fn of(attestation: &Attestation, serve: &ServeSettings) -> Self {
        Self {
            apps: attestation.apps.clone(),
            key_set: attestation.token.key_set.clone(),
            keys_stale: serve.keys_stale,
        }
    }
}

/// One caller before the state.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    known: Arc<Known>,
    actor: Actor,
    now: UnixTime,
}

/// What a caller who may read can do.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a>(&'a Desk);

/// What a caller who may change builds and devices can do.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a>(&'a Desk);

/// What a caller who may do everything can do.
#[derive(Clone, Copy, Debug)]
pub struct Administrator<'a>(&'a Desk);

impl Desk {
    /// `actor` before `store`, at `now`.
    #[must_use]
    pub fn new(store: Store, known: Arc<Known>, actor: Actor, now: UnixTime) -> Self {
        Self { store, known, actor, now }
    }

    /// Reading.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn viewer(&self) -> Result<Viewer<'_>, Problem> {
        self.at_least(Role::Viewer).map(|()| Viewer(self))
    }

    /// Changing builds and devices.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn operator(&self) -> Result<Operator<'_>, Problem> {
        self.at_least(Role::Operator).map(|()| Operator(self))
    }

    /// Everything.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn admin(&self) -> Result<Administrator<'_>, Problem> {
        self.at_least(Role::Admin).map(|()| Administrator(self))
    }

    fn at_least(&self, role: Role) -> Result<(), Problem> {
        if self.actor.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this takes the role {role}; the token has {}", self.actor.role)))
    }

    /// What belongs to no app is for tokens that are limited to none.
    fn unlimited(&self) -> Result<(), Problem> {
        match self.actor.apps {
            None => Ok(()),
            Some(_) => Err(Problem::forbidden("this belongs to no app, and the token is limited to some")),
        }
    }

    /// Whether the caller may see what belongs to `app`.
    fn reaches(&self, app: Option<&str>) -> bool {
        self.actor.may(Role::Viewer, app).is_ok()
    }
}

/// The page that a query asks for.
fn page(limit: Option<u16>, after: Option<&str>) -> Result<attest_store::Page, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid("limit", format!("it has to be 1 to {MAX_LIMIT}")));
    }
    let wrong = |_| Problem::invalid("after", "it is no `next` of a page of this list");
    let after = after.map(str::parse::<i64>).transpose().map_err(wrong)?;
    Ok(attest_store::Page { after, limit: limit.into() })
}

/// A page as it is told.
fn told<T, U>(listing: attest_store::Listing<T>, row: impl FnMut(T) -> U) -> types::Page<U> {
    types::Page { items: listing.rows.into_iter().map(row).collect(), next: listing.next.map(|next| next.to_string()) }
}

/// A list that is always whole.
fn whole<T>(items: Vec<T>) -> types::Page<T> {
    types::Page { items, next: None }
}

/// What the store refused, in this API's words. What is our fault goes to the log, and the caller learns that it is.
pub(crate) fn store_problem(error: StoreError) -> Problem {
    let said = error.to_string();
    match error {
        StoreError::NotAName { field, .. }
        | StoreError::NotAText { field, .. }
        | StoreError::NotAnEnd { field, .. } => Problem::invalid(field, said),
        StoreError::TooMany { .. }
        | StoreError::AnotherMeasurement { .. }
        | StoreError::Exists { .. }
        | StoreError::Refused { .. } => Problem::conflict(said),
        StoreError::NothingToRetire { .. } | StoreError::NotFound { .. } => Problem::not_found(said),
        StoreError::Conflict { .. } => Problem::new(Code::PreconditionFailed),
        StoreError::Forbidden { .. } => Problem::forbidden(said),
        StoreError::Away { .. } | StoreError::Busy | StoreError::Full | StoreError::ReadOnly => {
            tracing::warn!(target: "assay::admin", error = %said, "an operation could not be done");
            Problem::new(Code::Unavailable).because(match error {
                StoreError::Full => "the database's disk is full: nothing was changed",
                StoreError::ReadOnly => "the database is read-only: nothing was changed",
                StoreError::Busy => "the database is busy",
                _ => "the database is away",
            })
        }
        other => {
            tracing::error!(target: "assay::admin", error = %other, "an operation failed");
            Problem::new(Code::Internal)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        store_problem(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_of_itself_stays_in_the_log() {
        let problem = store_problem(StoreError::Away { why: "password of db.internal is hunter2".to_owned() });
        assert_eq!((problem.code, problem.status), (Code::Unavailable, 503));
        assert!(!problem.to_string().contains("hunter2"));
        let problem = store_problem(StoreError::Database { why: "hunter2".to_owned() });
        assert_eq!(problem.code, Code::Internal);
        assert!(!problem.to_string().contains("hunter2"));
    }

    #[test]
    fn a_page_is_never_empty_nor_endless() {
        for limit in [0, 501, u16::MAX] {
            assert_eq!(page(Some(limit), None).unwrap_err().field.as_deref(), Some("limit"));
        }
        assert_eq!(page(None, Some("x")).unwrap_err().field.as_deref(), Some("after"));
        assert_eq!(page(None, None).unwrap().limit, 100);
    }
}
