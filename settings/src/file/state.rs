//! `state:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    names::{FilePath, Name},
    text::text_type,
    units::Span,
};
use crate::shape::{Fault, Field};

/// What is written, and what several machines share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "State")]
pub(crate) struct RawState {
    /// The one folder that is written to: the database, the last good configuration, feed.pub. Made at start when it is
    /// not there.
    pub(crate) dir: Field<FilePath>,
    /// PostgreSQL for what lasts (apps, builds, devices, keys, audit), so that several services are one. Default: SQLite
    /// in `dir`.
    #[serde(default)]
    pub(crate) database: Field<RawDatabase>,
    /// Redis or Valkey for what lives shortly (challenges, counts of limits), so that services and gateways are one.
    /// Default: each process keeps its own.
    #[serde(default)]
    pub(crate) shared: Field<RawShared>,
}

/// PostgreSQL, 12 or newer. Exactly one of `url_file` and `url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Database")]
pub(crate) struct RawDatabase {
    /// File with one line, postgres://user:password@db.internal/assay?sslmode=require; not readable by others.
    #[serde(default)]
    pub(crate) url_file: Field<FilePath>,
    /// The same without a password: postgres://assay@127.0.0.1/assay.
    #[serde(default)]
    pub(crate) url: Field<ServerText>,
    /// Roots of its certificate, as PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
    /// For a connection to be made: 100ms to 1m. Default: 5s.
    #[serde(default)]
    pub(crate) connect_timeout: Field<Span>,
    /// For one statement: 100ms to 1m. Default: 5s.
    #[serde(default)]
    pub(crate) statement_timeout: Field<Span>,
    /// Speaks to a server on another machine without TLS: whoever is on the way reads and writes everything, keys' ciphertext
    /// and devices included. Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext: Field<bool>,
}

/// Redis 6.2 or newer, or Valkey. Exactly one of `url_file` and `url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Shared")]
pub(crate) struct RawShared {
    /// File with one line, rediss://user:password@redis.internal; not readable by others.
    #[serde(default)]
    pub(crate) url_file: Field<FilePath>,
    /// The same without a password: redis://127.0.0.1.
    #[serde(default)]
    pub(crate) url: Field<ServerText>,
    /// Roots of its certificate, as PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
    /// For one call, after which the server counts as away: 10ms to 5s. Default: 100ms.
    #[serde(default)]
    pub(crate) timeout: Field<Span>,
    /// What every name there begins with: one for each installation. Default: assay.
    #[serde(default)]
    pub(crate) prefix: Field<Name>,
    /// Speaks to a server on another machine without TLS: whoever is on the way can use challenges twice and lift limits.
    /// Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext: Field<bool>,
}

text_type!(
    /// The address of a server, judged in `check::server_url`: what is wrong with it must not be shown, it may hold a password.
    ServerText(String), "the address of a server such as `redis://127.0.0.1`",
    {
        "type": "string",
        "pattern": "^(postgres|postgresql|redis|rediss)://",
        "description": "Scheme, user, host, port and database. A password stands in a file: url_file.",
    },
    server_text
);

fn server_text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}
