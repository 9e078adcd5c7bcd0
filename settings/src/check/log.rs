//! `log:` checked.

use attest_core::target::Scheme;
use policies::yaml::Place;

use super::Check;
use crate::{
    file::{
        AccessWord, LevelWord, RawLog, RawTraces,
        names::Name,
        network::{Url, UrlParts},
        units::Percent,
    },
    model::{AccessLog, LogLevel, LogSettings, TracesSettings},
    shape::Fault,
};

impl Check<'_, '_> {
    pub(crate) fn log(&self, raw: &RawLog) -> LogSettings {
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
            record: None,
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
