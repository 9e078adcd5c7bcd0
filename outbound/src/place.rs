//! Where a call goes: scheme, host and port, as one value; with a path, a [`Url`].
//!
//! In comes text of the configuration or of a sealed record; out goes a place in one spelling, so that two of them can be
//! compared. There are no user names, fragments or empty hosts in it.

use std::fmt;
use std::net::IpAddr;

use attest_core::target::{Scheme, canonical_host};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    scheme: Scheme,
    /// In the form of [`canonical_host`]: lower case, IPv6 in brackets.
    host: String,
    port: u16,
}

/// A place, and a path there with an optional query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// Where.
    pub place: Place,
    /// Path and query, as they go into the request line. At least `/`.
    pub target: PathAndQuery,
}

/// Why a text is no place to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not a URL at all.
    #[error("it is not a URL")]
    NotAUrl,
    /// Neither of the two schemes.
    #[error("it begins with neither https:// nor http://")]
    Scheme,
    /// No host, or one that can't be.
    #[error("its host is not a host")]
    Host,
    /// `user:password@`, which would be a secret in a URL.
    #[error("it holds a user name")]
    UserName,
}

impl Place {
    /// A place from its parts.
    ///
    /// # Errors
    /// [`PlaceError::Host`].
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, PlaceError> {
        let host = canonical_host(host).map_err(|_| PlaceError::Host)?;
        if port == 0 { Err(PlaceError::Host) } else { Ok(Self { scheme, host, port }) }
    }

    /// Plain or over TLS.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host as a resolver and a certificate have it: an IPv6 address without brackets.
    #[must_use]
    pub fn bare_host(&self) -> &str {
        bare(&self.host)
    }

    /// The address, where the host is one.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.bare_host().parse().ok()
    }

    /// The value of `Host`: with the port where it is not the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.authority()).ok()
    }

    fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme, self.authority())
    }
}

impl Url {
    /// An absolute URL.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let uri: Uri = text.parse().map_err(|_| PlaceError::NotAUrl)?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(PlaceError::Scheme),
        };
        let authority = uri.authority().ok_or(PlaceError::Host)?;
        if authority.as_str().contains('@') {
            return Err(PlaceError::UserName);
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == authority.host() => scheme.default_port(),
            // `host:` with nothing, or too much, behind it.
            None => return Err(PlaceError::Host),
        };
        let place = Place::new(scheme, authority.host(), port)?;
        // `https://host?x` has an empty path; on the wire it is `/`.
        let target = match uri.path_and_query().map_or("/", PathAndQuery::as_str) {
            target if target.starts_with('/') => target.parse(),
            target => format!("/{target}").parse(),
        };
        Ok(Self { place, target: target.map_err(|_| PlaceError::NotAUrl)? })
    }
}

impl fmt::Display for Url {
    /// Without the query, which may hold what is nobody's business.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.place, self.target.path())
    }
}

/// An IPv6 address without its brackets, for a resolver or a certificate.
#[must_use]
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_no_place_or_holds_more_than_one() {
        for (text, why) in [
            ("", PlaceError::NotAUrl),
            ("/token", PlaceError::Scheme),
            ("api.example.com", PlaceError::Scheme),
            ("ftp://api.example.com/", PlaceError::Scheme),
            ("https://user:password@api.example.com/", PlaceError::UserName),
            ("https://user@api.example.com/", PlaceError::UserName),
            ("https://api.example.com:0/", PlaceError::Host),
            ("https://api.example.com:/", PlaceError::Host),
            ("https://a..b/", PlaceError::Host),
        ] {
            assert_eq!(Url::parse(text), Err(why), "{text}");
        }
        assert!(Url::parse("https://api.example.com:65536/").is_err());
        assert!(Url::parse("https:///token").is_err());
    }

    #[test]
    fn one_place_has_one_spelling() {
        let url = Url::parse("https://API.Example.com.:443/Token?a=1").unwrap();
        assert_eq!(url.place, Url::parse("https://api.example.com").unwrap().place);
        assert_eq!((url.place.host(), url.place.port()), ("api.example.com", 443));
        assert_eq!(url.target, "/Token?a=1");
        assert_eq!(url.to_string(), "https://api.example.com/Token", "a query may hold what is nobody's business");
        assert_eq!(Url::parse("https://api.example.com?a=1").unwrap().target, "/?a=1");
    }

    #[test]
    fn an_ipv6_address_is_bare_for_resolvers_and_in_brackets_elsewhere() {
        let place = Url::parse("http://[::1]:8200/v1").unwrap().place;
        assert_eq!((place.bare_host(), place.literal()), ("::1", Some("::1".parse().unwrap())));
        assert_eq!(place.host_header().unwrap(), "[::1]:8200");
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_to_the_same(text in "\\PC{0,60}", host in "[a-z0-9.-]{1,20}", port in 0_u32..70_000) {
            for text in [text.clone(), format!("https://{host}:{port}/{text}")] {
                if let Ok(url) = Url::parse(&text) {
                    prop_assert_eq!(Url::parse(&url.place.to_string()).unwrap().place, url.place);
                }
            }
        }
    }
}
