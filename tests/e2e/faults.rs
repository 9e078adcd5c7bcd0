//! What breaks, breaks loudly, by name, and without taking along what works.

mod crashes;
mod last_good;
mod outages;
mod reloads;
mod starts;
mod stops;
