//! `assay app`: builds.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AdminArg, PageArg};

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
    #[command(after_help = "Example: assay app list --name shop --live")]
    List(AppList),
    /// One app: its platforms in the configuration, and its builds
    #[command(after_help = "Example: assay app show shop")]
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
    /// Those that are vouched for alone
    #[arg(long)]
    pub(crate) live: bool,
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
