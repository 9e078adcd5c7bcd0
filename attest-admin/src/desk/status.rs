//! What the service says of itself.

use super::{Viewer, tokens};
use crate::{problem::Problem, types::Status};

impl Viewer<'_> {
    /// The service, as this caller sees it.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn status(&self) -> Result<Status, Problem> {
        let desk = self.0;
        let ring = desk.store.key_ring()?;
        let active = ring.keys.iter().find(|key| key.state == attest_store::KeyState::Active);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: desk.now.secs(),
            actor: desk.actor.name.clone(),
            role: tokens::told_role(desk.actor.role),
            apps: desk.actor.apps.clone(),
            active_key: active.map(|key| key.kid.clone()),
        })
    }
}
