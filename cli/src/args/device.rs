//! `assay device`: devices.

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArg, PageArg};
use crate::span::Span;

/// `assay device …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Devices that were seen or decided of
    #[command(after_help = "Example: assay device list --state banned")]
    List(DeviceList),
    /// One device: when it was seen, what was found on it, what was decided
    #[command(after_help = "Example: assay device show 4sT0-mXvQyu0oKLgYyoj2A")]
    Show(DeviceId),
    /// Let it pass whatever its Evidence says, for a while
    #[command(after_help = "Example: assay device pass 4sT0-mXvQyu0oKLgYyoj2A --for 7d --reason 'support case 812'")]
    Pass(DevicePass),
    /// Let it fail whatever its Evidence says
    #[command(after_help = "Example: assay device fail 4sT0-mXvQyu0oKLgYyoj2A --for 7d --reason 'looks automated'\n\n\
        Tokens that it has stay good until they expire; `device ban` has gateways refuse those, too.")]
    Fail(DeviceMark),
    /// Let it fail, and have gateways refuse the tokens that it has
    #[command(after_help = "Example: assay device ban 4sT0-mXvQyu0oKLgYyoj2A --reason 'scraping, case 813'\n\n\
        Gateways refuse its tokens within seconds. The id is the `did` of its tokens, and in `device list`.")]
    Ban(DeviceMark),
    /// Take a pass, fail, ban or enrolment back
    #[command(after_help = "Example: assay device clear 4sT0-mXvQyu0oKLgYyoj2A --reason 'solved, case 813'")]
    Clear(DeviceClear),
    /// Let a debug build, simulator or CI runner pass, marked: only routes with `allow_dev` take its tokens
    #[command(
        after_help = "Example: assay device enrol 4sT0-mXvQyu0oKLgYyoj2A --for 30d --reason 'Anna, simulator'\n\n\
        A device that never passed is not in `device list`: its id is `device` in the service's log, and `did` in its token."
    )]
    Enrol(DeviceEnrol),
    /// Forget what was seen of it; a decision has to be taken back first, with `device clear`
    #[command(after_help = "Example: assay device forget 4sT0-mXvQyu0oKLgYyoj2A --yes")]
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
    /// Its id: the `did` of its tokens, and in `device list`
    // Ids are base64url: one in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
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

/// `assay device clear`.
#[derive(Debug, Args)]
pub(crate) struct DeviceClear {
    #[command(flatten)]
    pub(crate) device: DeviceId,
    /// Why, for those who read it later
    #[arg(long)]
    pub(crate) reason: String,
}

/// `assay device fail`, `ban`.
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
