//! From raw shapes to checked values: what a value means, and whether it holds.
//!
//! In: the raw shapes of [`crate::file`], where wrong values are absent and noted. Out: [`crate::Settings`]. One file a
//! section, in the order of the configuration; each notes all its problems and hands on what it could build, so that the
//! sections after it can go on.

pub(crate) mod apps;
pub(crate) mod attestation;
pub(crate) mod callers;
pub(crate) mod ceilings;
pub(crate) mod document;
pub(crate) mod faults;
pub(crate) mod issuers;
pub(crate) mod keys;
pub(crate) mod listeners;
pub(crate) mod lists;
pub(crate) mod log;
pub(crate) mod operations;
pub(crate) mod pem;
pub(crate) mod policy;
pub(crate) mod routes;
pub(crate) mod server_url;
pub(crate) mod state;
pub(crate) mod token;
pub(crate) mod upstreams;

use std::{path::PathBuf, rc::Rc, time::Duration};

use policies::{Problem, yaml::Place};

use crate::{
    file::{
        names::FilePath,
        units::{Size, Span, spell},
    },
    files::{Content, Files},
    shape::{Fault, Field, Notes},
};

/// What every section needs: where to note problems, and the files.
pub(crate) struct Check<'a, 'n> {
    pub(crate) notes: &'a Notes<'n>,
    pub(crate) files: &'a Files,
}

/// How a file is read.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A text that belongs to the configuration, which anybody may read.
    Text,
    /// Anybody may read it, and it is opened again by its path.
    Live,
    /// It holds a secret.
    Private,
}

impl Check<'_, '_> {
    /// Notes an error.
    pub(crate) fn refuse(&self, at: Place, code: &'static str, fault: Fault) {
        self.notes.note(at, code, fault);
    }

    /// Notes a warning.
    pub(crate) fn warn(&self, at: Place, code: &'static str, fault: Fault) {
        let mut problem = Problem::warning(at, code, fault.message).in_file(&self.notes.file);
        problem.hint = fault.hint;
        self.notes.push(problem);
    }

    /// The value of a field that has to be there; `owner` is where it is missed, `example` what could stand there.
    pub(crate) fn need<'f, T>(
        &self,
        field: &'f Field<T>,
        owner: Place,
        name: &str,
        example: &str,
    ) -> Option<(&'f T, Place)> {
        if field.is_absent() {
            self.refuse(
                owner,
                "missing_field",
                Fault::new(format!("`{name}` is missing here")).hint(format!("write {name}: {example}")),
            );
        }
        field.good()
    }

    /// A duration between two bounds.
    pub(crate) fn span(
        &self,
        field: &Field<Span>,
        name: &str,
        bounds: (Duration, Duration),
        default: Duration,
    ) -> Duration {
        let Some((Span(value), at)) = field.good() else { return default };
        if *value < bounds.0 || *value > bounds.1 {
            self.refuse(
                at,
                "out_of_bounds",
                Fault::new(format!("`{name}` is {}, outside its bounds", spell(*value))).hint(format!(
                    "{} to {}; the default is {}",
                    spell(bounds.0),
                    spell(bounds.1),
                    spell(default)
                )),
            );
            return default;
        }
        *value
    }

    /// A whole number between two bounds.
    pub(crate) fn count(&self, field: &Field<u64>, name: &str, bounds: (u32, u32), default: u32) -> u32 {
        let Some((value, at)) = field.good() else { return default };
        match u32::try_from(*value) {
            Ok(value) if value >= bounds.0 && value <= bounds.1 => value,
            _ => {
                let fault = Fault::new(format!("`{name}` is {value}, outside its bounds"));
                let zero = if *value == 0 { "0 is not \"unlimited\": " } else { "" };
                self.refuse(
                    at,
                    "out_of_bounds",
                    fault.hint(format!("{zero}{} to {}; the default is {default}", bounds.0, bounds.1)),
                );
                default
            }
        }
    }

    /// A size between two bounds.
    pub(crate) fn size(&self, field: &Field<Size>, name: &str, bounds: (u64, u64)) -> Option<u64> {
        let (Size(value), at) = field.good()?;
        if *value < bounds.0 || *value > bounds.1 {
            let fault = Fault::new(format!("`{name}` is {value} bytes, outside its bounds"));
            self.refuse(at, "out_of_bounds", fault.hint(format!("{} to {} bytes", bounds.0, bounds.1)));
            return None;
        }
        Some(*value)
    }

    /// `true` or `false`, or the default.
    pub(crate) fn flag(&self, field: &Field<bool>, default: bool) -> bool {
        field.value.unwrap_or(default)
    }

    /// The file of a field, read; nothing when the field is absent or wrong, or the file can't be read.
    pub(crate) fn file(
        &self,
        field: &Field<FilePath>,
        kind: Kind,
        max: usize,
    ) -> Option<(PathBuf, Rc<Content>, Place)> {
        let (FilePath(path), at) = field.good()?;
        let path = self.files.resolve(path);
        let read = match kind {
            Kind::Text => self.files.read(&path, max),
            Kind::Live => self.files.read_live(&path, max),
            Kind::Private => self.files.read_private(&path, max),
        };
        match read {
            Ok(content) => Some((path, content, at)),
            Err(fault) => {
                let fault = if fault.hint.is_some() {
                    fault
                } else {
                    fault.hint("mend the file, who may read it, or its path, which is relative to this file")
                };
                self.refuse(at, "unreadable_file", fault);
                None
            }
        }
    }

    /// The file of a bearer token: one line of 32 to 512 printable characters, private.
    pub(crate) fn token_file(&self, field: &Field<FilePath>) -> Option<PathBuf> {
        let (path, content, at) = self.file(field, Kind::Private, 4096)?;
        let good = |line: &str| (32..=512).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_graphic());
        if content.line().is_some_and(good) {
            return Some(path);
        }
        self.refuse(
            at,
            "bad_token_file",
            Fault::new(format!("`{}` does not hold one token", path.display()))
                .hint(format!("one line of 32 to 512 printable characters: openssl rand -hex 32 > {}", path.display())),
        );
        None
    }
}

/// Seconds, for bounds.
pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Milliseconds, for bounds.
pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
