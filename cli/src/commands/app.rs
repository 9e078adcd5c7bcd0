//! `assay app`: the builds that are vouched for.
//!
//! In: a build's file. Out: its measurement in the registry of the service's state folder; a running service takes it
//! over within a second. Nothing is written when any part of the request is wrong.

use crate::args::{App, AppRegister, AppRetire, ConfigArg};
use crate::commands::config;
use crate::output::{End, Output, Stop};
use attest_core::measurement::{Measurement, measure_file};
use attest_core::reference::Platform;
use attest_core::time::{Clock, SystemClock};
use attest_service::{Registered, Registry, RegistryError, registry::live_build};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use settings::{Attestation, Settings};
use std::io::Read;
use std::path::Path;

/// The largest file that is measured: what app stores take, and then some.
const MOST_BYTES: u64 = 4 << 30;

/// Files from this size on show a progress bar.
const LARGE: u64 = 32 << 20;

/// Runs one of the `app` commands.
pub(crate) fn run(command: &App, output: Output) -> Result<End, Stop> {
    match command {
        App::Register(args) => register(args, output),
        App::List(config) => list(config, output),
        App::Retire(args) => retire(args, output),
    }
}

fn register(args: &AppRegister, output: Output) -> Result<End, Stop> {
    let settings = config::load(&args.config)?;
    let platform: Platform =
        args.platform.parse().map_err(|e| Stop::usage(format!("--platform {}: {e}", args.platform)))?;
    let known = attestation(&settings)?.apps.get(&args.name).ok_or_else(|| {
        Stop::no(format!("{} has no app {:?} under attestation.apps", settings.path.display(), args.name))
            .hint(format!("add apps: {{ {}: {{ {platform}: {{ require: [measurement] }} }} }}", args.name))
    })?;
    if !known.platforms.contains_key(&platform) {
        return Err(Stop::no(format!(
            "the app {:?} has no platform {platform} in {}",
            args.name,
            settings.path.display()
        )));
    }
    let measurement = measure(&args.file)?;
    let build = live_build(&args.name, &args.build_version, platform, &args.label, Some(measurement));
    let registered = open(&settings)?.register_build(&build, SystemClock.now()).map_err(|e| refused(&e))?;
    let news = match registered {
        Registered::Added => "registered",
        Registered::Unchanged => "registered already, with the same measurement",
        Registered::Restored => "live again",
    };
    let answer = json!({
        "app": args.name, "version": args.build_version, "platform": platform.as_str(), "label": args.label,
        "measurement": measurement.to_text(), "outcome": news,
    });
    output.answer(&answer, || {
        format!("{} {} for {platform}: {news}\n  {}", args.name, args.build_version, measurement.to_text())
    });
    Ok(End::Yes)
}

fn list(config: &ConfigArg, output: Output) -> Result<End, Stop> {
    let settings = config::load(config)?;
    let apps = &attestation(&settings)?.apps;
    let builds = open(&settings)?.builds().map_err(|e| refused(&e))?;
    let rows: Vec<_> = builds
        .iter()
        .map(|b| {
            json!({
                "app": b.app, "version": b.version, "platform": b.platform.as_str(), "label": b.label,
                "state": if b.retired { "retired" } else { "live" },
                "measurement": b.measurement.as_ref().map(|m| m.to_text()),
                "configured": apps.contains_key(&b.app),
            })
        })
        .collect();
    output.answer(&json!({ "builds": rows }), || {
        if builds.is_empty() {
            return "no build is registered: assay app register FILE --name APP --version V".to_owned();
        }
        let line = |b: &attest_core::reference::Build| {
            let state = if b.retired { "retired" } else { "live" };
            let stray = if apps.contains_key(&b.app) { "" } else { "  (not in the configuration)" };
            let measured = b.measurement.as_ref().map(|m| m.to_text()).unwrap_or_default();
            format!("{:<8} {} {} {} {}  {measured}{stray}", state, b.app, b.version, b.platform, b.label)
        };
        builds.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(End::Yes)
}

fn retire(args: &AppRetire, output: Output) -> Result<End, Stop> {
    let settings = config::load(&args.config)?;
    attestation(&settings)?;
    let count =
        open(&settings)?.retire(&args.name, &args.build_version, None, SystemClock.now()).map_err(|e| refused(&e))?;
    output.answer(&json!({ "app": args.name, "version": args.build_version, "retired": count }), || {
        format!("{} {}: {count} {} retired", args.name, args.build_version, if count == 1 { "build" } else { "builds" })
    });
    Ok(End::Yes)
}

/// Reads and measures the file; a large one with a progress bar on a terminal.
fn measure(path: &Path) -> Result<Measurement, Stop> {
    let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", path.display()));
    // Asked before it is opened: opening a pipe would wait for its writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(Stop::usage(format!("{} is not a file", path.display())));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if meta.len() > MOST_BYTES {
        return Err(Stop::no(format!(
            "{} has {} bytes; at most {MOST_BYTES} are measured",
            path.display(),
            meta.len()
        )));
    }
    let bar = if meta.len() >= LARGE { ProgressBar::new(meta.len()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar.set_message("reading");
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    bar.wrap_read(file).take(MOST_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    bar.finish_and_clear();
    measure_file(&bytes).map_err(|e| {
        Stop::no(format!("{} can't be measured: {e}", path.display()))
            .hint("register the build's 64-bit ELF executable, not an archive or a script")
    })
}

fn attestation(settings: &Settings) -> Result<&Attestation, Stop> {
    settings.attestation.as_ref().filter(|a| matches!(a.source, settings::AttestationSource::Serve(_))).ok_or_else(
        || {
            Stop::no(format!("{} does not serve attestation", settings.path.display()))
                .hint("builds are registered where the service runs")
        },
    )
}

fn open(settings: &Settings) -> Result<Registry, Stop> {
    Registry::open(&settings.state.dir).map_err(|e| refused(&e))
}

fn refused(error: &RegistryError) -> Stop {
    match error {
        RegistryError::Store(_) => Stop::unknown(error.to_string()),
        _ => Stop::no(error.to_string()),
    }
}
