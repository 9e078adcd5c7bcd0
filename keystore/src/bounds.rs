//! The bounds that a key carries itself. In: what the operator wrote at `key put`, or what a record says. Out:
//! [`Bounds`], in one canonical form; proven between: every bound is there, none is empty, none is open-ended by absence.
//!
//! They are associated data of the sealed secret: whoever changes one in the file makes the record unusable. The
//! configuration can narrow them ([`crate::KeyHandle::check_config`] refuses what is wider), and every request is
//! compared with them again.

mod check;
#[cfg(test)]
mod tests;

use std::fmt;

use attest_core::target::{PathGlob, Scheme, canonical_host};
use http::Method;
use serde::{Deserialize, Serialize};

pub use check::{Bound, BoundViolation, Operation, OutgoingRequest, UseDescription};
pub use recipes::{Recipe, RecipeError, RecipeText, TokenEndpoint};

use crate::crypto;

/// Where, how and for what a key may be used. All parts are sorted and without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    schemes: Vec<Scheme>,
    hosts: Vec<Origin>,
    methods: Vec<Method>,
    paths: Vec<PathGlob>,
    recipe: Recipe,
    trust: Trust,
}

/// Bounds as they are written: by an operator in any order and case, in the store in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsText {
    /// `https`; `http` only where every host is a loopback one.
    pub schemes: Vec<String>,
    /// `host` or `host:port`, exact names: 1 to 64. Without a port, 443 is meant where the scheme is `https` alone.
    pub hosts: Vec<String>,
    /// 1 to 32 methods, in upper case as they are sent.
    pub methods: Vec<String>,
    /// 1 to 256 path patterns (`/v1/chat/completions`, `/v1/files/*`, `/v1/**`), as the upstream sees the path.
    pub paths: Vec<String>,
    /// How the key is written into a request.
    pub recipe: RecipeText,
    /// `public`, or `sha256:` and 64 hex digits: the hash of the file of private root certificates.
    pub trust: String,
}

/// A host and port. The host is in canonical form: lower case, no trailing dot, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    host: String,
    port: u16,
}

/// Whose certificates an upstream may show. That certificates are checked at all is not up to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The public roots.
    PublicRoots,
    /// Private roots alone, named by the SHA-256 of their file: what `sha256sum` prints for it.
    PrivateRoots([u8; 32]),
}

impl Bounds {
    /// Parses bounds and brings them into canonical form.
    ///
    /// # Errors
    /// One for each part, naming it: absent or too many, not well-formed, `http` beyond loopback.
    pub fn parse(text: &BoundsText) -> Result<Self, BoundsError> {
        let schemes = sorted("schemes", &text.schemes, 2, parse_scheme, |scheme| scheme.as_str().to_owned())?;
        let default_port = (schemes == [Scheme::Https]).then_some(Scheme::Https.default_port());
        let hosts = sorted("hosts", &text.hosts, 64, |host| Origin::parse(host, default_port), ToString::to_string)?;
        if schemes.contains(&Scheme::Http)
            && let Some(far) = hosts.iter().find(|origin| !origin.is_loopback())
        {
            return Err(BoundsError::PlaintextBeyondLoopback { host: far.host.clone() });
        }
        Ok(Self {
            schemes,
            hosts,
            methods: sorted("methods", &text.methods, 32, parse_method, ToString::to_string)?,
            paths: sorted("paths", &text.paths, 256, parse_path, ToString::to_string)?,
            recipe: Recipe::parse(&text.recipe)?,
            trust: Trust::parse(&text.trust)?,
        })
    }

    /// The canonical text form, as the store keeps it and `assay key list` shows it.
    pub fn to_text(&self) -> BoundsText {
        BoundsText {
            schemes: texts(&self.schemes),
            hosts: texts(&self.hosts),
            methods: texts(&self.methods),
            paths: texts(&self.paths),
            recipe: self.recipe.to_text(),
            trust: self.trust.to_string(),
        }
    }

    /// Schemes, sorted.
    pub fn schemes(&self) -> &[Scheme] {
        &self.schemes
    }

    /// Hosts with their ports, sorted.
    pub fn hosts(&self) -> &[Origin] {
        &self.hosts
    }

    /// Methods, sorted.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Path patterns, sorted.
    pub fn paths(&self) -> &[PathGlob] {
        &self.paths
    }

    /// How the key is written into a request.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the recipe's tokens are minted; part of the recipe, and with it of what the secret is bound to.
    pub fn token_endpoint(&self) -> Option<&TokenEndpoint> {
        self.recipe.token_endpoint()
    }

    /// Whose certificates the upstream may show, and the token endpoint.
    pub fn trust(&self) -> Trust {
        self.trust
    }
}

impl Origin {
    /// Parses `host` or `host:port`.
    fn parse(text: &str, default_port: Option<u16>) -> Result<Self, BoundsError> {
        let bad = |why| BoundsError::NotAHost { text: text.to_owned(), why };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let host = canonical_host(host).map_err(|_| bad("not a host name, IPv4 or bracketed IPv6 address"))?;
        let port = match port {
            // `parse` alone would take "+443".
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0)
            }
            Some(_) => None,
            None => {
                return default_port
                    .map(|port| Self { host, port })
                    .ok_or(bad("write its port: http has no default here"));
            }
        };
        port.map(|port| Self { host, port }).ok_or(bad("its port is not a number from 1 to 65535"))
    }

    /// The host, canonical.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine by name or address, whatever a resolver says.
    fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Trust {
    /// Trust in the private roots of this file, given by its content.
    pub fn in_private_roots(file: &[u8]) -> Self {
        Self::PrivateRoots(crypto::sha256(file))
    }

    fn parse(text: &str) -> Result<Self, BoundsError> {
        if text == "public" {
            return Ok(Self::PublicRoots);
        }
        let hash = text.strip_prefix("sha256:").and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok());
        let hash = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        hash.map(Self::PrivateRoots).ok_or(BoundsError::NotATrust)
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublicRoots => f.write_str("public"),
            Self::PrivateRoots(hash) => write!(f, "sha256:{}", data_encoding::HEXLOWER.encode(hash)),
        }
    }
}

/// Why bounds were not taken. The texts are the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundsError {
    /// A list without members, or with too many.
    #[error(
        "{part}: {len} given; a key needs 1 to {most} of them, written out: nothing means nothing here, not everything"
    )]
    Count {
        /// Which list.
        part: &'static str,
        /// How many there were.
        len: usize,
        /// The most that are taken.
        most: usize,
    },
    /// Neither `http` nor `https`.
    #[error("schemes: {text:?} is neither https nor http")]
    NotAScheme {
        /// What was written.
        text: String,
    },
    /// Not a host with an optional port. Wildcards are none.
    #[error("hosts: {text:?}: {why}")]
    NotAHost {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key would travel in the clear.
    #[error("schemes: http is for loopback hosts only, and {host} is none: the key would travel in the clear")]
    PlaintextBeyondLoopback {
        /// The host that is not this machine.
        host: String,
    },
    /// Not a method in upper case.
    #[error("methods: {text:?} is not a method in upper case, such as GET or POST")]
    NotAMethod {
        /// What was written.
        text: String,
    },
    /// Not a path pattern.
    #[error("paths: {text:?}: {why}")]
    NotAPath {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: attest_core::target::NotAGlob,
    },
    /// The recipe is none.
    #[error("recipe: {0}")]
    Recipe(#[from] RecipeError),
    /// Neither `public` nor a hash.
    #[error("trust: neither \"public\" nor \"sha256:\" and 64 lower-case hex digits")]
    NotATrust,
}

/// Parses each member; sorts by text, drops duplicates.
fn sorted<T>(
    part: &'static str,
    members: &[String],
    most: usize,
    parse: impl Fn(&str) -> Result<T, BoundsError>,
    text: impl Fn(&T) -> String,
) -> Result<Vec<T>, BoundsError> {
    if members.is_empty() || members.len() > most {
        return Err(BoundsError::Count { part, len: members.len(), most });
    }
    let mut parsed = members.iter().map(|member| parse(member)).collect::<Result<Vec<T>, _>>()?;
    parsed.sort_by_cached_key(&text);
    parsed.dedup_by(|one, other| text(one) == text(other));
    Ok(parsed)
}

fn parse_scheme(text: &str) -> Result<Scheme, BoundsError> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Ok(Scheme::Https),
        "http" => Ok(Scheme::Http),
        _ => Err(BoundsError::NotAScheme { text: text.to_owned() }),
    }
}

fn parse_method(text: &str) -> Result<Method, BoundsError> {
    let bad = || BoundsError::NotAMethod { text: text.to_owned() };
    // Methods are case-sensitive (RFC 9110, section 9.1); a lower-case one is a slip that would never match.
    if !text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') || text.len() > 32 || text == "CONNECT" {
        return Err(bad());
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| bad())
}

fn parse_path(text: &str) -> Result<PathGlob, BoundsError> {
    PathGlob::parse(text).map_err(|why| BoundsError::NotAPath { text: text.to_owned(), why })
}

fn texts<T: ToString>(members: &[T]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}
