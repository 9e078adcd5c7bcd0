//! The host of a request, in the one form in which routes, bounds and certificates name it.

use smallvec::SmallVec;

use super::TargetError;

/// A host in lower case; up to 64 bytes without an allocation. ASCII by construction.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Host(SmallVec<[u8; 64]>);

impl Host {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The canonical form of a host as configurations name it: lower case, no trailing dot; no port.
///
/// # Errors
/// [`TargetError::BadAuthority`] when it is no host, or has a port.
pub fn canonical_host(host: &str) -> Result<String, TargetError> {
    match parse_authority(host)? {
        (host, None) => Ok(host.as_str().to_owned()),
        (_, Some(_)) => Err(TargetError::BadAuthority),
    }
}

/// Splits `host[:port]`. No user information, no empty port, nothing but host name characters or a bracketed IPv6
/// address.
pub(super) fn parse_authority(authority: &str) -> Result<(Host, Option<u16>), TargetError> {
    const BAD: TargetError = TargetError::BadAuthority;
    if authority.len() > 255 {
        return Err(BAD);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(BAD)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| BAD)?;
            // One address, one text (RFC 5952).
            let host = Host(format!("[{address}]").into_bytes().into());
            match after.strip_prefix(':') {
                Some(port) => return Ok((host, Some(parse_port(port)?))),
                None if after.is_empty() => return Ok((host, None)),
                None => return Err(BAD),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (authority, None),
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // One pass, as this runs for every request: the bytes of a host name, and no empty label.
    let mut before = b'.';
    for byte in host.bytes() {
        let known = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || (byte == b'.' && before != b'.');
        if !known {
            return Err(BAD);
        }
        before = byte;
    }
    if before == b'.' {
        return Err(BAD);
    }
    let mut host = SmallVec::from_slice(host.as_bytes());
    host.make_ascii_lowercase();
    Ok((Host(host), port))
}

fn parse_port(port: &str) -> Result<u16, TargetError> {
    // `parse` alone would take "+80".
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::BadAuthority);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(TargetError::BadAuthority),
        Ok(port) => Ok(port),
    }
}
