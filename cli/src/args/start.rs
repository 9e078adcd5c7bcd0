//! `assay demo`, `init`, `run`, `gateway`, `service`, `status`: a first hour, and what runs.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArg;

/// `assay demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the last scene: 0 only if every scene came out right
    #[arg(long)]
    pub(crate) once: bool,
    /// How long the flood of scene 10 lasts, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) flood_seconds: u64,
    /// Folder with the published Approov example tokens
    #[arg(long, env = "ASSAY_VECTORS", value_name = "DIR")]
    pub(crate) vectors: Option<PathBuf>,
}

/// `assay init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// An empty or absent folder; nothing in it is ever overwritten
    pub(crate) dir: PathBuf,
    /// For a laptop: loopback, plaintext, measurement alone is enough
    #[arg(long)]
    pub(crate) dev: bool,
    /// Where the API that is to be protected listens
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// A route to a well-known API beside it, whose key the gateway adds: openai, anthropic, google-maps, …; repeat for several
    #[arg(long = "preset", value_name = "NAME")]
    pub(crate) presets: Vec<String>,
    /// A value that a preset asks for, such as region=eu-central-1; repeat for several
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "presets")]
    pub(crate) values: Vec<String>,
    /// Where the secret keys go; without it a folder of its own beside DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) secrets: Option<PathBuf>,
}

/// `assay run`, `gateway`, `service`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Loopback only, and every appraisal and decision is printed with its reason
    #[arg(long)]
    pub(crate) dev: bool,
}

/// `assay status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The admin listener's address, instead of the configuration's
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) admin: Option<std::net::SocketAddr>,
    /// The file with the admin listener's token, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}
