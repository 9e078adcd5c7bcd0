//! One decision, as far as it is counted.

use std::net::IpAddr;

use attest_core::token::verify::Verified;
use attest_core::verdict::Verdict;

use super::Category;
use crate::class::Action;
use crate::decision::Why;
use crate::recording::Pseudonyms;

/// What is counted of one decision.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The route.
    pub route: &'a str,
    /// The verdict.
    pub verdict: Verdict,
    /// The app; only of a genuine token.
    pub app: Option<&'a str>,
    /// Its version; only of a genuine token.
    pub version: Option<&'a str>,
    /// The rule that decides when everything is enforced: a monitored one too.
    pub rule: &'a str,
    /// What happened.
    pub action: Action,
    /// What happens when everything is enforced: monitored rules, and all percentages at 100.
    pub enforced: Action,
    /// [`Pseudonyms::device`]; only of a genuine token.
    pub device: Option<u64>,
    /// [`Pseudonyms::network`].
    pub network: u64,
}

impl<'a> Seen<'a> {
    /// Of a decision that the gateway has made. Allocates nothing.
    #[must_use]
    pub fn new(route: &'a str, who: &'a Verified, why: &'a Why, address: IpAddr, names: &Pseudonyms) -> Self {
        let claims = who.claims();
        // The first monitored rule that matched would have decided.
        let (rule, enforced) =
            why.monitored().next().unwrap_or_else(|| (why.rule(), why.would().unwrap_or(why.action())));
        Self {
            route,
            verdict: who.verdict(),
            app: claims.and_then(|claims| claims.app()),
            version: claims.and_then(|claims| claims.ver()),
            rule,
            action: why.action(),
            enforced,
            device: claims.and_then(|_| who.device()).map(|device| names.device(device)),
            network: names.network(address),
        }
    }

    /// What it counts as.
    #[must_use]
    pub fn category(&self) -> Category {
        Category::of(self)
    }
}
