//! Where a chain ends, said aloud. In: a chain. Out: a [`Checkpoint`], one line of JSON for the log stream; whoever keeps that
//! stream elsewhere sees an end that was cut off since, or a chain that was written anew.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::key::AuditKey;

/// Where a writer's chain ended at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEnd {
    /// Whose chain.
    pub writer: String,
    /// The number of its last line.
    pub count: u64,
    /// The SHA-256 of its last line, in hexadecimal.
    pub head: String,
    /// When, Unix milliseconds.
    pub at: i64,
}

/// A checkpoint, authenticated by the audit key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What is authenticated.
    pub checkpoint: ChainEnd,
    /// HMAC-SHA-256, in hexadecimal.
    pub mac: String,
}

impl Checkpoint {
    pub(crate) fn new(key: &AuditKey, checkpoint: ChainEnd) -> Self {
        let mac = HEXLOWER.encode(&key.mac_of_checkpoint(&message(&checkpoint)));
        Self { checkpoint, mac }
    }

    /// Whether `key` made it, in constant time.
    pub(crate) fn is_by(&self, key: &AuditKey) -> bool {
        let mac = HEXLOWER.decode(self.mac.as_bytes()).ok().and_then(|mac| mac.try_into().ok());
        mac.is_some_and(|mac| key.made_checkpoint(&message(&self.checkpoint), &mac))
    }
}

/// Every field behind its length.
fn message(end: &ChainEnd) -> Vec<u8> {
    let mut message = Vec::new();
    for field in [end.writer.as_bytes(), &end.count.to_be_bytes(), end.head.as_bytes(), &end.at.to_be_bytes()] {
        message.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        message.extend_from_slice(field);
    }
    message
}
