//! `log:` checked.

use std::path::Path;

use attest_core::target::Scheme;
use policies::yaml::Place;

use super::Check;
use crate::{
    file::{
        AccessWord, LevelWord, RawLog, RawRecord, RawTraces,
        names::{FilePath, Name},
        network::{Url, UrlParts},
        units::Percent,
    },
    model::{AccessLog, LogLevel, LogSettings, RecordSettings, TracesSettings},
    shape::Fault,
};

impl Check<'_, '_> {
    /// `state`: the folder that is made at start, where it is known.
    pub(crate) fn log(&self, raw: &RawLog, state: Option<&Path>) -> LogSettings {
        let default = LogSettings::default();
        LogSettings {
            access: raw.access.value.map_or(default.access, |word| match word {
                AccessWord::Stdout => AccessLog::Stdout,
                AccessWord::Stderr => AccessLog::Stderr,
                AccessWord::Disabled => AccessLog::Disabled,
            }),
            level: raw.level.value.map_or(default.level, |word| match word {
                LevelWord::Error => LogLevel::Error,
                LevelWord::Warn => LogLevel::Warn,
                LevelWord::Info => LogLevel::Info,
            }),
            traces: raw.traces.good().and_then(|(traces, at)| self.traces(traces, at)),
            record: raw.record.good().and_then(|(record, at)| self.record(record, at, state)),
        }
    }

    fn record(&self, raw: &RawRecord, owner: Place, state: Option<&Path>) -> Option<RecordSettings> {
        let share = raw.share.good().map_or(ONE_PERCENT, |(Percent(millionths), _)| *millionths);
        let max_size = if raw.max_size.is_absent() {
            Some(100 << 20)
        } else {
            self.size(&raw.max_size, "max_size", (1 << 20, 10 << 30))
        };
        let (FilePath(path), at) = self.need(&raw.file, owner, "file", "state/decisions.ndjson")?;
        let file = self.files.resolve(path);
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if file.is_dir() || !folder.is_none_or(|folder| folder.is_dir() || Some(folder) == state) {
            let fault =
                Fault::new(format!("`{}` can't be written: its folder is not there, or it is one", file.display()));
            self.refuse(
                at,
                "no_folder",
                fault.hint("make the folder, or write the path of a file in one that is there"),
            );
            return None;
        }
        Some(RecordSettings { file, share, max_size: max_size? })
    }

    /// Records that would be written into a file of the configuration.
    pub(crate) fn refuse_recording_over_sources(&self, raw: &RawLog, log: &LogSettings) {
        let place = raw.record.value.as_ref().and_then(|record| record.file.at);
        if let (Some(record), Some(at)) = (&log.record, place)
            && self.files.sources().contains(&record.file)
        {
            let fault = Fault::new(format!("`{}` is part of this configuration", record.file.display()));
            self.refuse(at, "record_over_source", fault.hint("write records to a file of their own"));
        }
    }

    fn traces(&self, raw: &RawTraces, owner: Place) -> Option<TracesSettings> {
        let (Url(url), at) = self.need(&raw.otlp, owner, "otlp", "https://collector.example.com:4318")?;
        if url.scheme == Scheme::Http && !url.is_loopback() {
            let fault = Fault::new("traces say who calls what, and when: not over plaintext to another machine");
            let hint = "write https://, or http://127.0.0.1:4318 with a collector on this machine that passes them on";
            self.refuse(at, "plaintext_traces", fault.hint(hint));
            return None;
        }
        if url.path.ends_with(TRACES) {
            let base = url.path.strip_suffix(TRACES).unwrap_or_default();
            let fault = Fault::new(format!("`{TRACES}` is added to this URL"));
            self.refuse(at, "whole_traces_url", fault.hint(format!("write the base: {}{base}", origin(url))));
            return None;
        }
        Some(TracesSettings {
            endpoint: format!("{}{}{TRACES}", origin(url), url.path),
            sample: raw.sample.good().map_or(ONE_PERCENT, |(Percent(millionths), _)| *millionths),
            service_name: raw.service_name.good().map_or("assay-gateway", |(Name(name), _)| name).to_owned(),
        })
    }
}

/// Where a collector takes traces, below its base URL: OTLP specification, "OTLP/HTTP Request".
const TRACES: &str = "/v1/traces";
const ONE_PERCENT: u32 = 10_000;

fn origin(url: &UrlParts) -> String {
    let port = if url.port == url.scheme.default_port() { String::new() } else { format!(":{}", url.port) };
    format!("{}://{}{port}", url.scheme, url.host)
}
