//! What a gateway tells its service about itself, so that operators see the whole fleet in one place.
//!
//! In: a report of a gateway that showed the gateway token. Out: [`GatewayFacts`] of bounded length, of which no text can
//! spoil a terminal or a log. It is the gateway's own word: operators read it, nothing is decided by it.

use serde::{Deserialize, Serialize};

use super::orders::{MAX_ORDERS, is_route_name};

/// Bytes of a report at most.
pub const MAX_REPORT_BYTES: usize = 48 * 1024;

/// Routes that a report names at most.
pub const MAX_REPORTED_ROUTES: usize = 512;

/// Characters of a gateway's name at most.
const MAX_NAME: usize = 128;
/// Characters of a version, a digest or a code at most.
const MAX_WORD: usize = 64;

/// How one gateway is. What a newer one says beside this is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayFacts {
    /// What tells it from other gateways: configured, or host and process. 1 to 128 characters A-Z a-z 0-9 . _ : @ -.
    pub name: String,
    /// The version of Assay that it runs.
    pub version: String,
    /// The number of its configuration since its start.
    pub generation: u64,
    /// A digest of the files of that configuration: gateways with the same files say the same.
    pub configuration: String,
    /// Whether the last reload was taken.
    pub reload_ok: bool,
    /// If not, a code for why; never a text from the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_error: Option<String>,
    /// Seconds since its start.
    pub uptime_secs: u64,
    /// The orders in force there, by number.
    pub orders: Vec<u64>,
    /// The revocation number that it has reached; absent: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<u64>,
    /// The number of its key sets; absent: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sets: Option<u64>,
    /// Its routes by name, at most [`MAX_REPORTED_ROUTES`].
    pub routes: Vec<String>,
    /// Whether there are more routes than it named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_routes: bool,
    /// What it counted since its start.
    pub counts: GatewayCounts,
}

/// Requests on a gateway's routes since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayCounts {
    /// Decided, in whatever way.
    pub requests: u64,
    /// Refused by verdict or policy.
    pub refused: u64,
    /// Refused by a limit.
    pub limited: u64,
    /// Refused because there was no room.
    pub overloaded: u64,
}

/// It is no report, or one out of bounds.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a gateway's report: JSON of at most {MAX_REPORT_BYTES} bytes within its bounds")]
pub struct NotFacts;

impl GatewayFacts {
    /// Parses a report.
    ///
    /// # Errors
    /// [`NotFacts`], also for a text out of bounds.
    pub fn parse(text: &[u8]) -> Result<Self, NotFacts> {
        if text.len() > MAX_REPORT_BYTES {
            return Err(NotFacts);
        }
        let facts: Self = serde_json::from_slice(text).map_err(|_| NotFacts)?;
        if facts.is_sound() { Ok(facts) } else { Err(NotFacts) }
    }

    /// Its JSON, as [`GatewayFacts::parse`] reads it.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, plain words and booleans always have a JSON text.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        is_gateway_name(&self.name)
            && is_word(&self.version)
            && is_word(&self.configuration)
            && self.reload_error.as_deref().is_none_or(is_word)
            && self.orders.len() <= MAX_ORDERS
            && self.routes.len() <= MAX_REPORTED_ROUTES
            && self.routes.iter().all(|route| is_route_name(route))
    }

    /// Whether it has a route of this name; none where it did not name all of its routes.
    #[must_use]
    pub fn has_route(&self, route: &str) -> Option<bool> {
        let named = self.routes.iter().any(|name| name == route);
        if named || !self.more_routes { Some(named) } else { None }
    }
}

/// Whether a gateway can have this name.
#[must_use]
pub fn is_gateway_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'@' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(good)
}

fn is_word(word: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    (1..=MAX_WORD).contains(&word.len()) && word.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> GatewayFacts {
        GatewayFacts {
            name: "edge-1.example.com:4711".into(),
            version: "0.4.0".into(),
            generation: 3,
            configuration: "a1b2".into(),
            reload_ok: true,
            routes: vec!["paid".into()],
            ..GatewayFacts::default()
        }
    }

    fn with(change: impl FnOnce(&mut GatewayFacts)) -> GatewayFacts {
        let mut facts = facts();
        change(&mut facts);
        facts
    }

    #[test]
    fn refuses_what_could_spoil_a_terminal_or_fill_a_table() {
        for bad in [
            with(|facts| facts.name = String::new()),
            with(|facts| facts.name = "a b".into()),
            with(|facts| facts.name = "\u{1b}[2J".into()),
            with(|facts| facts.name = "n".repeat(129)),
            with(|facts| facts.version = "1\n".into()),
            with(|facts| facts.configuration = "x".repeat(65)),
            with(|facts| facts.reload_error = Some("a: secret in a text".into())),
            with(|facts| facts.orders = vec![1; 65]),
            with(|facts| facts.routes = vec!["paid".into(); MAX_REPORTED_ROUTES + 1]),
            with(|facts| facts.routes = vec!["Not a route".into()]),
        ] {
            assert_eq!(GatewayFacts::parse(bad.to_json().as_bytes()), Err(NotFacts), "{bad:?}");
        }
        assert_eq!(GatewayFacts::parse(&vec![b' '; MAX_REPORT_BYTES + 1]), Err(NotFacts));
        assert_eq!(GatewayFacts::parse(b"{}"), Err(NotFacts));
    }

    #[test]
    fn the_largest_report_fits_and_what_a_newer_gateway_adds_is_not_read() {
        let largest = with(|facts| {
            facts.name = "n".repeat(128);
            facts.routes = vec!["r".repeat(64); MAX_REPORTED_ROUTES];
            facts.orders = vec![u64::MAX; MAX_ORDERS];
            facts.reload_error = Some("e".repeat(64));
        });
        assert_eq!(GatewayFacts::parse(largest.to_json().as_bytes()), Ok(largest));
        let mut newer = serde_json::to_value(facts()).unwrap();
        newer["mood"] = "good".into();
        assert_eq!(GatewayFacts::parse(newer.to_string().as_bytes()), Ok(facts()));
    }

    #[test]
    fn a_route_that_it_did_not_name_is_unknown_where_it_has_more() {
        assert_eq!(facts().has_route("paid"), Some(true));
        assert_eq!(facts().has_route("free"), Some(false));
        let more = with(|facts| facts.more_routes = true);
        assert_eq!((more.has_route("paid"), more.has_route("free")), (Some(true), None));
    }

    proptest! {
        #[test]
        fn never_panics_and_what_parses_reads_back(text in "\\PC{0,80}", name in "[a-z@:. ]{0,6}", generation: u64) {
            let _ = GatewayFacts::parse(text.as_bytes());
            let facts = with(|facts| (facts.name, facts.generation) = (name, generation));
            if let Ok(read) = GatewayFacts::parse(facts.to_json().as_bytes()) {
                prop_assert_eq!(read, facts);
            }
        }
    }
}
