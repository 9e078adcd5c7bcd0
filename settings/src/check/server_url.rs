//! The address of PostgreSQL or Redis.
//!
//! In: a line of text that may hold a password. Out: its host, port and whether it is TLS; or what is wrong, in words that
//! repeat nothing of the text.

use attest_core::target::canonical_host;
use zeroize::Zeroizing;

use crate::{model::ServerUrl, shape::Fault};

/// What the address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Redis,
}

/// An address, and whether a password is in it.
pub(crate) struct Parsed {
    pub(crate) url: ServerUrl,
    pub(crate) has_password: bool,
}

impl Engine {
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Postgres => "postgres://assay@127.0.0.1/assay",
            Self::Redis => "redis://127.0.0.1",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Redis => 6379,
        }
    }
}

/// Takes an address apart.
pub(crate) fn parse(engine: Engine, text: &str) -> Result<Parsed, Fault> {
    let fault = |what: &str| Fault::new(format!("this is not the address of a server: {what}"));
    let shape = |what: &str| fault(what).hint(format!("write it like {}", engine.example()));
    if text.is_empty() || text.len() > 2048 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(shape("it is one line of printable characters without spaces"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| shape("its scheme is missing"))?;
    let scheme_tls = match (engine, scheme) {
        (Engine::Postgres, "postgres" | "postgresql") | (Engine::Redis, "redis") => false,
        (Engine::Redis, "rediss") => true,
        (Engine::Redis, "valkey") => return Err(fault("Valkey speaks Redis's protocol").hint("write redis://")),
        (Engine::Redis, "valkeys") => return Err(fault("Valkey speaks Redis's protocol").hint("write rediss://")),
        _ => return Err(shape("its scheme is another")),
    };
    if rest.contains('#') {
        return Err(
            fault("it has a `#`").hint("in a password write %23; nothing turns the verification of certificates off")
        );
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains('@') {
        return Err(fault("it has two `@`").hint("in a user name or password write %40"));
    }
    let (host, port) = host_and_port(host, engine.port()).ok_or_else(|| shape("host or port is missing or wrong"))?;
    let tls = match engine {
        Engine::Redis => {
            if !query.is_empty() {
                return Err(fault("it has a query").hint("take everything from `?` out"));
            }
            let number =
                |text: &str| text.is_empty() || (text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()));
            if !number(database) {
                return Err(shape("a database of Redis is a number"));
            }
            scheme_tls
        }
        Engine::Postgres => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%');
            if database.is_empty() || !database.bytes().all(plain) {
                return Err(shape("the name of the database is missing or wrong"));
            }
            if user.is_empty() {
                return Err(shape("the user is missing"));
            }
            ssl_mode(query, &fault)?
        }
    };
    let has_password = user.contains(':');
    Ok(Parsed { url: ServerUrl { text: Zeroizing::new(text.to_owned()), host, port, tls }, has_password })
}

/// Whether `sslmode` asks for TLS; nothing else may stand in the query.
fn ssl_mode(query: &str, fault: &impl Fn(&str) -> Fault) -> Result<bool, Fault> {
    match query {
        "" | "sslmode=disable" => Ok(false),
        "sslmode=require" => Ok(true),
        "sslmode=verify-full" | "sslmode=verify-ca" => Err(fault("this `sslmode` is another's word")
            .hint("write sslmode=require: here the certificate and its name are always verified")),
        "sslmode=prefer" | "sslmode=allow" => {
            Err(fault("this `sslmode` falls back to plaintext").hint("write sslmode=require"))
        }
        _ => Err(fault("only `sslmode` may stand in its query")
            .hint("time-outs have fields of their own: connect_timeout, statement_timeout")),
    }
}

fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host.to_owned(), rest.strip_prefix(':').map_or(rest.is_empty().then_some(""), Some)?)
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            if text.ends_with(':') {
                return None;
            }
            (canonical_host(host).ok()?, port)
        }
    };
    let port = if port.is_empty() { default } else { port.parse().ok().filter(|port| *port > 0)? };
    Some((host, port))
}

/// Whether the host is this machine by name or address, whatever a resolver says.
pub(crate) fn is_loopback(url: &ServerUrl) -> bool {
    url.host() == "localhost" || url.host().parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
