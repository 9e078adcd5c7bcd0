//! Webhooks: a delivery that somebody signed who holds the secret, lately.
//!
//! In: first the head of a request, then its body in pieces. Out: [`Delivery`], or why it is none. Two steps, so that a
//! body is read only when the head shows a signature that could be good: [`Webhook::open`] takes the signature and the time
//! out of the head, [`Unread::update`] takes the body, [`Unread::finish`] compares.
//!
//! | scheme | signature | over |
//! | --- | --- | --- |
//! | Stripe | `Stripe-Signature: t=…,v1=hex` | `t.body` |
//! | GitHub | `X-Hub-Signature-256: sha256=hex` | the body |
//! | Standard Webhooks | `Webhook-Signature: v1,base64` | `id.timestamp.body` |
//! | any other | as [`Layout`] says | as [`Layout`] says |
//!
//! All are HMAC-SHA-256 and compared in constant time, each claimed signature with each secret, also after one fitted.

mod layout;
mod secret;
pub mod signature;

use std::fmt;
use std::time::Duration;

use attest_core::time::UnixTime;
use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq};

use crate::Reason;
use crate::place::{Place, Shown};
use signature::{Claimed, Mac};

pub use layout::{BadLayout, Encoding, Layout};
pub use secret::{BadSecret, WebhookSecret};

/// Secrets of one webhook that may be good at once: the one in use, and those that are being rolled in or out.
pub const MAX_SECRETS: usize = 4;

/// The longest tolerance; each accepted delivery is remembered for that long.
pub const MAX_TOLERANCE: Duration = Duration::from_secs(3600);

/// How a provider signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Stripe.
    ///
    /// # Source
    /// <https://docs.stripe.com/webhooks/signature>
    Stripe,
    /// GitHub. Its signature has no time in it: a delivery that was seen can be sent again at any time.
    ///
    /// # Source
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    GitHub,
    /// Standard Webhooks 1.0, with symmetric signatures.
    ///
    /// # Source
    /// <https://www.standardwebhooks.com>
    Standard,
    /// Somebody else's HMAC-SHA-256.
    Hmac(Layout),
}

/// One webhook: how it is signed, with which secrets, and how old a signature may be.
#[derive(Debug)]
pub struct Webhook {
    scheme: Scheme,
    secrets: Box<[WebhookSecret]>,
    tolerance: Duration,
}

/// Why a webhook can't be checked so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    /// None, or more than [`MAX_SECRETS`].
    #[error("between 1 and {MAX_SECRETS} secrets belong here")]
    WrongNumberOfSecrets,
    /// Zero, or more than [`MAX_TOLERANCE`].
    #[error("a tolerance is between 1 s and 1 h")]
    BadTolerance,
}

impl Webhook {
    /// A webhook. `tolerance`: how far the signed time may be from ours, in both directions; without effect where none
    /// is signed.
    ///
    /// # Errors
    /// [`BadWebhook`].
    pub fn new(scheme: Scheme, secrets: Vec<WebhookSecret>, tolerance: Duration) -> Result<Self, BadWebhook> {
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(BadWebhook::WrongNumberOfSecrets);
        }
        if tolerance < Duration::from_secs(1) || tolerance > MAX_TOLERANCE {
            return Err(BadWebhook::BadTolerance);
        }
        Ok(Self { scheme, secrets: secrets.into(), tolerance })
    }

    /// The header that signatures come in.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        match &self.scheme {
            Scheme::Stripe => &STRIPE_SIGNATURE,
            Scheme::GitHub => &HUB_SIGNATURE,
            Scheme::Standard => &STANDARD_SIGNATURE,
            Scheme::Hmac(layout) => layout.header(),
        }
    }

    /// Looks into a head. `None`: it shows no signature, so the request is no delivery of this webhook.
    ///
    /// # Errors
    /// `several_signatures`, `signature_malformed`, `timestamp_missing`, `timestamp_malformed`, `timestamp_stale`,
    /// `signed_header_missing`: no body could make it good, so none need be read.
    pub fn open(&self, headers: &HeaderMap, now: UnixTime) -> Option<Result<Unread, Reason>> {
        let text = match only(headers, self.header()) {
            Ok(Some(text)) => text,
            Ok(None) => return None,
            Err(Twice) => return Some(Err("several_signatures")),
        };
        Some(self.begin(text, headers, now))
    }

    fn begin(&self, text: &[u8], headers: &HeaderMap, now: UnixTime) -> Result<Unread, Reason> {
        let mut first = Vec::new();
        let mut last = Vec::new();
        let (claimed, timestamp) = match &self.scheme {
            Scheme::Stripe => {
                let Claimed { timestamp, macs } = signature::stripe(text).ok_or(MALFORMED)?;
                first.extend_from_slice(timestamp.text());
                first.push(b'.');
                (macs, Some(timestamp))
            }
            Scheme::GitHub => (SmallVec::from_iter([signature::github(text).ok_or(MALFORMED)?]), None),
            Scheme::Standard => {
                let macs = signature::standard(text).ok_or(MALFORMED)?;
                let timestamp = layout::timestamp(headers, &STANDARD_TIMESTAMP)?;
                first.extend_from_slice(layout::signed_header(headers, &STANDARD_ID)?);
                first.push(b'.');
                first.extend_from_slice(timestamp.text());
                first.push(b'.');
                (macs, Some(timestamp))
            }
            Scheme::Hmac(layout) => {
                let mac = layout.mac(text).ok_or(MALFORMED)?;
                let timestamp = layout.around(headers, &mut first, &mut last)?;
                (SmallVec::from_iter([mac]), timestamp)
            }
        };
        let good_until = match timestamp {
            Some(timestamp) => Some(self.fresh(UnixTime::from_secs(timestamp.secs()), now)?),
            None => None,
        };
        let mut contexts: Vec<_> = self.secrets.iter().map(WebhookSecret::context).collect();
        contexts.iter_mut().for_each(|context| context.update(&first));
        Ok(Unread { contexts, last, claimed, good_until })
    }

    /// Until when a delivery signed at `signed` passes; a time ahead of ours is as wrong as one long gone.
    fn fresh(&self, signed: UnixTime, now: UnixTime) -> Result<UnixTime, Reason> {
        let until = signed.plus(self.tolerance);
        if now > until || now < signed.minus(self.tolerance) { Err("timestamp_stale") } else { Ok(until) }
    }
}

/// A delivery whose head could be good, and whose body is still to come.
pub struct Unread {
    contexts: Vec<hmac::Context>,
    last: Vec<u8>,
    claimed: SmallVec<[Mac; 2]>,
    good_until: Option<UnixTime>,
}

impl Unread {
    /// Takes the next piece of the body, as it came in.
    pub fn update(&mut self, piece: &[u8]) {
        self.contexts.iter_mut().for_each(|context| context.update(piece));
    }

    /// Compares, with the whole body seen.
    ///
    /// # Errors
    /// `signature_wrong`: another secret, another body, another time.
    pub fn finish(self) -> Result<Delivery, Reason> {
        let Self { contexts, last, claimed, good_until } = self;
        let mut good = None;
        for mut context in contexts {
            context.update(&last);
            let mut made: Mac = [0; 32];
            made.copy_from_slice(context.sign().as_ref());
            let fits = claimed.iter().fold(Choice::from(0), |fits, mac| fits | mac.ct_eq(&made));
            if fits.into() {
                good = Some(made);
            }
        }
        good.map(|mac| Delivery { mac, good_until }).ok_or("signature_wrong")
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Unread(..)")
    }
}

/// A delivery that was signed with one of the secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    mac: Mac,
    good_until: Option<UnixTime>,
}

impl Delivery {
    /// What tells it from every other: the signature as we made it. An HMAC has one value for one secret and message, so
    /// whoever sends the same delivery again can't make it look like another.
    pub(crate) const fn mac(&self) -> &Mac {
        &self.mac
    }

    /// Until when its time passes; `None` where no time is signed.
    #[must_use]
    pub const fn good_until(&self) -> Option<UnixTime> {
        self.good_until
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A signature that passed is as good as the delivery until its time is over.
        write!(out, "Delivery(good until {:?})", self.good_until)
    }
}

/// A header that came twice.
struct Twice;

/// The one value of a header, without blanks around it.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Twice> {
    if headers.get_all(name).iter().nth(1).is_some() {
        // Also an empty one beside it: two readers could take either.
        return Err(Twice);
    }
    match Place::Header(name.clone()).shown(headers) {
        Shown::Nothing => Ok(None),
        Shown::One(text) => Ok(Some(text)),
        Shown::Several => Err(Twice),
    }
}

const MALFORMED: Reason = "signature_malformed";

static STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
static HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
static STANDARD_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static STANDARD_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static STANDARD_ID: HeaderName = HeaderName::from_static("webhook-id");

#[cfg(test)]
mod tests;
