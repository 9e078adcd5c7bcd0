//! `log:` what is told, and where.

use std::path::PathBuf;

/// `log:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// One JSON line a request. Default stdout.
    pub access: AccessLog,
    /// Everything else. Default info; more is compiled out, because it would show injected keys.
    pub level: LogLevel,
    /// Traces of some requests. Default none.
    pub traces: Option<TracesSettings>,
    /// Redacted records of some decisions, to be replayed against another policy. Default none.
    pub record: Option<RecordSettings>,
}

/// `log.record:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// The file that records are added to, one JSON line each. Its folder is there.
    pub file: PathBuf,
    /// Share of decisions that are recorded, in millionths: 1 to 1 000 000. Default 10 000.
    pub share: u32,
    /// At this size the file becomes `<file>.1`, in place of an older one, and a new one begins: 1 MiB to 10 GiB. Default
    /// 100 MiB.
    pub max_size: u64,
}

/// `log.traces:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesSettings {
    /// The URL that traces are posted to, path and all: https, or http on loopback. It holds no credentials.
    pub endpoint: String,
    /// Share of requests that are traced, in millionths: 1 to 1 000 000. Default 10 000.
    pub sample: u32,
    /// What the gateway is called in them. Default `assay-gateway`.
    pub service_name: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { access: AccessLog::Stdout, level: LogLevel::Info, traces: None, record: None }
    }
}

/// Where access lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Disabled,
}

/// Severity of the messages that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs a person.
    Error,
    /// And what may soon.
    Warn,
    /// And what changed.
    Info,
}

impl LogLevel {
    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}
