//! A policy from its file to an answer: its errors, its cases, the traffic it is tried on, its changes, its callers and
//! limits, and what guards it.

mod callers;
mod guard;
mod limits;
mod reloads;
mod reports;
mod traffic;
