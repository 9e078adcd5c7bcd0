//! In: where a chain ends now. Out: a signed statement of it for the log stream, which who holds the database can't take
//! back: a chain that was turned back, or cut together with its end, contradicts it.

use attest_core::{b64u, time::UnixTime};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::Head;
use crate::{error::StoreError, secrets::Secret32, sql::values, store::Store};

/// Where a writer's chain ended at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose chain.
    pub writer: String,
    /// How many entries it had.
    pub count: u64,
    /// The last one's MAC, base64url.
    pub head: String,
    /// When, Unix milliseconds.
    pub at: i64,
}

/// A checkpoint and the signature over it (Ed25519, base64url). As JSON it is one line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// By the audit checkpoint key.
    pub signature: String,
}

const DOMAIN: &[u8] = b"assay-audit-checkpoint-v1\0";

impl Store {
    /// A checkpoint of this process's chain, signed.
    ///
    /// # Errors
    /// `Damaged` where the record of its end was changed: nothing forged is signed.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, StoreError> {
        let inner = &self.0;
        let head = self.read(|tx| Head::load(tx, &super::key(inner), &inner.writer))?;
        if !head.is_genuine {
            return Err(StoreError::Damaged { what: "the record of where the audit chain ends" });
        }
        sign(&inner.secrets.audit_checkpoint, &inner.writer, &head, inner.clock.now())
    }

    /// Checkpoints of all other writers' chains, signed: of commands on any machine, and of services that are gone, which have
    /// no log of their own. A chain whose end was changed is left out: nothing forged is signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoints_of_others(&self) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let inner = &self.0;
        let key = super::key(inner);
        let heads = self.read(|tx| {
            let rows = tx.rows(
                "SELECT writer FROM audit_heads WHERE writer <> $1 ORDER BY writer",
                values![inner.writer.as_str()],
            )?;
            let head = |writer: String| Head::load(tx, &key, &writer).map(|head| (writer, head));
            rows.iter().map(|row| head(row.text(0)?)).collect::<Result<Vec<_>, StoreError>>()
        })?;
        let (seed, now) = (&inner.secrets.audit_checkpoint, inner.clock.now());
        let genuine = heads.iter().filter(|(_, head)| head.is_genuine);
        genuine.map(|(writer, head)| sign(seed, writer, head, now)).collect()
    }

    /// The public half of the key that signs checkpoints, base64url: with it they are checked without the store.
    ///
    /// # Errors
    /// `Damaged` where the key can't be used.
    pub fn checkpoint_key(&self) -> Result<String, StoreError> {
        Ok(b64u::encode(pair(&self.0.secrets.audit_checkpoint)?.public_key().as_ref()))
    }
}

fn sign(seed: &Secret32, writer: &str, head: &Head, at: UnixTime) -> Result<SignedCheckpoint, StoreError> {
    let checkpoint =
        Checkpoint { writer: writer.to_owned(), count: head.count, head: b64u::encode(&head.head), at: at.millis() };
    let signature = b64u::encode(pair(seed)?.sign(&message(&checkpoint)).as_ref());
    Ok(SignedCheckpoint { checkpoint, signature })
}

/// Whether the key of `seed` signed it.
pub(super) fn is_genuine(seed: &Secret32, signed: &SignedCheckpoint) -> Result<bool, StoreError> {
    let Ok(signature) = b64u::decode(signed.signature.as_bytes(), 64) else { return Ok(false) };
    let pair = pair(seed)?;
    let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    Ok(key.verify(&message(&signed.checkpoint), &signature).is_ok())
}

fn pair(seed: &Secret32) -> Result<Ed25519KeyPair, StoreError> {
    Ed25519KeyPair::from_seed_unchecked(&**seed).map_err(|_| StoreError::Damaged { what: "the audit checkpoint key" })
}

fn message(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { writer, count, head, at } = checkpoint;
    let mut message = DOMAIN.to_vec();
    for field in [writer.as_bytes(), &count.to_be_bytes(), head.as_bytes(), &at.to_be_bytes()] {
        message.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        message.extend_from_slice(field);
    }
    message
}
