//! The keys of one store. In: the key-encryption key, and the two keys that the store's head holds sealed. Out:
//! [`StoreKeys`], one key for each use; nothing here leaves the crate but the key of the audit chain.
//!
//! Two are derived from the key-encryption key and change with it; two from the store's own inner key, so that fingerprints
//! and the audit chain outlive a rotation.

use attest_core::random::{Random, array};
use zeroize::Zeroizing;

use crate::api_key::ApiKey;
use crate::crypto::{self, Canonical, DoesNotOpen, Key256};
use crate::master_key::MasterKey;
use crate::recipient::{self, PublicKey};
use crate::sealed::{Fingerprint, SealError};

/// What is needed to prove a store's head, before anything in it is opened.
pub(crate) struct OuterKeys {
    wrap: Key256,
    pub(crate) manifest: Key256,
}

/// The keys of one store.
pub(crate) struct StoreKeys {
    pub(crate) wrap: Key256,
    pub(crate) manifest: Key256,
    fingerprint: Key256,
    audit: Key256,
    pub(crate) recipient: PublicKey,
    pub(crate) recipient_key: Key256,
}

/// The two keys that the head of a store holds, sealed under its wrap key.
#[derive(Clone)]
pub(crate) struct SealedKeys {
    /// 32 random bytes: nonce, ciphertext, tag.
    pub(crate) inner_key: Vec<u8>,
    /// The public half of the pair that others seal with.
    pub(crate) recipient: PublicKey,
    /// Its private half: nonce, ciphertext, tag.
    pub(crate) recipient_key: Vec<u8>,
}

impl OuterKeys {
    pub(crate) fn new(master: &MasterKey, store: &[u8; 16]) -> Self {
        Self {
            wrap: master.derive(store, "assay-keystore-wrap-v2"),
            manifest: master.derive(store, "assay-keystore-manifest-v2"),
        }
    }

    /// Opens the keys in a proven head.
    pub(crate) fn open(self, store: &[u8; 16], sealed: &SealedKeys) -> Result<StoreKeys, DoesNotOpen> {
        let inner = crypto::open32(&self.wrap, &inner_about(store), &sealed.inner_key)?;
        let about = recipient_about(store, &sealed.recipient);
        let recipient_key = crypto::open32(&self.wrap, &about, &sealed.recipient_key)?;
        if recipient::public_of(&recipient_key) != Some(sealed.recipient) {
            return Err(DoesNotOpen);
        }
        Ok(self.whole(store, &inner, sealed.recipient, recipient_key))
    }

    /// Keys for a new store.
    pub(crate) fn fresh(self, store: &[u8; 16], random: &dyn Random) -> Result<(StoreKeys, SealedKeys), SealError> {
        let inner = Zeroizing::new(array::<32>(random)?);
        self.around(store, &inner, random)
    }

    /// Keys around an inner key, with a new pair for others to seal with.
    fn around(
        self,
        store: &[u8; 16],
        inner: &Key256,
        random: &dyn Random,
    ) -> Result<(StoreKeys, SealedKeys), SealError> {
        let (recipient, recipient_key) = recipient::generate(random)?;
        let seal = |about: Vec<u8>, key: &Key256| {
            Ok::<_, SealError>(crypto::seal(&self.wrap, array(random)?, &about, key.as_slice())?)
        };
        let sealed = SealedKeys {
            inner_key: seal(inner_about(store), inner)?,
            recipient,
            recipient_key: seal(recipient_about(store, &recipient), &recipient_key)?,
        };
        Ok((self.whole(store, inner, recipient, recipient_key), sealed))
    }

    fn whole(self, store: &[u8; 16], inner: &Key256, recipient: PublicKey, recipient_key: Key256) -> StoreKeys {
        let from_inner = |label| crypto::hkdf32(inner.as_slice(), store, label);
        StoreKeys {
            wrap: self.wrap,
            manifest: self.manifest,
            fingerprint: from_inner("assay-keystore-fingerprint-v2"),
            audit: from_inner("assay-audit-v1"),
            recipient,
            recipient_key,
        }
    }
}

impl StoreKeys {
    /// The keys of the same store under another key-encryption key: the inner key stays, the pair is a new one, since who
    /// had the old key-encryption key had its private half.
    pub(crate) fn under(
        &self,
        sealed: &SealedKeys,
        store: &[u8; 16],
        master: &MasterKey,
        random: &dyn Random,
    ) -> Result<(Self, SealedKeys), SealError> {
        let inner = crypto::open32(&self.wrap, &inner_about(store), &sealed.inner_key)?;
        OuterKeys::new(master, store).around(store, &inner, random)
    }

    pub(crate) fn fingerprint_of(&self, secret: &ApiKey) -> Fingerprint {
        let mac = crypto::mac(&self.fingerprint, secret.expose());
        Fingerprint(*mac.first_chunk().unwrap_or(&[0; 8]))
    }

    /// The key of this store's audit chain.
    pub(crate) fn audit(&self) -> Zeroizing<[u8; 32]> {
        self.audit.clone()
    }
}

fn inner_about(store: &[u8; 16]) -> Vec<u8> {
    Canonical::new("assay-keystore-inner-key-v2").field(store).bytes()
}

fn recipient_about(store: &[u8; 16], recipient: &PublicKey) -> Vec<u8> {
    Canonical::new("assay-keystore-recipient-key-v2").field(store).field(&recipient.0).bytes()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use attest_core::random::SystemRandom;

    /// Keys of a store that is nowhere.
    pub(crate) fn fresh() -> StoreKeys {
        let master = MasterKey::generate(&SystemRandom).unwrap();
        OuterKeys::new(&master, &[1; 16]).fresh(&[1; 16], &SystemRandom).unwrap().0
    }

    #[test]
    fn a_head_with_the_keys_of_another_store_or_another_pair_does_not_open() {
        let master = MasterKey::generate(&SystemRandom).unwrap();
        let outer = || OuterKeys::new(&master, &[1; 16]);
        let (_, sealed) = outer().fresh(&[1; 16], &SystemRandom).unwrap();
        let (_, other) = outer().fresh(&[1; 16], &SystemRandom).unwrap();
        assert!(outer().open(&[1; 16], &sealed).is_ok());
        assert!(outer().open(&[2; 16], &sealed).is_err());
        assert!(OuterKeys::new(&master, &[2; 16]).open(&[1; 16], &sealed).is_err());
        assert!(outer().open(&[1; 16], &SealedKeys { recipient: other.recipient, ..sealed.clone() }).is_err());
        assert!(outer().open(&[1; 16], &SealedKeys { recipient_key: other.recipient_key, ..sealed.clone() }).is_err());
        let swapped = SealedKeys { inner_key: sealed.recipient_key.clone(), ..sealed };
        assert!(outer().open(&[1; 16], &swapped).is_err());
    }

    #[test]
    fn under_another_key_fingerprints_and_the_audit_key_stay_and_the_pair_does_not() {
        let master = MasterKey::generate(&SystemRandom).unwrap();
        let (keys, sealed) = OuterKeys::new(&master, &[1; 16]).fresh(&[1; 16], &SystemRandom).unwrap();
        let other = MasterKey::generate(&SystemRandom).unwrap();
        let (moved, resealed) = keys.under(&sealed, &[1; 16], &other, &SystemRandom).unwrap();
        let secret = ApiKey::parse(b"sk-0123456789abcdef").unwrap();
        assert_eq!(moved.fingerprint_of(&secret), keys.fingerprint_of(&secret));
        assert_eq!(moved.audit(), keys.audit());
        assert_ne!(moved.recipient, keys.recipient);
        assert!(moved.wrap != keys.wrap && moved.manifest != keys.manifest);
        assert!(OuterKeys::new(&other, &[1; 16]).open(&[1; 16], &resealed).is_ok());
        assert!(OuterKeys::new(&master, &[1; 16]).open(&[1; 16], &resealed).is_err());
    }
}
