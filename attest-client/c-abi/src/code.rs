//! The numbers of the ABI. Comes in: the SDK's own enums. Goes out: what `assay.h` calls them.
//! Proven between: a number once given never changes; an enum that grows does not compile until it has one.

use attest_client::{Reaction, Status};
use attest_core::evidence_kind::EvidenceKind;

/// `assay_code`: whether a call did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// It did.
    Ok = 0,
    /// A pointer that must not be NULL is.
    NullPointer = 1,
    /// A string is not UTF-8.
    NotUtf8 = 2,
    /// A string, or a length, beyond its bound.
    TooLong = 3,
    /// A number outside its range, or a setting made twice.
    BadValue = 4,
    /// The settings make no client.
    BadSetting = 5,
    /// The builder has made its client.
    Spent = 6,
    /// The Evidence request is answered already, or was given up.
    Answered = 7,
    /// More than six times within a minute.
    TooOften = 8,
    /// The device key could not be used.
    KeyFailed = 9,
    /// Would wait for the very thread that it was called on.
    InCallback = 10,
    /// A fault of the library.
    Panicked = 11,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::NullPointer,
        Self::NotUtf8,
        Self::TooLong,
        Self::BadValue,
        Self::BadSetting,
        Self::Spent,
        Self::Answered,
        Self::TooOften,
        Self::KeyFailed,
        Self::InCallback,
        Self::Panicked,
    ];

    /// The word, with its NUL.
    pub(crate) const fn name(self) -> &'static std::ffi::CStr {
        match self {
            Self::Ok => c"OK",
            Self::NullPointer => c"NULL_POINTER",
            Self::NotUtf8 => c"NOT_UTF8",
            Self::TooLong => c"TOO_LONG",
            Self::BadValue => c"BAD_VALUE",
            Self::BadSetting => c"BAD_SETTING",
            Self::Spent => c"SPENT",
            Self::Answered => c"ANSWERED",
            Self::TooOften => c"TOO_OFTEN",
            Self::KeyFailed => c"KEY_FAILED",
            Self::InCallback => c"IN_CALLBACK",
            Self::Panicked => c"PANICKED",
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// `assay_status`, in the order of its numbers, and the words with their NUL.
pub(crate) const STATUSES: [(Status, &std::ffi::CStr); 9] = [
    (Status::Success, c"SUCCESS"),
    (Status::NoNetwork, c"NO_NETWORK"),
    (Status::PoorNetwork, c"POOR_NETWORK"),
    (Status::MitmDetected, c"MITM_DETECTED"),
    (Status::NoAssayService, c"NO_ASSAY_SERVICE"),
    (Status::RateLimited, c"RATE_LIMITED"),
    (Status::BadUrl, c"BAD_URL"),
    (Status::Rejected, c"REJECTED"),
    (Status::InternalError, c"INTERNAL_ERROR"),
];

/// `assay_status` of a status; one that has no number yet is this side's fault.
pub(crate) fn status(status: Status) -> i32 {
    let at = STATUSES.iter().position(|(known, _)| *known == status).unwrap_or(STATUSES.len() - 1);
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// `assay_reaction`.
pub(crate) const fn reaction(reaction: Reaction) -> i32 {
    match reaction {
        Reaction::Retry => 1,
        Reaction::FetchAgain => 2,
        Reaction::Wait => 3,
        // `Deliver`, and what a newer SDK may add: the answer is for the app.
        _ => 0,
    }
}

/// `assay_evidence_kind`.
pub(crate) const fn evidence_kind(number: i32) -> Option<EvidenceKind> {
    match number {
        1 => Some(EvidenceKind::AppleAppAttest),
        2 => Some(EvidenceKind::AppleAssertion),
        3 => Some(EvidenceKind::PlayIntegrity),
        4 => Some(EvidenceKind::AndroidKey),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_those_of_the_sdk() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(code.number()).unwrap(), at);
        }
        for (at, (word, text)) in STATUSES.into_iter().enumerate() {
            assert_eq!(usize::try_from(status(word)).unwrap(), at);
            assert_eq!(text.to_str().unwrap(), word.as_str());
        }
        assert_eq!(evidence_kind(0), None);
        assert_eq!(evidence_kind(5), None);
    }
}
