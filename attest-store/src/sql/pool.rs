//! In: callers that want a connection for a moment. Out: one each, at most [`MAX`] at a time. What is proven: a broken
//! connection is not handed out twice, and nobody waits for one longer than [`WAIT`].

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use super::Connection;
use crate::{database::Database, error::StoreError};

/// Connections in use at once.
const MAX: usize = 8;
/// Connections kept for the next caller.
const IDLE: usize = 4;
/// How long a caller waits for its turn.
const WAIT: Duration = Duration::from_secs(5);

/// The connections of one process.
pub(crate) struct Pool {
    database: Database,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    used: usize,
}

impl Pool {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, state: Mutex::default(), freed: Condvar::new() }
    }

    /// The database it connects to.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs `work` with a connection.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let seat = self.take()?;
        let connection = match seat.1 {
            Some(idle) => idle,
            None => self.database.connect()?,
        };
        let outcome = work(&connection);
        if connection.is_sound() && !matches!(outcome, Err(StoreError::Away { .. })) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.idle.len() < IDLE {
                state.idle.push(connection);
            }
        }
        drop(seat.0);
        outcome
    }

    fn take(&self) -> Result<(Seat<'_>, Option<Connection>), StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_timeout_while(state, WAIT, |state| state.used >= MAX);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && state.used >= MAX {
            return Err(StoreError::Busy);
        }
        state.used += 1;
        let mut idle = state.idle.pop();
        while idle.as_ref().is_some_and(|connection| !connection.is_sound()) {
            idle = state.idle.pop();
        }
        Ok((Seat(self), idle))
    }
}

/// A right to one connection; given back when dropped, also by a panic.
struct Seat<'a>(&'a Pool);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).used -= 1;
        self.0.freed.notify_one();
    }
}
