//! Where a policy comes from: a file that stands alone, or a route of the configuration.
//!
//! In: the command line. Out: a compiled policy and what is known about its route. What a policy includes is read from beside it.

use crate::args::ConfigArg;
use crate::commands::config;
use crate::commands::problems::Found;
use crate::output::Stop;
use attest_core::time::{Clock, SystemClock};
use policies::{FailSafe, Includes, ResultPolicy, RouteContext, Severity};
use settings::{CannotVerify, RouteSettings, Settings};
use std::path::{Path, PathBuf};

/// A compiled policy.
pub(super) struct Source {
    pub(super) policy: ResultPolicy,
    pub(super) injects: bool,
    pub(super) fail_safe: FailSafe,
}

/// Files beside another one.
pub(super) struct Beside(PathBuf);

impl Beside {
    pub(super) fn of(file: &Path) -> Self {
        Self(file.parent().map_or_else(PathBuf::new, Path::to_path_buf))
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Includes for Beside {
    fn read(&self, path: &str) -> Result<(String, String), String> {
        let path = self.path(path);
        let shown = path.display().to_string();
        // As the gateway's loader: a pipe, which would keep a check waiting for its writer, is no file.
        match std::fs::metadata(&path) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Err(format!("{shown}: it is not a file")),
            Err(why) => return Err(format!("{shown}: {why}")),
        }
        let text = read_bounded(&path, policies::lists::MAX_BYTES).map_err(|why| format!("{shown}: {why}"))?;
        Ok((shown, text))
    }
}

/// The text of a file that a person names; a pipe will do.
pub(super) fn read(file: &Path) -> Result<(String, String), String> {
    let name = file.display().to_string();
    // Up to twice what a policy may hold: how long it is is told with the other problems.
    let text = read_bounded(file, 2 * policies::yaml::MAX_BYTES).map_err(|why| format!("{name}: {why}"))?;
    Ok((name, text))
}

fn read_bounded(file: &Path, most: usize) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|e| e.to_string())?;
    opened.take(most as u64 + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() > most { Err(format!("it has more than {most} bytes")) } else { Ok(text) }
}

/// A policy file that stands alone: nothing is known about lists, callers and the key; a user's token may be verified.
pub(super) fn alone<'a>(name: &'a str, injects: bool, files: &'a dyn Includes) -> RouteContext<'a> {
    RouteContext {
        injects,
        trusts_proxies: true,
        now: Some(SystemClock.now()),
        user: true,
        files,
        ..RouteContext::new(name)
    }
}

/// The route of a configuration.
pub(super) struct Route {
    settings: Settings,
    name: String,
}

impl Route {
    /// Loads the configuration and finds the route.
    pub(super) fn load(config: &ConfigArg, name: &str) -> Result<Self, Stop> {
        let settings = config::load(config)?;
        if settings.route(name).is_none() {
            let names = settings.routes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Stop::usage(format!("no route {name:?} in {}", settings.path.display()))
                .hint(format!("routes: {names}")));
        }
        Ok(Self { settings, name: name.to_owned() })
    }

    fn route(&self) -> Result<&RouteSettings, Stop> {
        self.settings.route(&self.name).ok_or_else(|| Stop::usage(format!("no route {:?}", self.name)))
    }

    /// Its policy, as the gateway has it.
    pub(super) fn source(&self) -> Result<Source, Stop> {
        let route = self.route()?;
        self.of((*route.policy).clone())
    }

    /// Another policy in its place.
    pub(super) fn of(&self, policy: ResultPolicy) -> Result<Source, Stop> {
        let route = self.route()?;
        let fail_safe = match route.our_faults.cannot_verify {
            CannotVerify::Refuse => FailSafe::Refuse,
            CannotVerify::Deprioritize => FailSafe::Deprioritize,
        };
        Ok(Source { policy, injects: route.key.is_some(), fail_safe })
    }

    /// What a policy of this route may count on.
    pub(super) fn context<'a>(&'a self, files: &'a dyn Includes) -> Result<RouteContext<'a>, Stop> {
        let route = self.route()?;
        Ok(RouteContext {
            injects: route.key.is_some(),
            danger_inject_unattested: route.danger_inject_unattested,
            trusts_proxies: self
                .settings
                .listeners
                .public
                .as_ref()
                .is_none_or(|public| !public.trusted_proxies.is_empty()),
            path: Some(&route.matcher.path),
            lists: &self.settings.lists,
            callers: &route.callers,
            user: route.user.is_some(),
            ..alone(&route.name, false, files)
        })
    }
}

/// Compiles a policy file; its errors end the command.
pub(super) fn compile(file: &Path, about: &RouteContext<'_>) -> Result<ResultPolicy, Stop> {
    let (name, text) = read(file).map_err(Stop::usage)?;
    let compiled = policies::parse_file(&name, &text).and_then(|raw| policies::compile(raw, &name, about));
    compiled.map(|(policy, _)| policy).map_err(|problems| {
        let mut found = Found::default();
        found.add(problems.into_iter().filter(|p| p.severity == Severity::Error).collect(), &name, &text);
        Stop::problems(found.rendered())
    })
}
