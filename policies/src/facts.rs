//! All that a rule may look at: the request, and what its token proved.
//!
//! In: the canonical target, the client's address and headers, caller, user and mode; and the proof of the stage before. Out: [`RequestFacts`] and
//! [`Subject`]. A [`Subject`] may be made up, to explain a policy; a decision about a request takes only
//! [`Verified`](attest_core::token::verify::Verified).

use std::net::IpAddr;
use std::time::Duration;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::target::Target;
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use attest_core::token::asv::DeviceState;
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderName};

use crate::verdicts::Verdicts;

/// Where header values come from.
pub trait HeaderSource {
    /// Whether any value of the header `name` passes `test`. Must not allocate.
    fn any(&self, name: &HeaderName, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

impl HeaderSource for HeaderMap {
    fn any(&self, name: &HeaderName, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.get_all(name).iter().any(|value| test(value.as_bytes()))
    }
}

/// What happens to a request whose token we can't judge, because the fault is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailSafe {
    /// 503: the client keeps its token and waits.
    Refuse,
    /// Let through at the lowest class; on a route that adds a key it is refused all the same.
    Deprioritize,
}

/// In what mode an order, or a guard, has put the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The policy decides.
    #[default]
    Normal,
    /// Only what is attested, and proven callers that a rule names, go on, by the policy's own rules; all else is refused.
    Lockdown,
    /// Refusals take no effect: except on a route that adds a key, and never for `unverifiable`.
    Monitor(Cause),
}

/// Who put a route into [`Mode::Monitor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An operator, by `assay panic monitor`.
    Panic,
    /// The gateway, when devices that were attested of late were refused in numbers.
    Guard,
}

impl Mode {
    /// The word, as it stands in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Lockdown => "lockdown",
            Self::Monitor(Cause::Panic) => "monitor",
            Self::Monitor(Cause::Guard) => "guard",
        }
    }
}

/// A user, whose own token was verified beside the app's.
#[derive(Clone, Copy)]
pub struct User<'a> {
    /// Who vouches for the user: name of an issuer in the configuration.
    pub issuer: &'a str,
    /// The user: `sub` of the token.
    pub subject: &'a str,
    /// All claims of the token.
    pub claims: &'a serde_json::Map<String, serde_json::Value>,
}

/// The request, as rules see it.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Method, host and path in their one canonical form.
    pub target: &'a Target,
    /// Name of the route that the request took.
    pub route: &'a str,
    /// The client's address: of the connection, or as a trusted proxy named it.
    pub address: IpAddr,
    /// The request's headers, after what clients may not send was removed.
    pub headers: &'a dyn HeaderSource,
    /// Whether the route adds a key. A policy compiled for such a route treats it as true in any case.
    pub injects: bool,
    /// What happens when the verdict is `unverifiable`.
    pub fail_safe: FailSafe,
    /// The time, for rules with an end.
    pub now: UnixTime,
    /// A caller that is not an app, and has proven who it is: its name in the configuration.
    pub caller: Option<&'a str>,
    /// The user, where the route asks for a user's token and a good one came.
    pub user: Option<User<'a>>,
    /// In what mode the route is.
    pub mode: Mode,
}

/// What is known about the sender, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The verdict on its token.
    pub verdict: Verdict,
    /// Whether a genuine signature stands behind the fields below; without one they are ignored.
    pub genuine: bool,
    /// Tier of the appraisal.
    pub tier: Tier,
    /// Kinds of Evidence that were accepted.
    pub kinds: EvidenceKinds,
    /// The app.
    pub app: Option<&'a str>,
    /// The app's version.
    pub version: Option<&'a str>,
    /// How long the token has been expired.
    pub expired_for: Option<Duration>,
    /// Whether the token may open a key.
    pub may_unseal: bool,
    /// The device, only where we signed the token that names it.
    pub own_device: Option<&'a [u8]>,
    /// What an operator said about the device.
    pub device_state: DeviceState,
    /// How long ago the device was first seen; absent: not known.
    pub device_age: Option<Duration>,
    /// Annotations, one bit each ([`attest_core::token::asv::annotations`]).
    pub annotations: u32,
    /// The device, as the issuer of a genuine token names it.
    pub device: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// Somebody with this verdict of whom nothing else is known: for explaining a policy.
    ///
    /// The claims of an app that failed are not looked at, as the gateway doesn't either.
    #[must_use]
    pub fn supposed(verdict: Verdict) -> Self {
        Self {
            verdict,
            genuine: !Verdicts::UNPROVEN.has(verdict) && verdict != Verdict::Failed,
            tier: Tier::None,
            kinds: EvidenceKinds::EMPTY,
            app: None,
            version: None,
            expired_for: None,
            may_unseal: verdict == Verdict::Attested,
            own_device: None,
            device_state: DeviceState::Normal,
            device_age: None,
            annotations: 0,
            device: None,
        }
    }
}
