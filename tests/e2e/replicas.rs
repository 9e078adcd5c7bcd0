//! Two services and two gateways on one PostgreSQL and one Redis: they behave as one, and when a part of it fails, as
//! `docs/operations.md` says.

mod budgets;
mod challenges;
mod crashes;
mod database;
mod decisions;
mod limits;
mod orders;
mod rotation;
mod same_file;
mod shared_state;
mod under_load;
