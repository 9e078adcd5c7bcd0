//! In: what gateways tell of themselves. Out: the fleet, the same at every replica. What is proven: rows are bounded, the
//! longest silent one goes first; a gateway costs one row written every few seconds, however often it tells; nothing
//! that decides reads them.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use attest_core::{feed::GatewayFacts, time::UnixTime};

use crate::{
    error::StoreError,
    page::{Listing, Page},
    sql::{Row, Tx, values},
    store::{Store, count_up},
};

/// Gateways that are known at once.
pub const MAX_GATEWAYS: usize = 1_000;
/// A gateway that told nothing for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A gateway, as it last told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRow {
    /// Its place in listings.
    pub place: i64,
    /// When it first told anything.
    pub first_seen: UnixTime,
    /// When it last did, by the clock of the replica that it told.
    pub last_seen: UnixTime,
    /// What.
    pub facts: GatewayFacts,
}

const COLUMNS: &str = "place, first_seen, last_seen, facts";

impl Store {
    /// The gateways, in the order in which they were first seen; a page goes on after a gateway's `place`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn gateways(&self, page: Page) -> Result<Listing<GatewayRow>, StoreError> {
        let rows = self.read(|tx| {
            tx.rows(
                &format!("SELECT {COLUMNS} FROM gateways WHERE place > $1 ORDER BY place LIMIT $2"),
                values![page.after.unwrap_or(i64::MIN), page.fetch()],
            )
        })?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Listing::cut(rows, page, |row| row.place))
    }

    /// Which of `routes` no gateway has: none, where no gateway told anything, or one did not tell all of its routes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn routes_nowhere(&self, routes: &[String]) -> Result<Vec<String>, StoreError> {
        let mut left: Vec<&String> = routes.iter().collect();
        let mut page = Page::first(crate::MAX_LIMIT);
        let mut told = false;
        while !left.is_empty() {
            let listing = self.gateways(page)?;
            for gateway in &listing.rows {
                told = true;
                left.retain(|route| gateway.facts.has_route(route) == Some(false));
            }
            let Some(next) = listing.next else { break };
            page.after = Some(next);
        }
        Ok(if told { left.into_iter().cloned().collect() } else { Vec::new() })
    }
}

/// Reports that are not written yet, the last of each gateway.
#[derive(Default)]
pub(crate) struct Reports(HashMap<String, (GatewayFacts, UnixTime)>);

impl Reports {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a report in place of an earlier one of the same gateway; more gateways than are kept wait for the next round.
    pub(crate) fn put(&mut self, facts: GatewayFacts, at: UnixTime) {
        if self.0.len() < MAX_GATEWAYS || self.0.contains_key(&facts.name) {
            self.0.insert(facts.name.clone(), (facts, at));
        }
    }

    /// Writes all of them.
    pub(crate) fn write(&self, tx: &Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
        let known = tx.rows("SELECT name FROM gateways", &[])?;
        let known = known.iter().map(|row| row.text(0)).collect::<Result<HashSet<_>, _>>()?;
        for (name, (facts, at)) in &self.0 {
            if known.contains(name) {
                tx.execute(
                    // Another replica may have written what the gateway told it later.
                    "UPDATE gateways SET last_seen = $2, facts = $3 WHERE name = $1 AND last_seen <= $2",
                    values![name.as_str(), *at, facts.to_json()],
                )?;
            } else {
                let place = count_up(tx, "gateway_order", 1)?;
                tx.execute(
                    "INSERT INTO gateways (name, place, first_seen, last_seen, facts) VALUES ($1, $2, $3, $3, $4)",
                    values![name.as_str(), place, *at, facts.to_json()],
                )?;
            }
        }
        forget(tx, now)
    }
}

/// Forgets who has been silent for long, and who has been longest where there are too many.
fn forget(tx: &Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
    tx.execute("DELETE FROM gateways WHERE last_seen < $1", values![now.minus(FORGET_AFTER)])?;
    tx.execute(
        "DELETE FROM gateways WHERE name IN (
            SELECT name FROM gateways ORDER BY last_seen DESC, place DESC LIMIT 100000 OFFSET $1)",
        values![i64::try_from(MAX_GATEWAYS).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

fn parse(row: &Row) -> Result<GatewayRow, StoreError> {
    let facts = GatewayFacts::parse(row.text(3)?.as_bytes());
    Ok(GatewayRow {
        place: row.int(0)?,
        first_seen: row.time(1)?,
        last_seen: row.time(2)?,
        facts: facts.map_err(|_| StoreError::Damaged { what: "a gateway's report" })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_to_be_written_is_bounded_and_of_each_gateway_the_last() {
        let mut reports = Reports::default();
        let named = |name: String| GatewayFacts { name, ..GatewayFacts::default() };
        for number in 0..=MAX_GATEWAYS {
            reports.put(named(number.to_string()), UnixTime::default());
        }
        assert_eq!(reports.0.len(), MAX_GATEWAYS);
        let newer = GatewayFacts { generation: 2, ..named("7".to_owned()) };
        reports.put(newer, UnixTime::from_secs(5));
        assert_eq!((reports.0["7"].0.generation, reports.0["7"].1.secs()), (2, 5));
    }
}
