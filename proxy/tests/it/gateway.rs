//! The whole gateway against real sockets: a client of raw bytes on one side, a recording API on the other.

mod kit;

mod admission;
mod answers;
mod attacks;
mod budgets;
mod callers;
mod ceilings;
mod dev;
mod guard;
mod heads;
mod injection;
mod key_changes;
mod keys;
mod last_good;
mod modes;
mod operations;
mod operators;
mod orders;
mod protocols;
mod refusals;
mod reloads;
mod remembered;
mod revocations;
mod rotation;
mod searched;
mod seats;
mod shared;
mod streams;
mod traces;
