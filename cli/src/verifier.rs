//! The Verifier's state, for every command that asks or changes it: opened here, or through a running service's admin API.
//!
//! In: a configuration, or a URL and the file of a token. Out: typed answers, the same either way: on this machine the
//! operations of the admin API run on the database itself, as whoever may read the unlock key. What is proven: a token
//! comes from a private file, never from an argument.

use std::{path::Path, sync::Arc};

use attest_admin::{
    Client, ClientError, Code, Desk, Expected, Known, Problem, Version,
    types::{
        AdminToken, App, AuditEntry, AuditReport, AuditVerify, Build, BuildQuery, Checkpoint, CreatedToken, Device,
        DeviceQuery, Enrol, Gateway, GivenOrder, KeySet, Lift, Mark, NewBuild, NewOrder, NewRevocation, NewTestToken,
        NewToken, Order, OrderQuery, Page, PageQuery, Reason, Registered, Retire, Retired, Revocation, Rotate,
        Rotation, TestToken,
    },
};
use attest_core::{
    random::SystemRandom,
    time::{Clock, SystemClock},
};
use attest_store::{Actor, Database, OpenError, Opening, Store};
use keystore::MasterKey;
use settings::{Attestation, AttestationSource, ServeSettings, Settings};
use zeroize::Zeroizing;

use crate::args::AdminArg;
use crate::commands::config;
use crate::output::{Stop, note};

/// Where the state is.
pub(crate) enum Verifier {
    /// Opened here.
    Local(Box<Desk>),
    /// Asked of a service.
    Remote(Client),
}

/// Why an operation was not done.
pub(crate) type Failure = ClientError;

/// Runs one operation where the state is.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident as $role:ident ($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Verifier {
            $($(#[$doc])*
            pub(crate) async fn $name(&self, $($argument: $kind),*) -> Result<$answer, Failure> {
                match self {
                    Self::Local(desk) => Ok(tokio::task::block_in_place(|| desk.$role()?.$name($($argument),*))?),
                    Self::Remote(client) => client.$name($($argument),*).await,
                }
            })*
        }
    };
}

operations! {
    /// The apps.
    apps as viewer () -> Page<App>;
    /// The builds.
    builds as viewer (query: &BuildQuery) -> Page<Build>;
    /// Vouches for a build.
    register as operator (build: &NewBuild) -> Registered;
    /// Retires a version.
    retire as operator (app: &str, retire: &Retire) -> Retired;
    /// The devices.
    devices as viewer (query: &DeviceQuery) -> Page<Device>;
    /// One device.
    device as viewer (id: &str) -> (Device, Version);
    /// Decides of a device.
    mark as operator (id: &str, mark: &Mark, expected: Expected) -> (Device, Version);
    /// Enrols a debug device.
    enrol as operator (id: &str, enrol: &Enrol, expected: Expected) -> (Device, Version);
    /// Ends an enrolment.
    end_enrolment as operator (id: &str, why: &Reason, expected: Expected) -> (Device, Version);
    /// Forgets a device.
    forget as operator (id: &str, expected: Expected) -> ();
    /// The key sets.
    key_sets as viewer () -> Page<KeySet>;
    /// Lets the next key take over.
    rotate as admin (name: &str, rotate: &Rotate) -> Rotation;
    /// Retires a key at once.
    retire_key as admin (name: &str, kid: &str) -> Rotation;
    /// The revocations.
    revocations as viewer (query: &PageQuery) -> Page<Revocation>;
    /// Revokes.
    revoke as admin (revocation: &NewRevocation) -> ();
    /// Takes a revocation back.
    lift as admin (lift: &Lift) -> ();
    /// The orders to gateways.
    orders as viewer (query: &OrderQuery) -> Page<Order>;
    /// One of them.
    order as viewer (number: &str) -> (Order, Version);
    /// Gives one.
    give_order as operator (order: &NewOrder) -> (GivenOrder, Version);
    /// Ends one before its time.
    end_order as operator (number: &str, why: &Reason, expected: Expected) -> (Order, Version);
    /// The gateways.
    gateways as viewer (query: &PageQuery) -> Page<Gateway>;
    /// The tokens of the admin API.
    tokens as admin () -> Page<AdminToken>;
    /// Makes one.
    create_token as admin (token: &NewToken) -> CreatedToken;
    /// Revokes one.
    revoke_token as admin (name: &str) -> ();
    /// Issues a test token.
    test_token as operator (token: &NewTestToken) -> TestToken;
    /// The audit log.
    audit as admin (query: &PageQuery) -> Page<AuditEntry>;
    /// Verifies it.
    verify_audit as admin (verify: &AuditVerify) -> AuditReport;
    /// A checkpoint of it.
    checkpoint as admin () -> Checkpoint;
}

impl Verifier {
    /// Finds the state: a URL is asked, else the configured database is opened, and made on first use.
    pub(crate) fn open(args: &AdminArg) -> Result<Self, Stop> {
        match &args.remote {
            Some(url) => remote(url, args).map(Self::Remote),
            None => {
                let settings = config::load_running(&args.config)?;
                Ok(Self::Local(Box::new(desk(&settings, local_store(&settings)?)?)))
            }
        }
    }

    /// Which state of a device an edit means to change: the one that is there now.
    pub(crate) async fn expected(&self, id: &str) -> Result<Expected, Failure> {
        match self.device(id).await {
            Ok((_, version)) => Ok(Expected::Exactly(version)),
            Err(ClientError::Refused(problem)) if problem.code == Code::NotFound => Ok(Expected::Absent),
            Err(other) => Err(other),
        }
    }

    /// The one key set there is.
    pub(crate) async fn key_set(&self) -> Result<KeySet, Stop> {
        let sets = self.key_sets().await.map_err(stop)?;
        sets.items.into_iter().next().ok_or_else(|| Stop::unknown("the service has no key set"))
    }
}

/// Every page of a list, each asked for with the cursor of the one before.
pub(crate) async fn all<T>(page: impl AsyncFn(Option<String>) -> Result<Page<T>, Failure>) -> Result<Vec<T>, Failure> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = page(after).await?;
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

fn remote(url: &str, args: &AdminArg) -> Result<Client, Stop> {
    let file = args.token_file.as_ref().ok_or_else(|| {
        Stop::usage("--remote needs the file of an admin token")
            .hint("name it with --token-file FILE or ASSAY_ADMIN_TOKEN_FILE; `assay admin token create` makes one")
    })?;
    let token = private(file)?;
    let roots = args.ca_file.as_ref().map(|path| read(path)).transpose()?;
    note(&format!("asking {url}"));
    Client::new(url, &token, roots.as_deref().map(Vec::as_slice)).map_err(|error| match error {
        ClientError::Roots => Stop::usage(format!("--ca-file: {error}")),
        ClientError::Token => Stop::usage(format!("{}: {error}", file.display())),
        other => Stop::usage(other.to_string()),
    })
}

/// The text of a private file: one that others can read is no secret.
fn private(path: &Path) -> Result<Zeroizing<String>, Stop> {
    use std::os::unix::fs::PermissionsExt as _;
    let unreadable = |e: std::io::Error| Stop::usage(format!("{}: {e}", path.display()));
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(Stop::usage(format!("{} can be read by anybody (mode {:o})", path.display(), mode & 0o777))
            .hint(format!("chmod 600 {}", path.display())));
    }
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Stop::usage(format!("{}: no text", path.display())))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Stop> {
    std::fs::read(path).map(Zeroizing::new).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))
}

/// The service's part of a configuration that serves.
pub(crate) fn serving(settings: &Settings) -> Result<(&Attestation, &ServeSettings), Stop> {
    let attestation = settings.attestation.as_ref();
    let serving = attestation.and_then(|attestation| match &attestation.source {
        AttestationSource::Serve(serve) => Some((attestation, serve)),
        AttestationSource::Remote(_) => None,
    });
    serving.ok_or_else(|| {
        Stop::no(format!("{} does not serve attestation", settings.path.display()))
            .hint("name the service's own configuration with -c, or ask it from afar: --remote URL --token-file FILE")
    })
}

/// The state of the configured service; made on first use.
fn local_store(settings: &Settings) -> Result<Store, Stop> {
    Store::open(opening(settings)?).map_err(|e| cannot_open(&e))
}

/// The state of the configured service, if it was ever started; nothing is made.
pub(crate) fn stored(settings: &Settings) -> Result<Store, Stop> {
    let found = Store::find(opening(settings)?).map_err(|e| cannot_open(&e))?;
    found.ok_or_else(|| {
        Stop::unknown(format!("{} holds no keys of a service", settings.state.dir.display()))
            .hint("start it once, or name the right configuration")
    })
}

fn opening(settings: &Settings) -> Result<Opening<'_>, Stop> {
    let (attestation, serve) = serving(settings)?;
    let master =
        MasterKey::from_file(&serve.unlock).map_err(|e| Stop::unknown(format!("attestation.serve.unlock: {e}")))?;
    Ok(Opening {
        database: Database::of(&settings.state).map_err(|e| Stop::unknown(format!("state: {e}")))?,
        master,
        master_path: serve.unlock.clone(),
        token: &attestation.token,
        keys_stale: serve.keys_stale,
        random: Arc::new(SystemRandom),
        clock: Arc::new(SystemClock),
        writer: writer(),
    })
}

fn desk(settings: &Settings, store: Store) -> Result<Desk, Stop> {
    let (attestation, serve) = serving(settings)?;
    let actor = Actor::local(&format!("uid-{}", rustix::process::getuid().as_raw()));
    Ok(Desk::new(store, Arc::new(Known::of(attestation, serve)), actor, SystemClock.now()))
}

/// The audit chain of this machine's command line.
fn writer() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    format!("cli@{}", host.chars().map(plain).take(56).collect::<String>())
}

fn cannot_open(error: &OpenError) -> Stop {
    Stop::unknown(error.to_string())
}

/// A failure as a command ends with it: what was refused is 1, what was not understood 2, what could not be asked 3.
pub(crate) fn stop(failure: Failure) -> Stop {
    match failure {
        ClientError::Refused(problem) => refused(&problem),
        ClientError::Away { ref why, .. } => {
            let private = why.contains("certificate");
            let stop = Stop::unknown(failure.to_string());
            if private { stop.hint("--ca-file FILE names the roots of a private authority") } else { stop }
        }
        other => Stop::usage(other.to_string()),
    }
}

fn refused(problem: &Problem) -> Stop {
    let said = problem.to_string();
    match problem.code {
        Code::Invalid if problem.field.as_deref() == Some("until") => Stop::usage(said).hint("--for says when it ends"),
        Code::Invalid => Stop::usage(said),
        Code::Unauthorised => {
            Stop::no("the service does not take this token").hint("is it this service's, and neither over nor revoked?")
        }
        Code::PreconditionFailed => {
            Stop::no("somebody else has changed it meanwhile").hint("look again, then decide again")
        }
        // Another API's problem, or a newer one's.
        Code::Other => Stop::unknown(said).hint("is this the address of attestation.serve.admin, and not a gateway's?"),
        Code::RateLimited => {
            let stop = Stop::unknown(said);
            match problem.retry_after {
                Some(seconds) => stop.hint(format!("this address may try again in {seconds} s")),
                None => stop,
            }
        }
        Code::Unavailable | Code::Internal | Code::TooSlow => Stop::unknown(said),
        _ => Stop::no(said),
    }
}
