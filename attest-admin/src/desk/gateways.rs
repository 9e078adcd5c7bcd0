//! The fleet: what gateways told of themselves.

use std::time::Duration;

use attest_core::{feed::GatewayFacts, time::UnixTime};
use attest_store::GatewayRow;

use super::{Viewer, page, told};
use crate::{
    problem::Problem,
    types::{self, Gateway, PageQuery},
};

/// A gateway tells every few seconds, and its row is written every few seconds: one that runs is never silent for so long.
const SILENT_AFTER: Duration = Duration::from_secs(60);

impl Viewer<'_> {
    /// The gateways, in the order in which they were first heard of.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps.
    pub fn gateways(&self, query: &PageQuery) -> Result<types::Page<Gateway>, Problem> {
        let desk = self.0;
        desk.unlimited()?;
        let listing = desk.store.gateways(page(query.limit, query.after.as_deref())?)?;
        Ok(told(listing, |row| gateway(row, desk.now)))
    }
}

fn gateway(row: GatewayRow, now: UnixTime) -> Gateway {
    let GatewayRow { place: _, first_seen, last_seen, facts } = row;
    let GatewayFacts {
        name,
        version,
        generation,
        configuration,
        reload_ok,
        reload_error,
        uptime_secs,
        orders,
        revocations,
        key_sets,
        routes,
        more_routes,
        counts,
    } = facts;
    Gateway {
        name,
        version,
        generation,
        configuration,
        reload_ok,
        reload_error,
        uptime_secs,
        orders,
        revocations,
        key_sets,
        routes,
        more_routes,
        requests: counts.requests,
        refused: counts.refused,
        limited: counts.limited,
        overloaded: counts.overloaded,
        first_seen: first_seen.secs(),
        last_seen: last_seen.secs(),
        silent: now.since(last_seen).is_some_and(|silence| silence > SILENT_AFTER),
    }
}
