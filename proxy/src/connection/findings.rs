//! What the raw head of an HTTP/1 request was found to hold that no later step can see any more.
//!
//! In: marks set by the head scanner while the bytes pass. Out: a small set with stable code names, taken once per
//! request by the first stage. Pingora's parser repairs or hides most of these (it drops `Content-Length` beside
//! `Transfer-Encoding`, escapes spaces in the target, folds bare line feeds), so the set is the only witness.

use std::fmt;

/// One thing that is wrong, or at least remarkable, about a request head.
///
/// The discriminant is the bit in [`HeadFindings`]; the code names are part of the log's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum HeadFinding {
    /// `Content-Length` and `Transfer-Encoding` together: request smuggling (RFC 9112, section 6.1).
    LengthAndEncoding = 1,
    /// A line ended by LF alone; two parsers disagree where the head ends (RFC 9112, section 2.2).
    BareLineFeed = 1 << 1,
    /// A control byte or DEL inside the request target.
    ControlInTarget = 1 << 2,
    /// A byte above 0x7e inside the request target; a target is ASCII (RFC 3986).
    NonAsciiTarget = 1 << 3,
    /// The request line is not exactly `method SP target SP version`.
    BadRequestLine = 1 << 4,
    /// A NUL anywhere in the head.
    Nul = 1 << 5,
    /// `Transfer-Encoding` is anything but one single `chunked`, or stands in an HTTP/1.0 request.
    BadTransferEncoding = 1 << 6,
    /// More than one `Content-Length`, equal or not.
    DuplicateLength = 1 << 7,
    /// `Content-Length` is not plain decimal digits below 2^63.
    BadLength = 1 << 8,
    /// HTTP/1.1 without `Host`.
    NoHost = 1 << 9,
    /// More than one `Host`.
    DuplicateHost = 1 << 10,
    /// The request is HTTP/1.0. Not an error in itself; its client can't be sent chunked bodies.
    Http10 = 1 << 11,
    /// A field line that begins with blank space (obsolete folding).
    ObsFold = 1 << 12,
    /// More field lines than [`super::MAX_FIELD_LINES`].
    TooManyFields = 1 << 13,
    /// The target is neither a path, nor an `http` or `https` URL, nor the `*` of OPTIONS.
    TargetForm = 1 << 14,
    /// `#` inside the target: a fragment is never sent, and parsers differ on what follows it.
    FragmentInTarget = 1 << 15,
    /// The version is neither `HTTP/1.1` nor `HTTP/1.0`.
    BadVersion = 1 << 16,
}

impl HeadFinding {
    /// Every finding, in the order of the bits.
    pub const ALL: [Self; 17] = [
        Self::LengthAndEncoding,
        Self::BareLineFeed,
        Self::ControlInTarget,
        Self::NonAsciiTarget,
        Self::BadRequestLine,
        Self::Nul,
        Self::BadTransferEncoding,
        Self::DuplicateLength,
        Self::BadLength,
        Self::NoHost,
        Self::DuplicateHost,
        Self::Http10,
        Self::ObsFold,
        Self::TooManyFields,
        Self::TargetForm,
        Self::FragmentInTarget,
        Self::BadVersion,
    ];

    /// The stable code name, for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LengthAndEncoding => "length_and_encoding",
            Self::BareLineFeed => "bare_line_feed",
            Self::ControlInTarget => "control_in_target",
            Self::NonAsciiTarget => "non_ascii_target",
            Self::BadRequestLine => "bad_request_line",
            Self::Nul => "nul",
            Self::BadTransferEncoding => "bad_transfer_encoding",
            Self::DuplicateLength => "duplicate_length",
            Self::BadLength => "bad_length",
            Self::NoHost => "no_host",
            Self::DuplicateHost => "duplicate_host",
            Self::Http10 => "http_1_0",
            Self::ObsFold => "obs_fold",
            Self::TooManyFields => "too_many_fields",
            Self::TargetForm => "target_form",
            Self::FragmentInTarget => "fragment_in_target",
            Self::BadVersion => "bad_version",
        }
    }
}

/// A set of [`HeadFinding`]s. Empty for HTTP/2, whose framing leaves no room for them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadFindings(u32);

impl HeadFindings {
    /// Nothing was found.
    pub const NONE: Self = Self(0);

    /// Whether nothing was found at all, `http_1_0` included.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `finding` is in the set.
    #[must_use]
    pub fn contains(self, finding: HeadFinding) -> bool {
        self.0 & finding as u32 != 0
    }

    /// Whether the request must be refused: anything but the version 1.0 mark was found.
    ///
    /// The connection layer holds to this by itself: such a request gets no body and its connection no second request.
    #[must_use]
    pub fn is_invalid(self) -> bool {
        self.0 & !(HeadFinding::Http10 as u32) != 0
    }

    /// The findings, in the order of [`HeadFinding::ALL`].
    pub fn iter(self) -> impl Iterator<Item = HeadFinding> {
        HeadFinding::ALL.into_iter().filter(move |finding| self.contains(*finding))
    }

    pub(crate) fn insert(&mut self, finding: HeadFinding) {
        self.0 |= finding as u32;
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for HeadFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(HeadFinding::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_has_its_own_bit_and_its_own_code() {
        let mut bits = 0;
        let mut codes = std::collections::BTreeSet::new();
        for finding in HeadFinding::ALL {
            assert_eq!(bits & finding as u32, 0, "{finding:?} shares a bit");
            bits |= finding as u32;
            assert!(codes.insert(finding.as_str()), "{finding:?} shares a code");
        }
    }

    #[test]
    fn version_1_0_alone_is_not_invalid() {
        let mut findings = HeadFindings::NONE;
        findings.insert(HeadFinding::Http10);
        assert!(!findings.is_empty() && !findings.is_invalid());
        findings.insert(HeadFinding::Nul);
        assert!(findings.is_invalid());
        assert_eq!(format!("{findings:?}"), r#"{"nul", "http_1_0"}"#);
    }
}
