//! What is asked of the Verifier's state: `app`, `device`, `keyset`, `revocation`, `admin`, `audit`. Each works on the
//! configured database itself, or through the admin API of a running service.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigArg;
use crate::span::Span;

/// Where the Verifier's state is: opened here, or asked of a running service.
#[derive(Debug, Args, Clone)]
pub(crate) struct AdminArg {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Ask the admin API of a running service: https://host:port, or http on loopback
    #[arg(long, env = "ASSAY_ADMIN_URL", value_name = "URL", help_heading = "Remote")]
    pub(crate) remote: Option<String>,
    /// File with the admin token (`assay admin token create` makes one)
    #[arg(long, env = "ASSAY_ADMIN_TOKEN_FILE", value_name = "FILE", help_heading = "Remote")]
    pub(crate) token_file: Option<PathBuf>,
    /// Roots for the service's certificate, PEM, instead of the system's
    #[arg(long, env = "ASSAY_ADMIN_CA_FILE", value_name = "FILE", help_heading = "Remote")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Which page of a list.
#[derive(Debug, Args, Clone)]
pub(crate) struct PageArg {
    /// How many, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) limit: u16,
    /// Go on after the page that ended with this
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// `assay app …`.
#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Measure a build's file and vouch for it
    #[command(after_help = "Examples:\n  \
        assay app register target/release/shop --name shop --version 1.4\n  \
        assay app register shop --name shop --version 1.4 --library libnet.so\n  \
        assay app register shop.apk --name shop\n\n\
        Version and package of an APK or IPA come from the file; each ABI of an APK becomes a build of its own.")]
    Register(AppRegister),
    /// Builds, and whether they are vouched for
    List(AppList),
    /// One app: what the configuration asks of it, and its builds
    Show(AppShow),
    /// Stop vouching for a version, or for one build of it
    #[command(after_help = "Example: assay app retire --name shop --version 1.2\n\n\
        The service stops passing it within a second; gateways refuse the tokens it has within seconds.")]
    Retire(AppRetire),
}

/// `assay app register`.
#[derive(Debug, Args)]
pub(crate) struct AppRegister {
    /// The build's file: a 64-bit ELF program, an APK or an IPA
    pub(crate) file: PathBuf,
    /// The app's name in the configuration
    #[arg(long)]
    pub(crate) name: String,
    /// The version, as the app will state it; without it the one that the APK or IPA names
    #[arg(long = "version", value_name = "V")]
    pub(crate) build_version: Option<String>,
    /// linux or android, for an ELF program; an APK or IPA says it itself
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// A label for this build, when one version has several; of an APK with one ABI too
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A library to measure too: NAME beside the program, or NAME=PATH; of an APK, which of its own. Repeat for several
    #[arg(long = "library", value_name = "NAME")]
    pub(crate) libraries: Vec<String>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay app list`.
#[derive(Debug, Args)]
pub(crate) struct AppList {
    /// Of this app alone
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Retired builds too
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay app show`.
#[derive(Debug, Args)]
pub(crate) struct AppShow {
    /// The app's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay app retire`.
#[derive(Debug, Args)]
pub(crate) struct AppRetire {
    /// The app's name
    #[arg(long)]
    pub(crate) name: String,
    /// The version to retire
    #[arg(long = "version", value_name = "V")]
    pub(crate) build_version: String,
    /// One build of it; without it all
    #[arg(long)]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay device …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Devices that were seen or decided of
    #[command(after_help = "Example: assay device list --state banned")]
    List(DeviceList),
    /// One device: when it was seen, what was found on it, what was decided
    Show(DeviceId),
    /// Let it pass whatever its Evidence says, for a while
    #[command(after_help = "Example: assay device pass 4sT0-mXvQyu0oKLgYyoj2A --for 7d --reason 'support case 812'")]
    Pass(DevicePass),
    /// Let it fail whatever its Evidence says
    Fail(DeviceMark),
    /// Let it fail, and have gateways refuse the tokens that it has
    #[command(after_help = "Example: assay device ban 4sT0-mXvQyu0oKLgYyoj2A --reason 'scraping, case 813'\n\n\
        Gateways refuse its tokens within seconds. The id is the `did` of its tokens, `device` in the access log.")]
    Ban(DeviceMark),
    /// Take a pass, fail, ban or enrolment back
    Clear(DeviceMark),
    /// Let a debug build, simulator or CI runner pass, marked: only routes with `allow_dev` take its tokens
    #[command(after_help = "Example: assay device enrol 4sT0-mXvQyu0oKLgYyoj2A --for 30d --reason 'Anna, simulator'")]
    Enrol(DeviceEnrol),
    /// Forget what was seen of it; a decision has to be taken back first, with `device clear`
    Forget(DeviceForget),
}

/// `assay device list`.
#[derive(Debug, Args)]
pub(crate) struct DeviceList {
    /// In this state alone
    #[arg(long, value_enum)]
    pub(crate) state: Option<DeviceStateArg>,
    /// That last attested for this app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Enrolled debug devices alone
    #[arg(long)]
    pub(crate) enrolled: bool,
    /// Seen within this time: 10m, 24h, 7d
    #[arg(long, value_name = "SPAN")]
    pub(crate) seen: Option<Span>,
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// What was decided of a device, in the words of the commands.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DeviceStateArg {
    /// nothing
    Normal,
    /// a forced pass
    Pass,
    /// a forced fail
    Fail,
    /// a ban
    Banned,
}

/// A device by id.
#[derive(Debug, Args)]
pub(crate) struct DeviceId {
    /// Its id: the `did` of its tokens, `device` in the access log
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay device pass`.
#[derive(Debug, Args)]
pub(crate) struct DevicePass {
    #[command(flatten)]
    pub(crate) device: DeviceId,
    /// For how long: 1h, 7d; at most 30d
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Span,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
}

/// `assay device fail`, `ban`, `clear`.
#[derive(Debug, Args)]
pub(crate) struct DeviceMark {
    #[command(flatten)]
    pub(crate) device: DeviceId,
    /// For how long: 1h, 7d; without it until `device clear`
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Option<Span>,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
}

/// `assay device enrol`.
#[derive(Debug, Args)]
pub(crate) struct DeviceEnrol {
    #[command(flatten)]
    pub(crate) device: DeviceId,
    /// For how long: 8h, 30d; at most 90d
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Span,
    /// Whose it is, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
}

/// `assay device forget`.
#[derive(Debug, Args)]
pub(crate) struct DeviceForget {
    #[command(flatten)]
    pub(crate) device: DeviceId,
    /// Don't ask; needed off a terminal
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `assay keyset …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeySet {
    /// The keys that tokens are signed with: which signs now, which is next
    List(AdminArg),
    /// Let the next key take over, as soon as every gateway knows it
    #[command(after_help = "Examples:\n  assay keyset rotate          nobody is locked out; says when it happens\n  \
        assay keyset rotate --now    at once, also at gateways that don't know the next key yet\n  \
        assay keyset retire KID      a key leaked: its tokens are refused from now on")]
    Rotate(KeySetRotate),
    /// Stop taking a key at once: every token that it signed is refused
    Retire(KeySetRetire),
}

/// `assay keyset rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeySetRotate {
    /// At once, whether gateways know the next key or not
    #[arg(long)]
    pub(crate) now: bool,
    /// Don't ask; needed off a terminal with --now
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay keyset retire`.
#[derive(Debug, Args)]
pub(crate) struct KeySetRetire {
    /// The key's id
    pub(crate) kid: String,
    /// Don't ask; needed off a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay revocation …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Revocation {
    /// What gateways refuse although its signature is genuine
    List(RevocationList),
    /// Revoke tokens out there; `device ban`, `app retire` and `keyset retire` do it for what they are about
    #[command(after_help = "Examples:\n  assay revocation add app shop --reason 'leaked signing key'\n  \
        assay revocation add issued-before 1760000000 --reason 'all tokens of last night'")]
    Add(RevocationAdd),
    /// Take a revocation back
    Lift(RevocationLift),
}

/// `assay revocation list`.
#[derive(Debug, Args)]
pub(crate) struct RevocationList {
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// What a revocation names.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RevocationKindArg {
    /// a device, by its id
    Device,
    /// all tokens of an app, by its name
    App,
    /// all tokens of a build, by its number
    Build,
    /// all tokens of a signing key, by its kid
    Kid,
    /// all tokens issued before a moment, Unix seconds
    IssuedBefore,
}

/// `assay revocation add`.
#[derive(Debug, Args)]
pub(crate) struct RevocationAdd {
    /// What it names
    #[arg(value_enum)]
    pub(crate) kind: RevocationKindArg,
    /// Which one
    pub(crate) value: String,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay revocation lift`.
#[derive(Debug, Args)]
pub(crate) struct RevocationLift {
    /// What it names
    #[arg(value_enum)]
    pub(crate) kind: RevocationKindArg,
    /// Which one
    pub(crate) value: String,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay admin …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Tokens of the admin API: who may do what from afar
    #[command(subcommand)]
    Token(AdminToken),
}

/// `assay admin token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminToken {
    /// Make a token; it is shown once
    #[command(after_help = "Examples:\n  assay admin token create anna --role admin --for 90d --out anna.token\n  \
        assay admin token create ci --role operator --app shop --for 30d > ci.token")]
    Create(AdminTokenCreate),
    /// Tokens and what they may do; never their texts
    List(AdminArg),
    /// Revoke a token
    Revoke(AdminTokenRevoke),
}

/// What a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// read
    Viewer,
    /// register, retire, ban, enrol, issue test tokens
    Operator,
    /// everything: forced passes, keys, tokens, audit
    Admin,
}

/// `assay admin token create`.
#[derive(Debug, Args)]
pub(crate) struct AdminTokenCreate {
    /// Its name, as it will stand in the audit log
    pub(crate) name: String,
    /// What it may do
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// An app that it is limited to; repeat for several
    #[arg(long = "app", value_name = "A")]
    pub(crate) apps: Vec<String>,
    /// For how long, at most 366d
    #[arg(long = "for", value_name = "SPAN", default_value = "90d")]
    pub(crate) span: Span,
    /// Write it to this new file, readable by you alone, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay admin token revoke`.
#[derive(Debug, Args)]
pub(crate) struct AdminTokenRevoke {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay audit …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Who changed what, the newest first
    List(AuditList),
    /// Whether an entry was changed, dropped or cut: 0 only if none was
    #[command(after_help = "Example: assay audit verify --checkpoint friday.checkpoint\n\n\
        Without checkpoints that were kept elsewhere a log that was cut at its end looks whole.")]
    Verify(AuditVerify),
    /// A signed checkpoint of what the log has come to; keep it elsewhere
    #[command(after_help = "Example: assay audit checkpoint > friday.checkpoint")]
    Checkpoint(AdminArg),
}

/// `assay audit list`.
#[derive(Debug, Args)]
pub(crate) struct AuditList {
    #[command(flatten)]
    pub(crate) page: PageArg,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}

/// `assay audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// A checkpoint that was kept; repeat for several
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub(crate) checkpoints: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArg,
}
