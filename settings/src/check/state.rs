//! `state:` checked.

use std::path::PathBuf;

use policies::yaml::Place;

use super::{
    Check, Kind, millis, secs,
    server_url::{self, Engine},
};
use crate::{
    file::{
        names::FilePath,
        state::{RawDatabase, RawShared, RawState, ServerText},
    },
    model::{PostgresSettings, ServerUrl, SharedSettings, StateSettings},
    shape::{Fault, Field},
};

/// What a section says about how to reach its server.
struct Reach<'f> {
    engine: Engine,
    name: &'static str,
    /// Where in the file it stands.
    path: &'static str,
    url_file: &'f Field<FilePath>,
    url: &'f Field<ServerText>,
    ca_file: &'f Field<FilePath>,
    danger_plaintext: &'f Field<bool>,
}

impl Check<'_, '_> {
    /// `serves`: whether the attestation service is run from this file.
    pub(crate) fn state(&self, raw: &RawState, owner: Place, serves: bool) -> Option<StateSettings> {
        let dir = self.need(&raw.dir, owner, "dir", "state").map(|(dir, _)| self.files.resolve(&dir.0));
        let database = raw.database.good().map(|(raw, at)| self.database(raw, at, "state.database"));
        let shared = raw.shared.good().map(|(raw, at)| self.shared(raw, at));
        match (raw.database.at, raw.shared.is_absent()) {
            (Some(at), _) if !serves => {
                let fault = Fault::new("`database` belongs to the service, which is not run from this file");
                self.refuse(at, "does_nothing", fault.hint("take it out here: a gateway keeps nothing that lasts"));
            }
            (Some(at), true) => {
                let fault = Fault::new("several services can share this database, and each has challenges of its own");
                self.warn(
                    at,
                    "unshared_challenges",
                    fault.hint("add shared: { url_file: secrets/redis.url }, unless only one service runs at a time"),
                );
            }
            _ => {}
        }
        // A section that is there and wrong must not look like one that is absent.
        let wrong = |field: bool, built: bool| field && !built;
        if wrong(!raw.database.is_absent(), matches!(database, Some(Some(_))))
            || wrong(!raw.shared.is_absent(), matches!(shared, Some(Some(_))))
        {
            return None;
        }
        Some(StateSettings { dir: dir?, database: database.flatten(), shared: shared.flatten() })
    }

    /// PostgreSQL; `path` is where in the file it is described.
    pub(crate) fn database(&self, raw: &RawDatabase, owner: Place, path: &'static str) -> Option<PostgresSettings> {
        let reach = Reach {
            engine: Engine::Postgres,
            name: "database",
            path,
            url_file: &raw.url_file,
            url: &raw.url,
            ca_file: &raw.ca_file,
            danger_plaintext: &raw.danger_plaintext,
        };
        let wait = |field, name| self.span(field, name, (millis(100), secs(60)), secs(5));
        let connect_timeout = wait(&raw.connect_timeout, "connect_timeout");
        let statement_timeout = wait(&raw.statement_timeout, "statement_timeout");
        let (url, ca_file) = self.server(&reach, owner)?;
        Some(PostgresSettings { url, ca_file, connect_timeout, statement_timeout })
    }

    fn shared(&self, raw: &RawShared, owner: Place) -> Option<SharedSettings> {
        let reach = Reach {
            engine: Engine::Redis,
            name: "shared",
            path: "state.shared",
            url_file: &raw.url_file,
            url: &raw.url,
            ca_file: &raw.ca_file,
            danger_plaintext: &raw.danger_plaintext,
        };
        let timeout = self.span(&raw.timeout, "timeout", (millis(10), secs(5)), millis(100));
        let prefix = raw.prefix.value.as_ref().map_or_else(|| "assay".to_owned(), |prefix| prefix.0.clone());
        let (url, ca_file) = self.server(&reach, owner)?;
        Some(SharedSettings { url, ca_file, timeout, prefix })
    }

    /// Where a server is and how it is reached; without TLS on this machine only, unless the file says otherwise.
    fn server(&self, reach: &Reach<'_>, owner: Place) -> Option<(ServerUrl, Option<PathBuf>)> {
        let ca_file = self.certificates(reach.ca_file);
        let (url, at) = self.server_url(reach, owner)?;
        let secure = match reach.engine {
            Engine::Postgres => "?sslmode=require",
            Engine::Redis => "rediss://",
        };
        match (self.flag(reach.danger_plaintext, false), reach.danger_plaintext.at) {
            (true, Some(danger)) if url.tls() || server_url::is_loopback(&url) => {
                let fault = Fault::new("`danger_plaintext` does nothing: this connection is TLS, or on this machine");
                self.refuse(danger, "does_nothing", fault.hint("take the line out"));
            }
            (true, Some(danger)) => {
                let fault =
                    Fault::new(format!("whoever is on the way to `{}` reads and writes what is there", reach.name));
                self.warn(danger, "plaintext_state", fault.hint(format!("write {secure} and take the line out")));
            }
            (false, _) if !url.tls() && !server_url::is_loopback(&url) => {
                let fault = Fault::new(format!("`{}` is on another machine and is reached without TLS", reach.name));
                self.refuse(
                    at,
                    "plaintext_state",
                    fault.hint(format!("write {secure}; for a private authority add ca_file:")),
                );
            }
            _ => {}
        }
        if let (Some(at), false) = (reach.ca_file.at, url.tls()) {
            let fault = Fault::new("`ca_file` does nothing: this connection is not TLS");
            self.refuse(at, "does_nothing", fault.hint(format!("write {secure}, or take the line out")));
        }
        Some((url, ca_file))
    }

    fn server_url(&self, reach: &Reach<'_>, owner: Place) -> Option<(ServerUrl, Place)> {
        let file = format!("secrets/{}.url", reach.name);
        match (reach.url_file.at, reach.url.at) {
            (Some(_), Some(at)) => {
                let fault = Fault::new("both `url_file` and `url`");
                self.refuse(at, "two_sources", fault.hint("keep one of them"));
                return None;
            }
            (None, None) => {
                let fault = Fault::new(format!("where is it? `{}` has no `url_file` and no `url`", reach.name));
                self.refuse(
                    owner,
                    "missing_field",
                    fault.hint(format!("write url_file: {file}, or url: {}", reach.engine.example())),
                );
                return None;
            }
            _ => {}
        }
        if let Some((ServerText(text), at)) = reach.url.good() {
            let parsed = server_url::parse(reach.engine, text);
            // Judged even where the rest does not parse. Without a place, so that no report shows the line.
            let authority = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
            let password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
            if password || parsed.as_ref().is_ok_and(|parsed| parsed.has_password) {
                let fault = Fault::new(format!("`{}.url` on line {} holds a password", reach.path, at.line));
                let hint = format!(
                    "write the whole address into a file (mode 600), and here url_file: {file}; then change the password"
                );
                self.refuse(Place::default(), "inline_secret", fault.hint(hint));
                return None;
            }
            return match parsed {
                Ok(parsed) => Some((parsed.url, at)),
                Err(fault) => {
                    self.refuse(at, "invalid_value", fault);
                    None
                }
            };
        }
        let (path, content, at) = self.file(reach.url_file, Kind::Private, 4096)?;
        match server_url::parse(reach.engine, content.line().unwrap_or_default()) {
            Ok(parsed) => Some((parsed.url, at)),
            Err(mut fault) => {
                fault.message = format!("`{}`: {}", path.display(), fault.message);
                self.refuse(at, "invalid_value", fault);
                None
            }
        }
    }
}
