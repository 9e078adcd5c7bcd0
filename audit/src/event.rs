//! What can stand in an audit log. In: facts of a key command or a request. Out: [`Event`]; proven by its fields: names, numbers,
//! fingerprints and hashes, and no place for a secret.

use serde::{Deserialize, Serialize};

/// What happened. As JSON its word is in `what`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A writer took up its chain, or began another file of it.
    Opened {
        /// The id of the key that authenticates what follows.
        key: String,
        /// What was wrong with the end that it found, if something was: a torn last line, a line that does not verify.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<String>,
    },
    /// Entries up to this number are about to be deleted, because the log is bounded.
    Forgotten {
        /// The last of them.
        through: u64,
    },
    /// Somebody is about to change a key. Written before the change takes effect.
    KeyChange(KeyChange),
    /// The change of an earlier entry of this chain did not take effect.
    KeyChangeFailed {
        /// That entry's number.
        entry: u64,
    },
    /// A request had a key.
    KeyUse(KeyUse),
    /// So many entries about requests were dropped since the last that were written, because there was no room for them.
    Dropped {
        /// How many.
        count: u64,
    },
    /// A writer laid its chain down.
    Closed,
}

/// A change of a key or of the store it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// What is done.
    pub change: Change,
    /// The key's name; none for changes of the store as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The version that is put, accepted or made current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Who: the user at this machine, by name.
    pub by: String,
    /// Particulars in words, such as until when it is disabled; at most [`MAX_DETAIL`] bytes are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What is done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// A secret is sealed, as the first version or the next one.
    Put,
    /// The next version becomes current.
    Rotate,
    /// A key is taken out, with all its versions.
    Remove,
    /// A record that was sealed with the public key becomes usable.
    Accept,
    /// Such a record is thrown away.
    Reject,
    /// Nobody has the key for a while.
    Disable,
    /// It can be had again.
    Enable,
    /// A store is made.
    CreateStore,
    /// Everything is wrapped anew under another key-encryption key.
    RotateKek,
    /// An operator's signature will make records usable.
    AddOperator,
    /// It no longer will.
    RemoveOperator,
    /// An older generation of the store is taken for good.
    AcceptRollback,
}

/// A request that had a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The decision's id, as in the access log.
    pub decision: String,
    /// The route.
    pub route: String,
    /// The key's name.
    pub key: String,
    /// The version that went out.
    pub version: u32,
    /// Its fingerprint.
    pub fingerprint: String,
    /// The hash of the device that it was for, as in the access log; none where there is no device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The status that the client got; none if it got no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// Bytes of [`KeyChange::detail`] and of every other text that are kept.
pub const MAX_DETAIL: usize = 512;

impl Event {
    /// The same with its texts cut to what a line has room for.
    pub(crate) fn bounded(mut self) -> Self {
        let cut = |text: &mut String| {
            let end = (0..=MAX_DETAIL.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        };
        match &mut self {
            Self::KeyChange(KeyChange { key, fingerprint, by, detail, .. }) => {
                cut(by);
                [key, fingerprint, detail].into_iter().flatten().for_each(cut);
            }
            Self::KeyUse(KeyUse { decision, route, key, fingerprint, device, .. }) => {
                [decision, route, key, fingerprint].into_iter().chain(device).for_each(cut);
            }
            Self::Opened { found, .. } => found.iter_mut().for_each(cut),
            Self::Forgotten { .. } | Self::KeyChangeFailed { .. } | Self::Dropped { .. } | Self::Closed => {}
        }
        self
    }
}
