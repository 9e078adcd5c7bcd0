//! Deliveries of webhooks that were accepted, for as long as their signatures are good.
//!
//! In: a signed delivery. Out: [`Reserved`], or that it was accepted before. A provider that sends again signs again, with
//! a new time; so a delivery whose signature was seen is one that somebody recorded. It is reserved from when it was proven
//! and spent from when the API may have seen it, whatever becomes of the exchange: whoever replays it could break that off.
//! If it never got there, or the API's own answer says that it did not take it, it is forgotten and may come again.
//!
//! Told apart by the MAC that we made ourselves, which has one value for one secret and message: the ids in headers and
//! bodies are the sender's, and only some are signed. A signature without a time (GitHub's) is good for ever and is not
//! remembered: such a webhook needs an API that knows its deliveries.
//!
//! Bounded: only whoever has the secret makes entries; when there are [`CAPACITY`], no delivery is accepted until some are
//! over. Lives in this process: another gateway, or this one after a restart, has not seen them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attest_core::time::UnixTime;

use crate::Reason;
use crate::webhook::Delivery;
use crate::webhook::signature::Mac;

/// Deliveries that are remembered at most, all webhooks together.
pub const CAPACITY: usize = 65_536;

/// The memory of accepted deliveries.
#[derive(Clone, Default)]
pub struct Deliveries(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    until: HashMap<Mac, UnixTime>,
    in_order: BTreeSet<(UnixTime, Mac)>,
}

impl Deliveries {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a delivery, if nobody has taken it before.
    ///
    /// # Errors
    /// `replayed`, and `too_many_deliveries` where no more can be remembered.
    pub fn reserve(&self, delivery: &Delivery, now: UnixTime) -> Result<Reserved, Reason> {
        let Some(until) = delivery.good_until() else { return Ok(Reserved { held: None, spent: false }) };
        let mut seen = self.seen();
        seen.forget_before(now);
        if seen.until.contains_key(delivery.mac()) {
            return Err("replayed");
        }
        if seen.until.len() >= CAPACITY {
            return Err("too_many_deliveries");
        }
        seen.until.insert(*delivery.mac(), until);
        seen.in_order.insert((until, *delivery.mac()));
        drop(seen);
        Ok(Reserved { held: Some((self.clone(), *delivery.mac())), spent: false })
    }

    /// Deliveries remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen().until.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn forget(&self, mac: &Mac) {
        let mut seen = self.seen();
        if let Some(until) = seen.until.remove(mac) {
            seen.in_order.remove(&(until, *mac));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What is over can't come again: its time is no longer good.
    fn forget_before(&mut self, now: UnixTime) {
        while let Some((until, mac)) = self.in_order.first().copied() {
            if until >= now {
                return;
            }
            self.in_order.pop_first();
            self.until.remove(&mac);
        }
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Deliveries({})", self.len())
    }
}

/// A delivery on its way to the API.
pub struct Reserved {
    held: Option<(Deliveries, Mac)>,
    spent: bool,
}

impl Reserved {
    /// From here on the API may have seen it: it is a replay if it comes again.
    pub fn handed_over(&mut self) {
        self.spent = true;
    }

    /// The API says whether it has taken it.
    pub fn answered(&mut self, taken: bool) {
        self.spent = taken;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let (false, Some((deliveries, mac))) = (self.spent, self.held.take()) {
            deliveries.forget(&mac);
        }
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Reserved(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::hmac;
    use data_encoding::HEXLOWER;
    use http::HeaderMap;

    use super::*;
    use crate::webhook::{Scheme, Webhook, WebhookSecret};

    const SECRET: &[u8] = b"sixteen bytes, at least";

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn delivery(scheme: Scheme, header: &'static str, value: &str, signed: i64, body: &[u8]) -> Delivery {
        let secret = WebhookSecret::from_text(SECRET).unwrap();
        let webhook = Webhook::new(scheme, vec![secret], Duration::from_secs(300)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header, value.parse().unwrap());
        let mut unread = webhook.open(&headers, at(signed)).unwrap().unwrap();
        unread.update(body);
        unread.finish().unwrap()
    }

    fn stripe(signed: i64, body: &str) -> Delivery {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), format!("{signed}.{body}").as_bytes());
        let value = format!("t={signed},v1={}", HEXLOWER.encode(mac.as_ref()));
        delivery(Scheme::Stripe, "stripe-signature", &value, signed, body.as_bytes())
    }

    #[test]
    fn what_the_api_may_have_seen_does_not_come_again_while_its_time_is_good() {
        let seen = Deliveries::new();
        let event = stripe(1_000, "{}");
        let mut first = seen.reserve(&event, at(1_000)).unwrap();
        // Neither while the first is on its way.
        assert_eq!(seen.reserve(&event, at(1_001)).unwrap_err(), "replayed");
        first.handed_over();
        // Nobody waits for the answer.
        drop(first);
        assert_eq!(seen.reserve(&event, at(1_300)).unwrap_err(), "replayed");
        // Sent again by the provider, it is signed anew; and another one is another one.
        assert!(seen.reserve(&stripe(1_001, "{}"), at(1_300)).is_ok());
        assert!(seen.reserve(&stripe(1_000, "{ }"), at(1_300)).is_ok());
        let _later = seen.reserve(&stripe(1_301, "{}"), at(1_301)).unwrap();
        assert_eq!(seen.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn a_delivery_that_never_got_there_or_was_not_taken_may_come_again() {
        let seen = Deliveries::new();
        let event = stripe(1_000, "{}");
        drop(seen.reserve(&event, at(1_000)).unwrap());
        assert!(seen.is_empty());
        let mut refused = seen.reserve(&event, at(1_000)).unwrap();
        refused.handed_over();
        refused.answered(false);
        drop(refused);
        let mut taken = seen.reserve(&event, at(1_000)).unwrap();
        taken.handed_over();
        taken.answered(true);
        drop(taken);
        assert_eq!(seen.reserve(&event, at(1_000)).unwrap_err(), "replayed");
    }

    #[test]
    fn full_is_refused_and_nothing_that_counts_is_forgotten_for_it() {
        let seen = Deliveries::new();
        {
            let mut inside = seen.seen();
            for n in 0..CAPACITY {
                let mut mac = [0; 32];
                mac[..8].copy_from_slice(&n.to_be_bytes());
                inside.until.insert(mac, at(2_000));
                inside.in_order.insert((at(2_000), mac));
            }
        }
        assert_eq!(seen.reserve(&stripe(1_000, "{}"), at(1_000)).unwrap_err(), "too_many_deliveries");
        assert_eq!(seen.len(), CAPACITY);
        assert!(seen.reserve(&stripe(2_001, "{}"), at(2_001)).is_ok());
    }

    #[test]
    fn what_has_no_time_is_not_remembered() {
        let seen = Deliveries::new();
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), b"{}");
        let value = format!("sha256={}", HEXLOWER.encode(mac.as_ref()));
        let event = delivery(Scheme::GitHub, "x-hub-signature-256", &value, 1_000, b"{}");
        let mut first = seen.reserve(&event, at(1_000)).unwrap();
        first.handed_over();
        assert!(seen.is_empty() && seen.reserve(&event, at(1_000)).is_ok());
    }
}
