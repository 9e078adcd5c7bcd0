//! `assay kek`: the key-encryption key, which opens the key store.

use clap::{Args, Subcommand};

use super::KeyStoreArg;

/// `assay kek …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Kek {
    /// Which key-encryption key the store is locked with, where it comes from, and what to back up
    #[command(after_help = "Example: assay kek show")]
    Show(KeyStoreArg),
    /// Wrap everything anew under another key-encryption key
    #[command(
        after_help = "Examples:\n  assay kek rotate                                  a new key in the same place\n  \
        assay kek rotate --to file:/etc/assay/kek2.key    made when it is not there\n  \
        assay kek rotate --to passphrase_file:new.txt\n  \
        assay kek rotate --to config:assay.next.yaml      as `keys.unlock` of another file says: Vault, AWS KMS\n\n\
        Killed at any moment it can be run again. Who has the old key and an old store still has the secrets in it: if that is \
        why you rotate, put new keys at the vendors too."
    )]
    Rotate(KekRotate),
}

/// `assay kek rotate`.
#[derive(Debug, Args)]
pub(crate) struct KekRotate {
    /// file:PATH, passphrase_file:PATH, env:NAME, systemd:NAME or config:FILE; without it a new key in the same place
    #[arg(long, value_name = "WHERE")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) store: KeyStoreArg,
}
