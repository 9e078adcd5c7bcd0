//! The keys that tokens are signed with.

use attest_core::time::UnixTime;

use super::{Administrator, Desk, Viewer, whole};
use crate::{
    problem::Problem,
    types::{self, KeySet, KeyState, Rotate, RotateWhen, Rotation, SigningKey},
};

impl Viewer<'_> {
    /// The key sets and their keys.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps.
    pub fn key_sets(&self) -> Result<types::Page<KeySet>, Problem> {
        let desk = self.0;
        desk.unlimited()?;
        let ring = desk.store.key_ring()?;
        let next = ring.in_state(attest_store::KeyState::Next);
        let set = KeySet {
            name: ring.key_set.clone(),
            concealment: ring.concealment.as_str().to_owned(),
            differs: ring.differs(),
            safe_from: next.map(|key| key.published.plus(desk.known.keys_stale).secs()),
            keys: ring.keys.iter().map(told).collect(),
        };
        Ok(whole(vec![set]))
    }
}

impl Administrator<'_> {
    /// Lets the next key take over.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` for another key set than the service's.
    pub fn rotate(&self, name: &str, rotate: &Rotate) -> Result<Rotation, Problem> {
        let desk = self.0;
        desk.is_key_set(name)?;
        let when = match rotate.when {
            RotateWhen::Safe => attest_store::RotateWhen::Safe,
            RotateWhen::Now => attest_store::RotateWhen::Now,
        };
        Ok(rotation(desk.store.rotate(&desk.actor, when)?))
    }

    /// Retires a key at once; where it signed, the next one does from now on.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` for a key that gateways don't know.
    pub fn retire_key(&self, name: &str, kid: &str) -> Result<Rotation, Problem> {
        let desk = self.0;
        desk.is_key_set(name)?;
        Ok(rotation(desk.store.retire_key(&desk.actor, kid)?))
    }
}

impl Desk {
    fn is_key_set(&self, name: &str) -> Result<(), Problem> {
        self.unlimited()?;
        (name == self.known.key_set).then_some(()).ok_or_else(|| Problem::not_found("there is no key set of this name"))
    }
}

fn rotation(rotation: attest_store::Rotation) -> Rotation {
    let attest_store::Rotation { from, to, at, scheduled, warning } = rotation;
    Rotation { from, to, at: at.secs(), scheduled, warning }
}

fn told(key: &attest_store::KeyView) -> SigningKey {
    SigningKey {
        kid: key.kid.clone(),
        algorithm: key.algorithm.as_str().to_owned(),
        state: match key.state {
            attest_store::KeyState::Next => KeyState::Next,
            attest_store::KeyState::Active => KeyState::Active,
            attest_store::KeyState::Retiring => KeyState::Retiring,
            attest_store::KeyState::Retired => KeyState::Retired,
        },
        created: key.created.secs(),
        published: key.published.secs(),
        activates: key.activates.map(UnixTime::secs),
        ends: key.ends.map(UnixTime::secs),
        revoked: key.revoked,
    }
}
