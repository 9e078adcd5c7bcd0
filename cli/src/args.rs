//! The command line: names and meanings are a contract, so they stand in one file.
//!
//! In: the process's arguments. Out: a [`Command`]. Secrets come from stdin, a file or a prompt, never from an
//! argument; the `--secret-*` options of `token check` are for published dummy secrets, and say so.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// Look at a result token
    #[command(subcommand)]
    Token(Token),
    /// Seal, list, rotate and remove third-party API keys
    #[command(subcommand)]
    Key(Key),
    /// Register and list the builds that are vouched for
    #[command(subcommand)]
    App(App),
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

/// `assay token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Verdict, reason and claims of a token: 0 only for `attested`
    Check(TokenCheck),
}

/// `assay token check`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("keys").required(true).args(["secret_base64", "secret_base64url", "secret_file", "jwks", "pem", "route"]))]
pub(crate) struct TokenCheck {
    /// The token, or - for standard input (better: arguments can be seen by others)
    pub(crate) token: String,
    /// HMAC secret, base64; for published dummy secrets only
    #[arg(long, value_name = "S")]
    pub(crate) secret_base64: Option<String>,
    /// HMAC secret, base64url; for published dummy secrets only
    #[arg(long, value_name = "S")]
    pub(crate) secret_base64url: Option<String>,
    /// File with the raw HMAC secret
    #[arg(long, value_name = "F")]
    pub(crate) secret_file: Option<PathBuf>,
    /// File with a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks: Option<PathBuf>,
    /// File with a public key, PEM; needs --alg
    #[arg(long, value_name = "FILE", requires = "alg")]
    pub(crate) pem: Option<PathBuf>,
    /// The key's algorithm: HS256 … EdDSA (HMAC secrets: HS256 without it)
    #[arg(long, value_name = "A")]
    pub(crate) alg: Option<String>,
    /// Check as this route of the configuration would: its keys, audience and binding
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The time to check at, Unix seconds; without it now
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    pub(crate) at: Option<i64>,
    /// The issuer that `iss` has to name
    #[arg(long, value_name = "I")]
    pub(crate) issuer: Option<String>,
    /// The audience that `aud` has to hold
    #[arg(long, value_name = "A")]
    pub(crate) audience: Option<String>,
    /// A header that the token has to be bound to; several are taken in order
    #[arg(long, value_name = "'Name: value'")]
    pub(crate) bind: Vec<String>,
}

/// `assay key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Seal a key read from standard input, a file or a prompt
    Put(KeyPut),
    /// Names, versions, states, fingerprints and bounds; never a value
    List(KeyStoreArg),
    /// Make the waiting version of a key the current one
    Rotate(KeyName),
    /// Take a key out of the store
    Remove(KeyRemove),
}

/// The key store and what unlocks it: from the configuration, or named.
#[derive(Debug, Args, Clone)]
pub(crate) struct KeyStoreArg {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The sealed file, instead of the configuration's
    #[arg(long, value_name = "FILE", requires = "unlock")]
    pub(crate) store: Option<PathBuf>,
    /// The key-encryption key's file, instead of the configuration's
    #[arg(long, value_name = "FILE", requires = "store")]
    pub(crate) unlock: Option<PathBuf>,
}

/// `assay key put`.
#[derive(Debug, Args)]
pub(crate) struct KeyPut {
    /// Name of the key, as routes use it
    pub(crate) name: String,
    /// Where the key may go: https://host, https://host:port; repeat for several
    #[arg(long = "to", value_name = "ORIGIN", required = true)]
    pub(crate) to: Vec<String>,
    /// Header that carries the key
    #[arg(long, value_name = "NAME", default_value = "authorization")]
    pub(crate) header: String,
    /// The header's value, with {key} once
    #[arg(long, value_name = "TEXT", default_value = "Bearer {key}")]
    pub(crate) template: String,
    /// Methods that the key may be used with; without it GET and POST
    #[arg(long = "method", value_name = "M")]
    pub(crate) methods: Vec<String>,
    /// Paths that the key may be used on, * and ** as in policies
    #[arg(long = "path", value_name = "GLOB", required = true)]
    pub(crate) paths: Vec<String>,
    /// The upstream's private certificate authority, PEM; its hash becomes a bound
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: Option<PathBuf>,
    /// Read the key from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// A key by name.
#[derive(Debug, Args)]
pub(crate) struct KeyName {
    /// Name of the key
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key remove`.
#[derive(Debug, Args)]
pub(crate) struct KeyRemove {
    /// Name of the key
    pub(crate) name: String,
    /// Don't ask; needed off a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay app …`.
#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Measure a build's file and vouch for it
    Register(AppRegister),
    /// Apps, their builds and states
    List(ConfigArg),
    /// Stop vouching for a build
    Retire(AppRetire),
}

/// `assay app register`.
#[derive(Debug, Args)]
pub(crate) struct AppRegister {
    /// The build's executable file (64-bit ELF)
    pub(crate) file: PathBuf,
    /// The app's name in the configuration
    #[arg(long)]
    pub(crate) name: String,
    /// The build's version, as the app will state it
    #[arg(long = "version", value_name = "V")]
    pub(crate) build_version: String,
    /// linux or android
    #[arg(long, default_value = "linux")]
    pub(crate) platform: String,
    /// A label for this build, when one version has several
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

/// `assay app retire`.
#[derive(Debug, Args)]
pub(crate) struct AppRetire {
    /// The app's name
    #[arg(long)]
    pub(crate) name: String,
    /// The version to retire, all its builds
    #[arg(long = "version", value_name = "V")]
    pub(crate) build_version: String,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

/// `assay policy …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// All errors and warnings of policy files, with places
    Check {
        /// Policy files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Check as a policy of a route that injects a key
        #[arg(long)]
        injects: bool,
    },
    /// Why this answer: each rule tried, and why it did or didn't match
    Explain(Box<PolicyExplain>),
}

/// `assay policy explain`.
#[derive(Debug, Args)]
pub(crate) struct PolicyExplain {
    /// The policy file
    #[arg(long, value_name = "FILE", required_unless_present = "route")]
    pub(crate) policy: Option<PathBuf>,
    /// A route of the configuration, instead of a file
    #[arg(long, value_name = "R")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The verdict, as in the access log
    #[arg(long)]
    pub(crate) verdict: String,
    /// The request's method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The request's path, with or without query
    #[arg(long)]
    pub(crate) path: String,
    /// The request's host
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// A request header; repeat for several
    #[arg(long = "header", value_name = "'N: v'")]
    pub(crate) headers: Vec<String>,
    /// The client's address
    #[arg(long, default_value = "192.0.2.1")]
    pub(crate) address: std::net::IpAddr,
    /// The app that the token names
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// The app version that the token names
    #[arg(long = "app-version", value_name = "V")]
    pub(crate) app_version: Option<String>,
    /// The tier that the token carries
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// Kinds of Evidence that were accepted; repeat for several
    #[arg(long = "evidence", value_name = "KIND")]
    pub(crate) evidence: Vec<String>,
    /// The time to decide at, Unix seconds; without it now
    #[arg(long, value_name = "UNIX")]
    pub(crate) at: Option<i64>,
}

/// `assay arc …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Arc {
    /// What the service found, from the 26 characters of a token's `arc`
    Decode {
        /// The code
        code: String,
        #[command(flatten)]
        config: ConfigArg,
    },
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
