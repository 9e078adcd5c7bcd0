//! The one canonical request target: what policy, key bounds, signatures and the upstream request all look at.
//!
//! In: method, scheme, authority and path as they arrived. Out: a [`Target`] that two parsers can't read differently:
//! unreserved characters stand undecorated, other escapes in upper case, the host in lower case without port or
//! trailing dot. What would be ambiguous is refused, never repaired: dot segments after decoding, encoded slashes and
//! backslashes, empty segments, `;`, control bytes, characters that no URI carries, broken or double escapes, escapes
//! that are not UTF-8.

mod canonical;
mod glob;
mod host;

use std::fmt;

use http::Method;
use http::uri::PathAndQuery;

pub use canonical::canonical_pattern;
pub use glob::{NotAGlob, PathGlob};
use host::Host;
pub use host::canonical_host;

/// Plain or over TLS, as the client spoke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What a route allows beyond the strict form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetOptions {
    /// Let `%2F` and `%5C` stand in the path, as APIs with file names for ids need.
    pub allow_encoded_slash: bool,
}

/// Why a target is refused. Holds none of its text.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum TargetError {
    /// Not a host name or address, with or without a port.
    #[error("the authority is not a host and port")]
    BadAuthority,
    /// The path does not begin with `/`.
    #[error("the path does not begin with a slash")]
    NotAPath,
    /// `.` or `..` as a segment, escaped or not.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `%2F` or `%5C`.
    #[error("the path has an encoded slash or backslash")]
    EncodedSlash,
    /// `\`
    #[error("the target has a backslash")]
    Backslash,
    /// `//`
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `;`
    #[error("the path has a semicolon")]
    Semicolon,
    /// A control byte or DEL, escaped or not.
    #[error("the target has a control byte")]
    ControlByte,
    /// A byte that no URI may carry there.
    #[error("the target has a character that a URI can't carry there")]
    ForbiddenCharacter,
    /// `%` without two hexadecimal digits.
    #[error("the target has a broken escape")]
    BrokenEscape,
    /// `%25` before two hexadecimal digits: decoding twice would change it again.
    #[error("the path is escaped twice")]
    DoubleEscape,
    /// Escaped bytes that are not UTF-8.
    #[error("the path has escapes that are not UTF-8")]
    NotUtf8,
}

impl TargetError {
    /// The stable code of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadAuthority => "bad_authority",
            Self::NotAPath => "not_a_path",
            Self::DotSegment => "dot_segment",
            Self::EncodedSlash => "encoded_slash",
            Self::Backslash => "backslash",
            Self::EmptySegment => "empty_segment",
            Self::Semicolon => "semicolon",
            Self::ControlByte => "control_byte",
            Self::ForbiddenCharacter => "forbidden_character",
            Self::BrokenEscape => "broken_escape",
            Self::DoubleEscape => "double_escape",
            Self::NotUtf8 => "not_utf8",
        }
    }
}

/// A canonical target. Two equal ones are the same request line to everyone who reads them.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    method: Method,
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    path_and_query: PathAndQuery,
}

impl Target {
    /// Makes the canonical target, or says what is ambiguous about it.
    ///
    /// `authority`: host and optional port, at most 255 bytes. Allocates nothing when `path_and_query` is canonical
    /// already and the host is at most 64 bytes long.
    ///
    /// # Errors
    /// The first [`TargetError`] met: authority, then path, then query.
    ///
    /// # Source
    /// RFC 3986 sections 3.3, 6.2.2; RFC 9110 section 4.2.3.
    pub fn parse(
        method: &Method,
        scheme: Scheme,
        authority: &str,
        path_and_query: &PathAndQuery,
        options: TargetOptions,
    ) -> Result<Self, TargetError> {
        let (host, port) = host::parse_authority(authority)?;
        let canonical = canonical::canonical_path(path_and_query.path(), options)?;
        if let Some(query) = path_and_query.query() {
            canonical::check_query(query)?;
        }
        let path_and_query = match canonical {
            None => path_and_query.clone(),
            Some(mut text) => {
                if let Some(query) = path_and_query.query() {
                    text.push('?');
                    text.push_str(query);
                }
                PathAndQuery::from_maybe_shared(text).map_err(|_| TargetError::ForbiddenCharacter)?
            }
        };
        Ok(Self {
            method: method.clone(),
            scheme,
            host,
            port: port.filter(|port| *port != scheme.default_port()),
            path_and_query,
        })
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case, without port or trailing dot; an IPv6 address keeps its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The port, unless it is the scheme's own.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The canonical path; begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.path()
    }

    /// The query as it came, without `?`; `None` when there is none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// Canonical path and query. Cloning it copies nothing.
    #[must_use]
    pub const fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }
}

/// Without the query: it may carry a token.
impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}://{}", self.method, self.scheme, self.host())?;
        if let Some(port) = self.port {
            write!(out, ":{port}")?;
        }
        out.write_str(self.path())
    }
}

#[cfg(test)]
mod tests;
