//! The signing keys of one key set, each in one state: `next` is published and signs nothing yet, `active` signs, `retiring`
//! signs nothing more and its tokens still live, `retired` is a name only: its secret was wiped.
//!
//! In: who asks, and how soon. Out: a [`Rotation`]. What is proven: there is always one key that signs and one that is
//! next; by [`RotateWhen::Safe`] a key signs only when every gateway that may still verify has it; whichever replica is
//! there carries out what was scheduled, once.

mod lifecycle;
mod material;

use std::sync::Arc;

use attest_core::{
    time::UnixTime,
    token::{Algorithm, key_set::Concealment},
};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    revocations::{self, Revocation},
    store::Store,
};

pub(crate) use lifecycle::{do_what_is_due, follow_configuration, is_anything_due, make_missing};
pub(crate) use material::{OpenKey, open_keys, ring};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, signs nothing yet.
    Next,
    /// Signs.
    Active,
    /// Signs nothing any more; its tokens still live.
    Retiring,
    /// Gone: its tokens are over, or it was revoked. The secret was wiped.
    Retired,
}

impl KeyState {
    /// All states, in the order of a key's life.
    pub const ALL: [Self; 4] = [Self::Next, Self::Active, Self::Retiring, Self::Retired];

    /// The state's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == word);
        state.ok_or(StoreError::Damaged { what: "a signing key's state" })
    }
}

/// A key, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its name in token headers.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: UnixTime,
    /// Since when gateways can have it.
    pub published: UnixTime,
    /// When it will sign, where that was asked for.
    pub activates: Option<UnixTime>,
    /// Since when it signs or signed.
    pub activated: Option<UnixTime>,
    /// When the last of its tokens is over; of a retired key: when it was wiped.
    pub ends: Option<UnixTime>,
    /// Whether it was taken out of use by hand, with all of its tokens.
    pub revoked: bool,
}

impl KeyView {
    /// Whether gateways are told that it is no key any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.revoked && self.state == KeyState::Retired
    }
}

/// The keys of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    /// The key set's name.
    pub key_set: String,
    /// How failed apps' tokens are told: the ring's, which is the configuration's except where [`KeyRing::differs`].
    pub concealment: Concealment,
    /// What the configuration asks for.
    pub configured: (Algorithm, Concealment),
    /// The keys, in the order of their states, the newest first.
    pub keys: Vec<KeyView>,
}

impl KeyRing {
    /// The key in this state; of several the newest.
    #[must_use]
    pub fn in_state(&self, state: KeyState) -> Option<&KeyView> {
        self.keys.iter().find(|key| key.state == state)
    }

    /// What the configuration asks for and the ring can't become by itself, as a sentence; to be said at every start.
    ///
    /// Another algorithm of the same concealment needs nothing: the next key has it, and signs when it is safe.
    #[must_use]
    pub fn differs(&self) -> Option<String> {
        let (algorithm, concealment) = self.configured;
        let active = self.in_state(KeyState::Active).filter(|_| concealment != self.concealment)?;
        Some(format!(
            "attestation.token asks for {algorithm} with concealment {}, and key set {} is in use with {} and {}: it goes on as \
             it is, for one key set can't hold both. `assay keyset rotate --now` changes it, and makes every token in hand \
             worthless at once; docs/service-keys.md has the way without a gap",
            concealment.as_str(),
            self.key_set,
            active.algorithm,
            self.concealment.as_str(),
        ))
    }

    /// Whether something is to be done with it at `now`: a switch that was scheduled, or a key whose tokens are over.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        self.keys.iter().any(|key| match key.state {
            KeyState::Next => key.activates.is_some_and(|at| at <= now),
            KeyState::Retiring => key.ends.is_some_and(|at| at <= now),
            KeyState::Active | KeyState::Retired => false,
        })
    }
}

/// How soon the next key is to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateWhen {
    /// As soon as every gateway has it: at once, where it was published long enough ago, else at a time that is told.
    Safe,
    /// At once.
    Now,
}

/// A change of the key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signed, or signs until then.
    pub from: String,
    /// The key that signs after it.
    pub to: String,
    /// When.
    pub at: UnixTime,
    /// Whether it is still to come.
    pub scheduled: bool,
    /// Whom it may lock out, and for how long.
    pub warning: Option<String>,
}

impl Store {
    /// The keys of the configured key set.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn key_ring(&self) -> Result<Arc<KeyRing>, StoreError> {
        self.read(|tx| ring(tx, &self.0.token).map(Arc::new))
    }

    /// Lets the next key sign. The one that signed goes on being accepted until its last token is over.
    ///
    /// # Errors
    /// `Refused` for [`RotateWhen::Safe`] where [`KeyRing::differs`]; `TooMany` after many rotations within a day;
    /// `Forbidden`.
    pub fn rotate(&self, actor: &Actor, when: RotateWhen) -> Result<Rotation, StoreError> {
        self.change(actor, (Role::Admin, None), |change| {
            let detail = json!({ "when": match when { RotateWhen::Safe => "safe", RotateWhen::Now => "now" } });
            change.audit("keyset.rotate", &change.inner.token.key_set, &detail)?;
            lifecycle::rotate(change, when)
        })
    }

    /// Takes a key out of use at once, with all of its tokens; the secret is wiped. For a key that somebody else may have.
    /// Where it signed, the next one signs from now on.
    ///
    /// # Errors
    /// `NotFound` for a key that is retired or was never there; `Forbidden`.
    pub fn retire_key(&self, actor: &Actor, kid: &str) -> Result<Rotation, StoreError> {
        check::name("kid", kid)?;
        self.change(actor, (Role::Admin, None), |change| {
            change.audit("keyset.retire", kid, &json!({}))?;
            let rotation = lifecycle::retire(change, kid)?;
            let until = change.now.plus(Self::revocation_life(&change.inner.token));
            revocations::put(change, &Revocation::Kid(kid.to_owned()), Some(until), "the key was retired")?;
            Ok(rotation)
        })
    }
}

#[cfg(test)]
mod tests;
