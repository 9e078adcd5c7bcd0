//! `assay app`: the builds that are vouched for.
//!
//! In: a build's file. Out: its measurement in the registry; a running service takes it over within a second. Nothing is
//! written when any part of the request is wrong: the configuration's package and signers are held against the file's.

use crate::args::{App, AppList, AppRegister, AppRetire, AppShow};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Failure, Verifier, all, stop};
use crate::words::{columns, moment, more};
use app_files::{AppFile, AppFileError, FileBuild, Kind, Options};
use attest_admin::types::{self, Build, BuildOutcome, BuildQuery, BuildState, NewBuild, Package, Registered, Retire};
use attest_core::reference::Platform;
use attest_core::time::{Clock, SystemClock, UnixTime};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Files from this size on show a progress bar.
const LARGE: u64 = 32 << 20;

/// Runs one of the `app` commands.
pub(crate) async fn run(command: &App, output: Output) -> Result<End, Stop> {
    match command {
        App::Register(args) => register(args, output).await,
        App::List(args) => list(args, output).await,
        App::Show(args) => show(args, output).await,
        App::Retire(args) => retire(args, output).await,
    }
}

async fn register(args: &AppRegister, output: Output) -> Result<End, Stop> {
    // The state first: a large file is not read for a question that has no answer.
    let verifier = Verifier::open(&args.admin)?;
    let file = tokio::task::block_in_place(|| read(args))?;
    for said in &file.notes {
        note(&format!("note: {said}"));
    }
    let builds = new_builds(args, &file)?;
    let mut registered = Vec::new();
    for build in &builds {
        registered.push(verifier.register(build).await.map_err(|failure| unregistered(failure, build, &registered))?);
    }
    output.answer(&answer(&registered), || {
        let told = registered.iter().map(told).collect::<Vec<_>>().join("\n");
        // Who starts the app in the same script would see it fail.
        let is_new = registered.iter().any(|one| one.outcome == BuildOutcome::Added);
        if is_new { format!("{told}\na running service vouches for it within a second") } else { told }
    });
    Ok(End::Yes)
}

/// Reads and measures the file; a large one with a progress bar on a terminal.
fn read(args: &AppRegister) -> Result<AppFile, Stop> {
    let bar = ProgressBar::hidden();
    if let Ok(style) = ProgressStyle::with_template("measuring [{bar:40}] {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    let progress = |done, total| {
        if total < LARGE {
            return;
        }
        if bar.is_hidden() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.set_length(total);
        bar.set_position(done);
    };
    let options = Options { libraries: args.libraries.clone(), progress: &progress };
    let file = app_files::read(&args.file, &options);
    bar.finish_and_clear();
    file.map_err(|error| match error {
        AppFileError::Read { .. } => Stop::usage(error.to_string()),
        other => Stop::no(format!("{}: {other}", args.file.display())),
    })
}

/// One build for each image in the file that runs on its own.
fn new_builds(args: &AppRegister, file: &AppFile) -> Result<Vec<NewBuild>, Stop> {
    let platform = platform(args, file)?;
    let version = args.build_version.clone().or_else(|| file.version.clone());
    let version = version.ok_or_else(|| Stop::usage("the file names no version").hint("name it: --version V"))?;
    if args.label.is_some() && file.builds.len() > 1 {
        return Err(Stop::usage("--label: this file holds several builds, and each has its ABI as its label"));
    }
    let package = Package {
        id: file.package.id.clone(),
        team: file.package.team.clone(),
        signers: file
            .package
            .signers
            .iter()
            .map(|hash| format!("sha256:{}", data_encoding::HEXLOWER.encode(hash)))
            .collect(),
    };
    let build = |build: &FileBuild| NewBuild {
        app: args.name.clone(),
        platform: platform.as_str().to_owned(),
        version: version.clone(),
        label: args.label.clone().unwrap_or_else(|| build.label.clone()),
        measurement: build.measurement.map(|measurement| measurement.to_text()),
        package: package.clone(),
        libraries: build.libraries.clone(),
    };
    Ok(file.builds.iter().map(build).collect())
}

/// An archive says its platform; a program may be for Linux or, run from a shell, for Android.
fn platform(args: &AppRegister, file: &AppFile) -> Result<Platform, Stop> {
    let Some(named) = &args.platform else { return Ok(file.platform) };
    let named: Platform = named.parse().map_err(|e| Stop::usage(format!("--platform {named}: {e}")))?;
    let fits = named == file.platform || (file.kind == Kind::Elf && named == Platform::Android);
    fits.then_some(named).ok_or_else(|| Stop::usage(format!("--platform {named}: the file is for {}", file.platform)))
}

/// What was registered before the one that was not stays; a second try finds it unchanged.
fn unregistered(failure: Failure, build: &NewBuild, before: &[Registered]) -> Stop {
    for registered in before {
        note(&told(registered));
    }
    let field = match &failure {
        Failure::Refused(problem) => problem.field.clone(),
        _ => None,
    };
    match field.as_deref() {
        Some("app") => stop(failure).hint(format!(
            "name it under attestation.apps: apps: {{ {}: {{ {}: {} }} }}",
            build.app,
            build.platform,
            asked_of(build)
        )),
        Some("package.id" | "package.signers") => {
            stop(failure).hint("somebody else's build, or the configuration names the wrong one: see attestation.apps")
        }
        _ => stop(failure),
    }
}

/// What the configuration may ask of an app on this build's platform, to begin with.
fn asked_of(build: &NewBuild) -> String {
    let id = build.package.id.as_deref().unwrap_or_default();
    match (build.platform.as_str(), build.package.team.as_deref()) {
        ("ios", team) => format!("{{ id: {}.{id} }}", team.unwrap_or("TEAM")),
        ("android", _) if !id.is_empty() => format!("{{ id: {id}, require: [measurement] }}"),
        _ => "{ require: [measurement] }".to_owned(),
    }
}

/// One build as itself; the builds of an archive as the list of them beside the first.
fn answer(registered: &[Registered]) -> Value {
    let one = |registered: &Registered| {
        let mut build = json!(registered.build);
        if let Some(members) = build.as_object_mut() {
            members.insert("outcome".into(), news(registered.outcome).into());
        }
        build
    };
    let builds: Vec<_> = registered.iter().map(one).collect();
    let mut first = builds.first().cloned().unwrap_or_default();
    if let Some(members) = first.as_object_mut() {
        members.insert("builds".into(), builds.into());
    }
    first
}

const fn news(outcome: BuildOutcome) -> &'static str {
    match outcome {
        BuildOutcome::Added => "registered",
        BuildOutcome::Unchanged => "registered already, with the same measurement",
        BuildOutcome::Restored => "live again",
    }
}

fn told(registered: &Registered) -> String {
    let Build { app, version, platform, label, measurement, libraries, number, .. } = &registered.build;
    let news = news(registered.outcome);
    let label = if label.is_empty() { String::new() } else { format!(" {label}") };
    let mut text = format!("{app} {version} for {platform}{label}: {news} (build {number})");
    text.push_str(&measurement.as_ref().map(|m| format!("\n  {m}")).unwrap_or_default());
    if !libraries.is_empty() {
        text.push_str(&format!("\n  with {}: the app's SDK has to be told the same names", libraries.join(", ")));
    }
    text
}

async fn list(args: &AppList, output: Output) -> Result<End, Stop> {
    let query = BuildQuery {
        app: args.name.clone(),
        state: args.live.then_some(BuildState::Live),
        limit: Some(args.page.limit),
        after: args.page.after.clone(),
    };
    let page = Verifier::open(&args.admin)?.builds(&query).await.map_err(stop)?;
    let now = SystemClock.now();
    let answer = json!({ "builds": page.items, "next": page.next });
    output.answer(&answer, || {
        if page.items.is_empty() {
            return "no build is registered: assay app register FILE --name APP --version V".to_owned();
        }
        format!("{}{}", table(&page.items, now), more(page.next.as_deref()))
    });
    Ok(End::Yes)
}

async fn show(args: &AppShow, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let apps = verifier.apps().await.map_err(stop)?;
    let app = apps.items.into_iter().find(|app| app.name == args.name);
    let app = app.ok_or_else(|| Stop::no(format!("there is no app {:?}, configured or registered", args.name)))?;
    let query = |after| BuildQuery {
        app: Some(app.name.clone()),
        after,
        limit: Some(types::MAX_LIMIT),
        ..BuildQuery::default()
    };
    let builds = all(async |after| verifier.builds(&query(after)).await).await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&json!({ "app": app, "builds": builds }), || {
        let configured = if app.configured {
            format!("for {}", app.platforms.join(", "))
        } else {
            "not in the configuration".to_owned()
        };
        let head = format!("{}: {configured}; {} live, {} retired", app.name, app.live, app.retired);
        if builds.is_empty() { head } else { format!("{head}\n{}", table(&builds, now)) }
    });
    Ok(End::Yes)
}

fn table(builds: &[Build], now: UnixTime) -> String {
    let row = |build: &Build| {
        let state = match build.state {
            BuildState::Live => "live",
            BuildState::Retired => "retired",
        };
        let label = if build.label.is_empty() { "-" } else { &build.label };
        [
            state.to_owned(),
            if build.configured { build.app.clone() } else { format!("{} (not in the configuration)", build.app) },
            build.version.clone(),
            build.platform.clone(),
            label.to_owned(),
            moment(build.registered, now),
            build.measurement.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<_> = builds.iter().map(row).collect();
    columns(["STATE", "APP", "VERSION", "PLATFORM", "LABEL", "REGISTERED", "MEASUREMENT"], &rows)
}

async fn retire(args: &AppRetire, output: Output) -> Result<End, Stop> {
    let retire = Retire { version: args.build_version.clone(), label: args.label.clone() };
    let retired = Verifier::open(&args.admin)?.retire(&args.name, &retire).await.map_err(stop)?;
    output.answer(&retired, || {
        format!(
            "{} {}: {} {} retired; gateways refuse its tokens within seconds",
            retired.app,
            retired.version,
            retired.retired,
            if retired.retired == 1 { "build" } else { "builds" }
        )
    });
    Ok(End::Yes)
}
