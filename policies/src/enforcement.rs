//! How many of the final refusals take effect: for going live step by step.
//!
//! In: `enforcement:` and the policy's name. Out: for a verdict, its share; for a sender, a bucket from 0 to 99 that stays the
//! same. A bucket goes by device only where we signed the token that names it, else by address (IPv6: its /64), so that no
//! client picks its bucket by writing another device into a token.

use std::net::IpAddr;

use attest_core::verdict::Verdict;
use aws_lc_rs::hmac;

use crate::facts::{RequestFacts, Subject};
use crate::problem::Problem;
use crate::shape::At;
use crate::shape::policy::{Enforcement, Share};
use crate::verdicts::Verdicts;

/// The shares, and the key that deals the buckets.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    /// Percent, by verdict.
    percent: [u8; Verdict::ALL.len()],
    dealer: Dealer,
}

/// Deals each sender a bucket from 0 to 99 that stays the same.
#[derive(Clone, Debug)]
pub(crate) struct Dealer(hmac::Key);

impl Dealer {
    /// For the shares of refusals of a policy.
    fn of_policy(policy: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, ["assay-bucket-v1\0", policy].concat().as_bytes()))
    }

    /// For the percentage of a rule: who is in that of one rule is no likelier to be in that of another.
    pub(crate) fn of_rule(policy: &str, rule: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, ["assay-share-v1\0", policy, "\0", rule].concat().as_bytes()))
    }

    /// The same for the same dealer, and for no other: under it a record's answer is found again.
    pub(crate) fn mark(&self) -> String {
        let tag = hmac::sign(&self.0, b"mark");
        tag.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bucket of this sender. Allocates nothing.
    pub(crate) fn bucket(&self, who: &Subject<'_>, what: &RequestFacts<'_>) -> u8 {
        let mut context = hmac::Context::with_key(&self.0);
        match (who.own_device, what.address.to_canonical()) {
            (Some(device), _) => {
                context.update(b"d");
                context.update(device);
            }
            (None, IpAddr::V4(address)) => {
                context.update(b"4");
                context.update(&address.octets());
            }
            (None, IpAddr::V6(address)) => {
                context.update(b"6");
                let network = u128::from(address) >> 64;
                context.update(&network.to_be_bytes());
            }
        }
        let tag = context.sign();
        let number = tag.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // Below 100, so that it always fits.
        u8::try_from(number % 100).unwrap_or(0)
    }
}

/// No two deal alike, as each has a key of its own.
impl PartialEq for Dealer {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Shares {
    /// Everything is enforced unless `written` says otherwise.
    pub(crate) fn new(written: Option<&Enforcement>, policy: &str, problems: &mut Vec<Problem>) -> Self {
        let rows: &[At<Share>] = match written {
            None | Some(Enforcement::All) => &[],
            Some(Enforcement::None) => &[],
            Some(Enforcement::Shares(rows)) => rows,
        };
        let mut others = if matches!(written, Some(Enforcement::None)) { 0 } else { 100 };
        let mut chosen: [Option<u8>; Verdict::ALL.len()] = [None; Verdict::ALL.len()];
        // Groups first: a verdict that is named itself overrules its group.
        let (groups, single): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row.value.verdicts.is_some_and(|verdicts| verdicts.iter().count() > 1));
        for row in groups.into_iter().chain(single) {
            match row.value.verdicts {
                None => others = row.value.percent,
                Some(Verdicts::ANY) => problems.push(
                    Problem::error(row.place, "unknown_word", "`enforcement` can't name `any`")
                        .with_hint("write `others` for all that are not named"),
                ),
                Some(verdicts) => {
                    for verdict in verdicts.iter() {
                        if let Some(slot) = chosen.get_mut(verdict as usize) {
                            *slot = Some(row.value.percent);
                        }
                    }
                }
            }
        }
        Self { percent: chosen.map(|percent| percent.unwrap_or(others)), dealer: Dealer::of_policy(policy) }
    }

    /// How many percent of the refusals with this verdict take effect.
    pub(crate) fn percent(&self, verdict: Verdict) -> u8 {
        self.percent.get(verdict as usize).copied().unwrap_or(100)
    }

    /// Whether any refusal may be left without effect.
    pub(crate) fn spares_any(&self) -> bool {
        Verdicts::ANY.iter().any(|verdict| self.percent(verdict) < 100)
    }

    /// `enforce`, `monitor` or `shares`.
    pub(crate) fn word(&self) -> &'static str {
        match self.percent {
            percent if percent.iter().all(|percent| *percent == 100) => "enforce",
            percent if percent.iter().all(|percent| *percent == 0) => "monitor",
            _ => "shares",
        }
    }

    /// The bucket of this sender, from 0 to 99; nothing where the share of its verdict asks for none.
    pub(crate) fn bucket(&self, who: &Subject<'_>, what: &RequestFacts<'_>) -> Option<u8> {
        if matches!(self.percent(who.verdict), 0 | 100) {
            return None;
        }
        Some(self.dealer.bucket(who, what))
    }
}
