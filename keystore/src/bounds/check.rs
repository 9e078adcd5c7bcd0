//! Bounds held against a use. In: a configured use, or a request as it is about to be sent. Out: nothing, or the bound
//! that it breaks; the same comparisons serve both, so what was refused at load can't pass at run time.

use std::fmt;

use attest_core::target::{PathGlob, Scheme};
use http::Method;

use super::{Bounds, Trust};
use crate::api_key::KeyName;

/// A request as it is about to be sent: after routing and rewriting, with the canonical path and no query.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRequest<'a> {
    /// How it is sent.
    pub scheme: Scheme,
    /// The upstream's host, as it is verified against the certificate; an IPv6 address in brackets.
    pub host: &'a str,
    /// The upstream's port.
    pub port: u16,
    /// The method.
    pub method: &'a Method,
    /// The path as the upstream will see it.
    pub path: &'a str,
    /// The roots that the connection is verified against. Without TLS (loopback only) it is not looked at.
    pub trust: Trust,
}

/// What a configuration wants to use a key for.
#[derive(Debug, Clone, Copy)]
pub struct UseDescription<'a> {
    /// The upstream's scheme.
    pub scheme: Scheme,
    /// The upstream's host; an IPv6 address in brackets.
    pub host: &'a str,
    /// The upstream's port.
    pub port: u16,
    /// The roots that the upstream is verified against.
    pub trust: Trust,
    /// What the route lets through, with the paths as the upstream sees them (after `strip`).
    pub operations: &'a [Operation<'a>],
}

/// A method on a path pattern.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// The method.
    pub method: &'a Method,
    /// The paths.
    pub path: &'a PathGlob,
}

/// Which bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// Scheme, host and port.
    Origin,
    /// The roots that vouch for the upstream.
    Trust,
    /// The method.
    Method,
    /// The path.
    Path,
}

/// A use outside the bounds of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key \"{key}\" is bound to {allowed}; the {subject} is {found}")]
pub struct BoundViolation {
    key: KeyName,
    bound: Bound,
    allowed: String,
    subject: &'static str,
    found: String,
}

impl BoundViolation {
    /// The key.
    pub fn key(&self) -> &KeyName {
        &self.key
    }

    /// The bound that is broken.
    pub fn bound(&self) -> Bound {
        self.bound
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "origin",
            Self::Trust => "trust",
            Self::Method => "method",
            Self::Path => "path",
        })
    }
}

impl Bounds {
    /// Whether a request lies inside. No allocation unless it does not.
    pub(crate) fn admit(&self, key: &KeyName, request: &OutgoingRequest<'_>) -> Result<(), BoundViolation> {
        self.admit_upstream(key, request.scheme, request.host, request.port, request.trust)?;
        if !self.methods.contains(request.method) {
            return Err(self.violation(key, Bound::Method, "request's method", request.method.to_string()));
        }
        if !self.paths.iter().any(|glob| glob.matches(request.path)) {
            return Err(self.violation(key, Bound::Path, "request's path", request.path.to_owned()));
        }
        Ok(())
    }

    /// Whether all that a configured use can send lies inside.
    pub(crate) fn admit_use(&self, key: &KeyName, wanted: &UseDescription<'_>) -> Result<(), BoundViolation> {
        self.admit_upstream(key, wanted.scheme, wanted.host, wanted.port, wanted.trust)?;
        for Operation { method, path } in wanted.operations {
            if !self.methods.contains(method) {
                return Err(self.violation(key, Bound::Method, "operation", format!("{method} {path}")));
            }
            if !self.paths.iter().any(|bound| path.is_within(bound)) {
                return Err(self.violation(key, Bound::Path, "operation", format!("{method} {path}")));
            }
        }
        Ok(())
    }

    fn admit_upstream(
        &self,
        key: &KeyName,
        scheme: Scheme,
        host: &str,
        port: u16,
        trust: Trust,
    ) -> Result<(), BoundViolation> {
        let same = |origin: &super::Origin| origin.port == port && origin.host.eq_ignore_ascii_case(host);
        if !self.schemes.contains(&scheme) || !self.hosts.iter().any(same) {
            return Err(self.violation(key, Bound::Origin, "upstream", format!("{scheme}://{host}:{port}")));
        }
        if scheme == Scheme::Https && self.trust != trust {
            return Err(self.violation(key, Bound::Trust, "upstream's trust", trust.to_string()));
        }
        Ok(())
    }

    #[cold]
    fn violation(&self, key: &KeyName, bound: Bound, subject: &'static str, found: String) -> BoundViolation {
        let origins =
            || self.schemes.iter().flat_map(|scheme| self.hosts.iter().map(move |host| format!("{scheme}://{host}")));
        let allowed = match bound {
            Bound::Origin => origins().collect::<Vec<_>>().join(", "),
            Bound::Trust => format!("root certificates {}", self.trust),
            Bound::Method => format!("methods {}", super::texts(&self.methods).join(", ")),
            Bound::Path => format!("paths {}", super::texts(&self.paths).join(", ")),
        };
        BoundViolation { key: key.clone(), bound, allowed, subject, found }
    }
}
