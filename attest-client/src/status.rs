//! Why there is no token. Comes in: what each step reported. Goes out: one error, and one word in the field's vocabulary
//! for apps that branch, count, or show something to their user.
//! Proven between: none of these depends on whether the app is genuine. The service never says that.

use std::time::Duration;

use attest_core::evidence_kind::EvidenceKind;

/// The outcome of a fetch in a word. The words are those that mobile teams know from their present SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A token was fetched, or one in hand is still good. It does not say that the app passed.
    Success,
    /// The service could not be reached at all.
    NoNetwork,
    /// The service was reached, but answers were lost or late.
    PoorNetwork,
    /// The other end could not prove to be the service: its certificate was refused.
    MitmDetected,
    /// The service is there and cannot issue a token now.
    NoAssayService,
    /// The service asks this address to come back later.
    RateLimited,
    /// The service address is not one that may be used.
    BadUrl,
    /// A service that conceals nothing (`open`) said that this app failed.
    Rejected,
    /// This side's doing: the app could not be measured, its device key not used, or the answer not understood.
    InternalError,
}

impl Status {
    /// The word, for logs and for a header on tokenless requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::NoNetwork => "NO_NETWORK",
            Self::PoorNetwork => "POOR_NETWORK",
            Self::MitmDetected => "MITM_DETECTED",
            Self::NoAssayService => "NO_ASSAY_SERVICE",
            Self::RateLimited => "RATE_LIMITED",
            Self::BadUrl => "BAD_URL",
            Self::Rejected => "REJECTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether the same fetch may well succeed in a while, with nothing changed on this side.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::NoNetwork | Self::PoorNetwork | Self::NoAssayService | Self::RateLimited)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why a fetch gave no token. Cloned to everybody who waited for the same fetch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection: no route, no such name, nobody listening.
    #[error("the attestation service cannot be reached")]
    Unreachable,
    /// A request was sent and no whole answer came back in time, more than once.
    #[error("the attestation service's answers are lost or late")]
    Lost,
    /// The certificate of the other end was refused.
    #[error("the other end is not the attestation service: its certificate was refused")]
    Certificate,
    /// 503: it said so itself, with the time to wait where it named one.
    #[error("the attestation service is unavailable")]
    Unavailable {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 429, with the time to wait where the service named one.
    #[error("the attestation service limits this address")]
    Limited {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 409 or 410 each time: other requests spend our challenges, or they are on their way for longer than they live.
    #[error("every challenge was spent or expired before it was used")]
    Challenges,
    /// 403 from a service that issues tokens in the open.
    #[error("the attestation service rejected this app")]
    Rejected,
    /// Any other answer: this SDK and the service do not understand one another.
    #[error("unexpected answer from the attestation service: {status} {what}")]
    Protocol {
        /// The HTTP status; 200 where the body was at fault.
        status: u16,
        /// Which part was not understood. Never the service's own text.
        what: &'static str,
    },
    /// The program could not be measured.
    #[error("the program could not be measured: {0}")]
    Measurement(String),
    /// The device key could not be used.
    #[error("the device key could not be used: {0}")]
    DeviceKey(String),
    /// A platform provider that said it was available gave no Evidence.
    #[error("no {} evidence: {what}", kind.as_str())]
    Evidence {
        /// Which kind.
        kind: EvidenceKind,
        /// What the provider said.
        what: String,
    },
    /// The request that came of app, version, facts and Evidence is not one the service would read.
    #[error("the request would be refused: {0}")]
    Request(String),
    /// A call that the SDK can't follow: a fault of the code around it.
    #[error("the SDK was called wrongly: {0}")]
    Misuse(String),
    /// `fetch_token` was polled outside a Tokio runtime; use [`crate::blocking::Client`] there.
    #[error("no Tokio runtime here: use the blocking client")]
    NoRuntime,
    /// The fetch was ended before it had an outcome: its runtime was shut down.
    #[error("the fetch was cut off")]
    CutOff,
}

impl FetchError {
    /// The word for it.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Unreachable => Status::NoNetwork,
            Self::Lost | Self::Challenges => Status::PoorNetwork,
            Self::Certificate => Status::MitmDetected,
            Self::Unavailable { .. } => Status::NoAssayService,
            Self::Limited { .. } => Status::RateLimited,
            Self::Rejected => Status::Rejected,
            Self::Protocol { .. }
            | Self::Measurement(_)
            | Self::DeviceKey(_)
            | Self::Evidence { .. }
            | Self::Request(_)
            | Self::Misuse(_)
            | Self::NoRuntime
            | Self::CutOff => Status::InternalError,
        }
    }

    /// How long the service asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after } | Self::Limited { retry_after } => *retry_after,
            _ => None,
        }
    }
}
