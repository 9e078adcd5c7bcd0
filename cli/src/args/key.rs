//! `assay key`: third-party API keys, sealed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArg;

/// `assay key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Seal a key read from standard input, a file or a prompt
    #[command(after_help = "Example:\n  assay key put maps --to https://maps.example.com --header x-api-key \\\n    \
        --template '{key}' --path '/geocode/**' < key.txt\n\n\
        A second `put` of a name is the next version: `assay key rotate` makes it the current one.")]
    Put(KeyPut),
    /// Names, versions, states, fingerprints and bounds; never a value
    #[command(after_help = "Example: assay key list")]
    List(KeyStoreArg),
    /// Make the waiting version of a key the current one
    #[command(after_help = "Example: assay key rotate maps")]
    Rotate(KeyName),
    /// Take a key out of the store
    #[command(after_help = "Example: assay key remove maps --yes")]
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
