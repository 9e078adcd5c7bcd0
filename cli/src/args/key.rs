//! `assay key`: third-party API keys, sealed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigArg, GatewayArg};
use crate::span::Span;

/// `assay key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Seal a key read from standard input, a file or a prompt
    #[command(after_help = "Examples:\n  assay key put openai --preset openai < key.txt\n  \
        assay key put maps --to https://maps.example.com --query key --path '/geocode/**' < key.txt\n  \
        assay key put shop --to https://api.shop.example --recipe-file shop.json --path '/v2/**' --method POST < key.txt\n\n\
        A second `put` of a name is the next version: `assay key rotate` makes it the current one.")]
    Put(Box<KeyPut>),
    /// Seal a key for a store with its public key alone; it is pending until somebody accepts it
    #[command(
        after_help = "Example: assay key seal maps --public-key assay-seal-… --to https://maps.example.com --query key \
        --path '/geocode/**' --store keys.sealed < key.txt\n\n\
        Whoever seals so can't read the store, this key included. The printed fingerprint goes to whoever accepts it."
    )]
    Seal(Box<KeySeal>),
    /// The store's public key, for `assay key seal`
    #[command(after_help = "Example: assay key public")]
    Public(KeyStoreArg),
    /// What was sealed with the public key and waits to be accepted
    #[command(after_help = "Example: assay key pending")]
    Pending(KeyStoreArg),
    /// Make a pending key the next version of its name, or the first
    #[command(after_help = "Example: assay key accept maps --fingerprint 1f0c…")]
    Accept(KeyPendingName),
    /// Throw a pending key away
    #[command(after_help = "Example: assay key reject maps --fingerprint 1f0c…")]
    Reject(KeyPendingName),
    /// Names, versions, states, fingerprints, bounds and last use; never a value
    #[command(
        after_help = "Examples:\n  assay key list\n  assay key list --gateway http://127.0.0.1:9901      with the last use, from a running gateway"
    )]
    List(KeyList),
    /// Make the waiting version of a key the current one
    #[command(
        after_help = "Examples:\n  assay key rotate maps\n  assay key rotate maps --back      the version before it, when the new one does not work"
    )]
    Rotate(KeyRotate),
    /// Take a key out of the store
    #[command(
        after_help = "Examples:\n  assay key remove maps --yes\n  assay key remove maps --next      only the version that waits"
    )]
    Remove(KeyRemove),
    /// Let nobody have a key, for a while or until it is enabled
    #[command(after_help = "Example: assay key disable maps --for 1h")]
    Disable(KeyDisable),
    /// Let a disabled key be had again
    #[command(after_help = "Example: assay key enable maps")]
    Enable(KeyName),
    /// People whose signature accepts what they seal
    #[command(subcommand, after_help = "Example: assay key operator create --out anna.operator")]
    Operator(KeyOperator),
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
    /// Take a store that is older than the one this machine has opened last, for good; written to the audit log
    #[arg(long)]
    pub(crate) accept_rollback: bool,
}

/// What a key may be used for, and how it gets into a request.
#[derive(Debug, Args)]
pub(crate) struct KeyBounds {
    /// A well-known API: its host, recipe, methods and paths
    #[arg(long, value_name = "NAME", conflicts_with_all = ["recipe_file", "header", "query", "basic", "cookie", "segment", "json_field", "form_field", "client_certificate"])]
    pub(crate) preset: Option<String>,
    /// A value that the preset asks for, such as region=eu-central-1; repeat for several
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "preset")]
    pub(crate) values: Vec<String>,
    /// Where the key may go: https://host, https://host:port; repeat for several
    #[arg(long = "to", value_name = "ORIGIN", required_unless_present = "preset")]
    pub(crate) to: Vec<String>,
    /// Header that carries the key; without any of these: authorization
    #[arg(long, value_name = "NAME", group = "slot")]
    pub(crate) header: Option<String>,
    /// Query parameter that carries the key
    #[arg(long, value_name = "NAME", group = "slot")]
    pub(crate) query: Option<String>,
    /// Basic authentication: '{key}:' or 'AC123:{key}'
    #[arg(long, value_name = "USER:PASSWORD", group = "slot", conflicts_with = "template")]
    pub(crate) basic: Option<String>,
    /// Cookie that carries the key
    #[arg(long, value_name = "NAME", group = "slot")]
    pub(crate) cookie: Option<String>,
    /// Number of the path's segment that carries the key, from 1
    #[arg(long, value_name = "N", group = "slot")]
    pub(crate) segment: Option<u8>,
    /// JSON pointer to the field of the body that carries the key
    #[arg(long, value_name = "POINTER", group = "slot")]
    pub(crate) json_field: Option<String>,
    /// Field of a form that carries the key
    #[arg(long, value_name = "NAME", group = "slot")]
    pub(crate) form_field: Option<String>,
    /// The key is a client certificate: PEM chain and private key
    #[arg(long, group = "slot", conflicts_with = "template")]
    pub(crate) client_certificate: bool,
    /// A file with the recipe as JSON: OAuth2, JWT, HMAC and AWS signatures, and all of the above
    #[arg(long, value_name = "FILE", group = "slot", conflicts_with = "template")]
    pub(crate) recipe_file: Option<PathBuf>,
    /// What is written into the slot, with {key} once; for the authorization header 'Bearer {key}', else '{key}'
    #[arg(long, value_name = "TEXT", conflicts_with = "preset")]
    pub(crate) template: Option<String>,
    /// Methods that the key may be used with; without it GET and POST, or those of the preset
    #[arg(long = "method", value_name = "M")]
    pub(crate) methods: Vec<String>,
    /// Paths that the key may be used on, * and ** as in policies
    #[arg(long = "path", value_name = "GLOB", required_unless_present = "preset")]
    pub(crate) paths: Vec<String>,
    /// The upstream's private certificate authority, PEM; its hash becomes a bound
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: Option<PathBuf>,
    /// Read the key from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
}

/// `assay key put`.
#[derive(Debug, Args)]
pub(crate) struct KeyPut {
    /// Name of the key, as routes use it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) bounds: KeyBounds,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key seal`.
#[derive(Debug, Args)]
pub(crate) struct KeySeal {
    /// Name of the key, as routes use it
    pub(crate) name: String,
    /// The store's public key, as `assay key public` prints it
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: String,
    /// The sealed file that it is added to, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Sign it with this operator's key: a store that lists the operator takes it without `accept`
    #[arg(long, value_name = "FILE")]
    pub(crate) operator_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bounds: KeyBounds,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

/// `assay key accept`, `reject`.
#[derive(Debug, Args)]
pub(crate) struct KeyPendingName {
    /// Name of the key
    pub(crate) name: String,
    /// Its fingerprint, as whoever sealed it reads it out; needed off a terminal
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key list`.
#[derive(Debug, Args)]
pub(crate) struct KeyList {
    #[command(flatten)]
    pub(crate) gateway: GatewayArg,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key enable`: a key by name.
#[derive(Debug, Args)]
pub(crate) struct KeyName {
    /// Name of the key
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeyRotate {
    /// Name of the key
    pub(crate) name: String,
    /// Take the last rotation back: the previous version is the current one again
    #[arg(long)]
    pub(crate) back: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key remove`.
#[derive(Debug, Args)]
pub(crate) struct KeyRemove {
    /// Name of the key
    pub(crate) name: String,
    /// Only the version that waits as next; what is in use stays
    #[arg(long)]
    pub(crate) next: bool,
    /// Don't ask; needed off a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key disable`.
#[derive(Debug, Args)]
pub(crate) struct KeyDisable {
    /// Name of the key
    pub(crate) name: String,
    /// For how long; without it until `assay key enable`
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) span: Option<Span>,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}

/// `assay key operator …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyOperator {
    /// Make an operator's key, and print its public half
    #[command(after_help = "Example: assay key operator create --out anna.operator")]
    Create {
        /// A file that is not there yet; it stays with the operator
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List an operator in the store
    #[command(after_help = "Example: assay key operator add anna assay-operator-…")]
    Add {
        /// Whose it is
        name: String,
        /// The public half, as `create` printed it
        public_key: String,
        #[command(flatten)]
        store: KeyStoreArg,
    },
    /// Take an operator off the list; what he signed in before stays
    #[command(after_help = "Example: assay key operator remove anna")]
    Remove {
        /// Whose it is
        name: String,
        #[command(flatten)]
        store: KeyStoreArg,
    },
}
