//! Addresses, networks, hosts and URLs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use attest_core::target::{Scheme, canonical_host};
use ipnet::IpNet;

use super::{text::text_type, units::shown};
use crate::{model::HostPattern, shape::Fault};

text_type!(
    /// Where to listen: address and port.
    Address(SocketAddr), "an address and port such as `127.0.0.1:8443`",
    {
        "type": "string",
        "description": "Address and port: 0.0.0.0:8443, 127.0.0.1:9901, \"[::]:8443\". Port 0: the system chooses.",
        "examples": ["0.0.0.0:8443", "127.0.0.1:9901"],
    },
    address
);

text_type!(
    /// A network.
    Network(IpNet), "a network such as `10.0.4.0/24`",
    { "type": "string", "description": "A network: 10.0.4.0/24, 2001:db8::/32.", "examples": ["10.0.4.0/24"] },
    network
);

text_type!(
    /// A host name or address, without port.
    Host(String), "a host name such as `api.example.com`",
    { "type": "string", "minLength": 1, "description": "A host name, without scheme, port or path." },
    host
);

text_type!(
    /// Hosts of a route.
    Hosts(HostPattern), "a host such as `api.example.com` or \"*.example.com\"",
    {
        "type": "string",
        "minLength": 1,
        "description": "A host, or \"*.example.com\" (in quotes) for every name below. Without port.",
    },
    hosts
);

text_type!(
    /// Scheme, host and port of an API.
    Origin(UrlParts), "a URL such as `https://api.example.com`",
    {
        "type": "string",
        "pattern": "^https?://[^/?#@]+/?$",
        "description": "Scheme, host and port: https://api.example.com, https://shop.internal:8443.",
    },
    origin
);

text_type!(
    /// A URL with a path.
    Url(UrlParts), "a URL such as `https://attest.example.com/assay/v1`",
    { "type": "string", "pattern": "^https?://[^?#@]+$" },
    url
);

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlParts {
    pub(crate) scheme: Scheme,
    /// Canonical; an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Without a trailing slash; empty when there is none.
    pub(crate) path: String,
}

impl UrlParts {
    /// The host, where it is written as an address.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether the host is this machine by name or address, whatever a resolver says.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.literal().is_some_and(|address| address.is_loopback())
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let fault = Fault::new(format!("`{}` is not an address and port", shown(text)));
    let port_of = |text: &str| text.parse::<u16>().ok();
    let hint = if let Some(port) = text.strip_prefix(':').or(text.strip_prefix("*:")).and_then(port_of) {
        format!("write 0.0.0.0:{port} for every interface, 127.0.0.1:{port} for this machine only")
    } else if let Some(port) = port_of(text) {
        format!("write 0.0.0.0:{port} for every interface, 127.0.0.1:{port} for this machine only")
    } else if let Some(port) = text.strip_prefix("localhost:").and_then(port_of) {
        format!("write 127.0.0.1:{port}: names are not looked up here")
    } else if text.parse::<IpAddr>().is_ok() {
        if text.contains(':') {
            format!("a port is missing: write \"[{text}]:8443\"")
        } else {
            format!("a port is missing: write {text}:8443")
        }
    } else {
        "write address and port, as 127.0.0.1:8443; names are not looked up here".to_owned()
    };
    Err(fault.hint(hint))
}

fn network(text: &str) -> Result<IpNet, Fault> {
    let fault = || Fault::new(format!("`{}` is not a network", shown(text)));
    match text.parse::<IpNet>() {
        Ok(net) if net.addr() == net.network() => Ok(net),
        Ok(net) => Err(fault().hint(format!("bits are set behind the prefix: write {}", net.trunc()))),
        Err(_) => Err(match text.parse::<IpAddr>() {
            Ok(address) => fault().hint(format!("write {}", IpNet::from(address))),
            Err(_) => fault().hint("write an address and the length of its prefix, as 10.0.4.0/24"),
        }),
    }
}

fn host(text: &str) -> Result<String, Fault> {
    let fault = || Fault::new(format!("`{}` is not a host name", shown(text)));
    if text.contains("://") {
        return Err(fault().hint("write the host alone, without scheme and path"));
    }
    canonical_host(text).map_err(|_| {
        let port = text
            .rsplit_once(':')
            .is_some_and(|(name, port)| !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()));
        fault().hint(if port {
            "write the host without its port: ports are not compared"
        } else if text.starts_with('*') {
            "a pattern can't stand here; write one host name"
        } else {
            "write a name such as api.example.com; other scripts as their `xn--` form"
        })
    })
}

fn hosts(text: &str) -> Result<HostPattern, Fault> {
    if let Some(below) = text.strip_prefix("*.") {
        let below = host(below)?;
        if below.parse::<IpAddr>().is_ok() || !below.contains('.') {
            return Err(Fault::new(format!("`{}` covers too much to be meant", shown(text))).hint(
                "write \"*.\" and a domain of your own, as \"*.example.com\"; to take every host, leave `host` out",
            ));
        }
        return Ok(HostPattern::Suffix(format!(".{below}")));
    }
    if text == "*" {
        return Err(Fault::new("`*` is not a host").hint("to take every host, leave `host` out"));
    }
    if text.contains('*') {
        return Err(Fault::new(format!("`{}` is not a host", shown(text)))
            .hint("`*` stands for whole labels at the front only: \"*.example.com\""));
    }
    host(text).map(HostPattern::Exact)
}

fn origin(text: &str) -> Result<UrlParts, Fault> {
    let parts = url(text)?;
    if parts.path.is_empty() {
        return Ok(parts);
    }
    Err(Fault::new(format!("`{}` has a path", shown(text)))
        .hint(format!("write the URL without it, and `rewrite: {{ add: {} }}` in the routes that need it", parts.path)))
}

pub(crate) fn url(text: &str) -> Result<UrlParts, Fault> {
    let fault = || Fault::new(format!("`{}` is not a URL", shown(text)));
    let (scheme, rest) = match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(_) => return Err(fault().hint("the scheme is https, or http on loopback")),
        None => return Err(fault().hint(format!("write https://{}", shown(text)))),
    };
    if rest.contains(['?', '#']) {
        return Err(fault().hint("write it without query and fragment"));
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return Err(Fault::new("a URL here has no user name or password").hint("keys are sealed with `assay key put`"));
    }
    let (name, port) =
        split_port(authority).ok_or_else(|| fault().hint("write host and port, as https://api.example.com:8443"))?;
    let host = canonical_host(name)
        .map_err(|_| fault().hint("write a host name, as https://api.example.com; IPv6 as https://[2001:db8::1]"))?;
    let path = path.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~');
    if path.contains("//") || path.split('/').any(|part| part == "." || part == "..") || !path.chars().all(plain) {
        return Err(fault().hint("its path has letters, digits, `.`, `_`, `-`, `~`, and no empty or dot segments"));
    }
    Ok(UrlParts { scheme, host, port: port.unwrap_or(scheme.default_port()), path: path.to_owned() })
}

/// Host and port; `None` where the port is not a number from 1 to 65535.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_host = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.get(end_of_host..)?.rfind(':') {
        None => Some((authority, None)),
        Some(at) => {
            let (host, port) = authority.split_at(end_of_host + at);
            let port = port.strip_prefix(':')?;
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0)?;
            Some((host, Some(port)))
        }
    }
}

/// The private networks that an operator may list for an upstream. Link-local ones are not among them: cloud
/// metadata services live there.
///
/// # Source
/// RFC 1918, RFC 6598, RFC 4193, and loopback.
pub(crate) fn may_be_listed_as_private(net: &IpNet) -> bool {
    const PRIVATE: [(Ipv4Addr, u8); 5] = [
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
    ];
    match net {
        IpNet::V4(net) => PRIVATE
            .iter()
            .any(|(address, prefix)| ipnet::Ipv4Net::new(*address, *prefix).is_ok_and(|private| private.contains(net))),
        // fc00::/7, without the block of EC2's metadata service, and loopback.
        IpNet::V6(net) => {
            let first = net.network().segments();
            let unique_local = net.prefix_len() >= 7 && first.first().is_some_and(|s| s & 0xfe00 == 0xfc00);
            (unique_local && !net.contains(&METADATA_V6)) || (net.prefix_len() == 128 && net.network().is_loopback())
        }
    }
}

/// `fd00:ec2::254`.
pub(crate) const METADATA_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests;
