//! Token endpoints. In: a URL as an operator writes it. Out: a [`TokenEndpoint`]; proven between: over TLS or on this
//! machine, with one host, one port and one path, and nothing else that a reader could take differently.

use std::fmt;

use attest_core::target::{Scheme, canonical_host};

use crate::error::RecipeError;

/// Where tokens are minted. A bound of the key, like its hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenEndpoint {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl TokenEndpoint {
    /// Parses `https://host[:port]/path`; `http` for loopback hosts alone.
    ///
    /// # Errors
    /// Another scheme, user information, a query or fragment, a path that is not plain.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let bad = |why| RecipeError::NotAnEndpoint { text: text.to_owned(), why };
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(bad("begins with neither https:// nor http://")),
        };
        let slash = rest.find('/').ok_or(bad("has no path"))?;
        let (authority, path) = rest.split_at(slash);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host = canonical_host(host).map_err(|_| bad("has no host name or address"))?;
        let port = match port {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or(bad("its port is not a number from 1 to 65535"))?
            }
            Some(_) => return Err(bad("its port is not a number from 1 to 65535")),
            None if tls => 443,
            None => 80,
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@:+$,=!".contains(&byte);
        if path.len() > 256 || !path.bytes().all(plain) || path.contains("//") || has_dot_segment(path) {
            return Err(bad("its path is not up to 256 plain characters, without escapes, query or dot segments"));
        }
        let endpoint = Self { tls, host, port, path: path.to_owned() };
        if !tls && !endpoint.is_loopback() {
            return Err(bad("http is for loopback hosts only: the secret would travel in the clear"));
        }
        Ok(endpoint)
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        if self.tls { Scheme::Https } else { Scheme::Http }
    }

    /// The host in canonical form; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path; begins with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the host is this machine by name or address, whatever a resolver says.
    fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// The URL, without a port that is the scheme's own: as vendors state it, and as `aud` expects it.
impl fmt::Display for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| segment == "." || segment == "..")
}
