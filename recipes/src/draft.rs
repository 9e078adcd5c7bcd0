//! A request before its credential, and what the credential changes. In: [`Draft`], borrowed from the request as it is
//! about to be sent. Out: [`Changes`]; nothing is proven here.

use std::fmt;

use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

/// The longest body that is held whole, in bytes: judged, changed or hashed. Longer ones stream by.
pub const MAX_BODY: usize = 64 * 1024;

/// The request exactly as it is about to be sent, but for its credential: after routing, rewriting and removal of what
/// clients may not send. One per attempt.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The method.
    pub method: &'a Method,
    /// The scheme.
    pub scheme: Scheme,
    /// What the `Host` header or `:authority` will say: the host, and the port where it is not the scheme's own.
    pub host: &'a str,
    /// The path, canonical and escaped; begins with `/`.
    pub path: &'a str,
    /// The query, escaped, without `?`.
    pub query: Option<&'a str>,
    /// The headers. `Host` is not looked at: `host` is.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: DraftBody<'a>,
    /// The time.
    pub now: UnixTime,
}

/// What is known of a body when the head is sent.
#[derive(Clone, Copy)]
pub enum DraftBody<'a> {
    /// There is none.
    Empty,
    /// All of it, at most [`MAX_BODY`].
    Whole(&'a [u8]),
    /// It streams by, unread.
    Unread,
}

/// What a credential changes in a request. Header values are marked sensitive; the memory of those that hold a
/// credential is wiped when the last clone is dropped.
pub enum Changes {
    /// One header to set, in place of all of that name. Made beforehand: handing it out allocates nothing.
    Header(HeaderName, HeaderValue),
    /// Anything else.
    Many {
        /// Headers to set, each in place of all of that name.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// The target to send in place of the draft's.
        target: Option<PathAndQuery>,
        /// The body to send in place of the draft's; its length is another one.
        body: Option<Bytes>,
        /// Credentials made for this request alone, which the response guard has to know beside
        /// [`crate::Credential::secrets`].
        derived: Vec<Zeroizing<Vec<u8>>>,
    },
    /// Nothing: the credential is in the TLS handshake.
    Nothing,
}

/// Why a credential could not be put into a request. None holds text of the request or the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The body streams by, and the recipe needs all of it: over 64 KiB.
    #[error("the body is over 64 KiB, and the key's recipe needs all of it")]
    BodyTooLarge,
    /// There is no body to put the credential into.
    #[error("the key goes into a field of the body, and the request has none")]
    NoBody,
    /// The body is compressed or of another type.
    #[error("the key goes into a field of the body, and its type or encoding is not the one of the recipe")]
    BodyType,
    /// The body does not parse, has a member twice, or has no object where the recipe's field would stand.
    #[error("the key goes into a field of the body, and the body has no place for it")]
    BodyForm,
    /// The path has fewer segments than the recipe counts.
    #[error("the key goes into a segment of the path, and the path is too short")]
    PathTooShort,
    /// What would be sent is no request target.
    #[error("the target with the key in it is not one that can be sent")]
    Target,
    /// A header that is part of the signed message is not there, or there twice.
    #[error("a header that the key's recipe signs is absent, repeated or not text")]
    SignedHeader,
    /// The body is in chunks signed with a key of the client's own, which the API would refuse.
    #[error("the body is in chunks that the client signed with a key of its own; turn chunk signing off in its SDK")]
    SignedChunks,
    /// The recipe takes no unsigned body.
    #[error("the body is marked as unsigned, and the key's recipe signs every body")]
    UnsignedBody,
    /// The key is used through a token that is minted first.
    #[error("the key is not sent itself: a token is minted with it")]
    NeedsToken,
    /// The clock stands where no timestamp can be written, or signing failed.
    #[error("the request could not be signed")]
    Signing,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name, _) => write!(f, "Changes(header {name})"),
            Self::Many { headers, target, body, derived } => write!(
                f,
                "Changes({} headers, target {}, body {}, {} derived)",
                headers.len(),
                target.is_some(),
                body.is_some(),
                derived.len()
            ),
            Self::Nothing => f.write_str("Changes(nothing)"),
        }
    }
}

/// Without query, headers and body: they may carry credentials.
impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}{}", self.method, self.scheme, self.host, self.path)
    }
}
