//! The command line: names and meanings are a contract, so they stand in one place: one file a family.
//!
//! In: the process's arguments. Out: a [`Command`]. Secrets come from stdin, a file or a prompt, never from an
//! argument; the `--secret-*` options of `token check` are for published dummy secrets, and say so.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod admin;
mod app;
mod device;
mod key;
mod keyset;
mod policy;
mod start;
mod token;
mod verifier;

pub(crate) use admin::*;
pub(crate) use app::*;
pub(crate) use device::*;
pub(crate) use key::*;
pub(crate) use keyset::*;
pub(crate) use policy::*;
pub(crate) use start::*;
pub(crate) use token::*;
pub(crate) use verifier::*;

/// Serve only genuine, untampered app instances: attestation service, gateway and tools.
#[derive(Debug, Parser)]
#[command(name = "assay", version, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 yes · 1 no · 2 wrong usage or unreadable input · 3 could not find out")]
pub(crate) struct Cli {
    /// One JSON document on stdout (one line an event for `run`, `gateway`, `service`); messages go to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the whole story on loopback, and show it as a table
    Demo(Demo),
    /// Write a commented starter configuration, with keys outside the tree that may go into Git
    Init(Init),
    /// Run the gateway, and the attestation service too where the file has `attestation.serve`
    Run(Run),
    /// Run the gateway alone
    Gateway(Run),
    /// Run the attestation service alone
    Service(Run),
    /// Tell all that a start would refuse, at once, with places
    Check(ConfigArg),
    /// Look at result tokens, and issue test tokens
    #[command(subcommand)]
    Token(Token),
    /// Seal, list, rotate and remove third-party API keys
    #[command(subcommand)]
    Key(Key),
    /// Register, list and retire the builds that are vouched for
    #[command(subcommand)]
    App(App),
    /// List, ban, pass, fail and enrol devices
    #[command(subcommand)]
    Device(Device),
    /// List, rotate and retire the keys that tokens are signed with
    #[command(subcommand)]
    Keyset(KeySet),
    /// Revoke tokens that are out there
    #[command(subcommand)]
    Revocation(Revocation),
    /// Make and revoke tokens of the admin API
    #[command(subcommand)]
    Admin(Admin),
    /// Read and verify the log of what operators did
    #[command(subcommand)]
    Audit(Audit),
    /// Check and explain result policies
    #[command(subcommand)]
    Policy(Policy),
    /// Open the support code that a user reads out
    #[command(subcommand)]
    Arc(Arc),
    /// What a running gateway says of itself
    Status(Status),
    /// Print the JSON Schema of the configuration file or of a policy file
    Schema {
        /// Which file's schema
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print completions for a shell
    Completions {
        /// The shell to complete in
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// The configuration file, found the same way by every command.
#[derive(Debug, Args, Clone)]
pub(crate) struct ConfigArg {
    /// The configuration file; without it ./assay.yaml, then /etc/assay/assay.yaml
    #[arg(short = 'c', long = "config", env = "ASSAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemaOf {
    /// assay.yaml
    Config,
    /// a policy file
    Policy,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
