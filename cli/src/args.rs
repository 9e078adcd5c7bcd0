//! The command line: names and meanings are a contract, so they stand in one place: one file a family.
//!
//! In: the process's arguments. Out: a [`Command`]. Secrets come from stdin, a file or a prompt, never from an
//! argument; the `--secret-*` options of `token check` are for published dummy secrets, and say so.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod admin;
mod app;
mod device;
mod kek;
mod key;
mod keyset;
mod panic;
mod policy;
mod start;
mod token;
mod verifier;

pub(crate) use admin::*;
pub(crate) use app::*;
pub(crate) use device::*;
pub(crate) use kek::*;
pub(crate) use key::*;
pub(crate) use keyset::*;
pub(crate) use panic::*;
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
    #[command(after_help = "Example: assay demo --once")]
    Demo(Demo),
    /// Write a commented starter configuration, with keys outside the tree that may go into Git
    #[command(
        after_help = "Examples:\n  assay init gw --dev --upstream http://127.0.0.1:8080      to try it on a laptop\n  \
        assay init gw --upstream https://api.internal:8443        for a server"
    )]
    Init(Init),
    /// Run the gateway, and the attestation service too where the file has `attestation.serve`
    #[command(after_help = "Example: assay run -c gw/assay.yaml\n\n\
        Apps reach the service on the public listener, under attestation.serve.path. SIGHUP reloads, SIGTERM drains.")]
    Run(Run),
    /// Run the gateway alone
    #[command(after_help = "Example: assay gateway -c gateway.yaml      with attestation: { remote: … }")]
    Gateway(Run),
    /// Run the attestation service alone
    #[command(after_help = "Example: assay service -c service.yaml      with attestation: { serve: { address: … } }")]
    Service(Run),
    /// Tell all that a start would refuse, at once, with places
    #[command(
        after_help = "Examples:\n  assay check -c gw/assay.yaml\n  assay check -c gw/assay.yaml --format github\n\n\
        Nothing is started or changed. Warnings don't count: 0 means that it would start."
    )]
    Check(Check),
    /// Look at result tokens, and issue test tokens
    #[command(subcommand, after_help = "Example: assay token check - --route api -c gw/assay.yaml < token.txt")]
    Token(Token),
    /// Seal, list, rotate and remove third-party API keys
    #[command(subcommand, after_help = "Example: assay key list -c gw/assay.yaml")]
    Key(Key),
    /// Show and rotate the key-encryption key, which opens the store of third-party keys
    #[command(subcommand, after_help = "Example: assay kek show -c gw/assay.yaml")]
    Kek(Kek),
    /// Register, list and retire the builds that are vouched for
    #[command(
        subcommand,
        after_help = "Example: assay app register ./my-app --name shop --version 1.0 -c gw/assay.yaml"
    )]
    App(App),
    /// List, ban, pass, fail and enrol devices
    #[command(subcommand, after_help = "Example: assay device list -c gw/assay.yaml")]
    Device(Device),
    /// List, rotate and retire the keys that tokens are signed with
    #[command(subcommand, after_help = "Example: assay keyset list -c gw/assay.yaml")]
    Keyset(KeySet),
    /// Revoke tokens that are out there
    #[command(subcommand, after_help = "Example: assay revocation list -c gw/assay.yaml")]
    Revocation(Revocation),
    /// Order all gateways to lock down, let pass or be patient, for a while
    #[command(
        subcommand,
        after_help = "Examples:\n  assay panic lockdown --route shop-api --for 1h --reason 'a flood' -c gw/assay.yaml\n  \
        assay panic end 7 --reason 'it is over' -c gw/assay.yaml\n\n\
        Gateways follow within seconds, and go back by themselves when the time is over."
    )]
    Panic(Panic),
    /// All gateways: what they run, and who differs
    #[command(
        after_help = "Examples:\n  assay fleet -c gw/assay.yaml\n  assay fleet --remote https://attest.internal:8445 --token-file me.token"
    )]
    Fleet(Fleet),
    /// Make and revoke tokens of the admin API
    #[command(
        subcommand,
        after_help = "Example: assay admin token create anna --role operator --out anna.token -c gw/assay.yaml"
    )]
    Admin(Admin),
    /// Read and verify the log of what operators did
    #[command(subcommand, after_help = "Example: assay audit list -c gw/assay.yaml")]
    Audit(Audit),
    /// Check, test and explain result policies, and advise on enforcing them
    #[command(
        subcommand,
        after_help = "Examples:\n  assay policy check gw/policies/api.yaml\n  assay policy test gw/tests/api.yaml\n  \
        assay policy advise api -c gw/assay.yaml"
    )]
    Policy(Policy),
    /// Open the support code that a user reads out
    #[command(subcommand, after_help = "Example: assay arc decode KIKGMBQAQZRD4XWB2CO3ISWTTE -c gw/assay.yaml")]
    Arc(Arc),
    /// What a running gateway says of itself
    #[command(
        after_help = "Examples:\n  assay status -c gw/assay.yaml\n  assay status --admin 127.0.0.1:9901 --token-file admin.token\n\n\
        A service's own health is GET {attestation.serve.path}/health."
    )]
    Status(Status),
    /// Print the JSON Schema of the configuration file, of a policy, of rules to include, or of cases
    #[command(after_help = "Example: assay schema config > schema/assay.schema.json")]
    Schema {
        /// Which file's schema
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print completions for a shell
    #[command(after_help = "Example: assay completions bash > ~/.local/share/bash-completion/completions/assay")]
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
    /// a file of rules that policies include
    Rules,
    /// a file of cases for `policy test`
    Cases,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example_that_is_one() {
        for (name, example) in below(&Cli::command(), "assay") {
            let lines: Vec<_> =
                example.lines().filter_map(|line| line.split_once("assay ")).map(|(_, line)| line).collect();
            let own = name.trim_start_matches("assay ");
            assert!(
                example.starts_with("Example") && lines.iter().any(|line| line.starts_with(own)),
                "{name}: {example:?}"
            );
        }
    }

    /// Every command and family of commands, with what stands below its options.
    fn below(command: &clap::Command, name: &str) -> Vec<(String, String)> {
        let of = |sub: &clap::Command| {
            let name = format!("{name} {}", sub.get_name());
            let after = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            let mut found = below(sub, &name);
            found.push((name, after));
            found
        };
        command.get_subcommands().flat_map(of).collect()
    }
}
