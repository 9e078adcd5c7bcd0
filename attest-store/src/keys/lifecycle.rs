//! From one state to the next. Every function here runs inside one change: the key that signed and the one that takes over
//! are never both or neither.

use std::time::Duration;

use attest_core::{time::UnixTime, token::Algorithm};
use serde_json::json;
use settings::TokenSettings;

use super::material::{self, NewKey, make, ring};
use super::{KeyRing, KeyState, KeyView, RotateWhen, Rotation};
use crate::{
    error::StoreError,
    secrets::Vault,
    sql::{Tx, values},
    store::{Change, Inner, Part},
};

/// How long gateways may let tokens live on when none can be had: what `accept_expired` is taken to be, at the most.
const ACCEPT_EXPIRED: Duration = Duration::from_secs(24 * 3600);
/// How long another replica may go on signing before it learns of a switch.
const REPLICAS: Duration = Duration::from_secs(60);
/// Keys whose tokens still live, at most: a key set holds 64 keys.
const MAX_RETIRING: usize = 48;
/// How long a retired key's name is remembered.
const KEEP_RETIRED: Duration = Duration::from_secs(90 * 24 * 3600);

/// Makes what a first start needs: a key that signs, and the next one.
pub(crate) fn make_missing(tx: &Tx<'_>, vault: &Vault, token: &TokenSettings, now: UnixTime) -> Result<(), StoreError> {
    let key_set = token.key_set.as_str();
    let concealment = material::stored_concealment(tx, key_set)?.unwrap_or(token.concealment);
    material::store_concealment(tx, key_set, concealment)?;
    let mut ring = ring(tx, token)?;
    for state in [KeyState::Active, KeyState::Next] {
        if ring.in_state(state).is_none() {
            let algorithm = algorithm_of(&ring);
            make(tx, vault, key_set, &NewKey { algorithm, concealment, state, activates: None }, now)?;
            ring = material::ring(tx, token)?;
        }
    }
    Ok(())
}

/// What the next key of the ring signs with: what is configured, unless that needs another kind of ring.
fn algorithm_of(ring: &KeyRing) -> Algorithm {
    let (algorithm, concealment) = ring.configured;
    match ring.in_state(KeyState::Active) {
        Some(active) if concealment != ring.concealment => active.algorithm,
        _ => algorithm,
    }
}

/// Takes up at a start what the configuration asks for: another algorithm comes with the next key, which signs when it is
/// safe. What the ring can't become by itself it does not become ([`KeyRing::differs`]).
pub(crate) fn follow_configuration(change: &Change<'_>) -> Result<(), StoreError> {
    let (tx, token) = (change.tx, &change.inner.token);
    // Keys from before their end was written down.
    let dated = tx.execute(
        "UPDATE signing_keys SET ends = $2 WHERE key_set = $1 AND state = 'retiring' AND ends IS NULL",
        values![token.key_set.as_str(), last_token_over(change)],
    )?;
    let ring = ring(tx, token)?;
    if let Some(differs) = ring.differs() {
        tracing::warn!(target: "assay::store", "{differs}");
    }
    let (active, next) = (key(&ring, KeyState::Active)?, key(&ring, KeyState::Next)?);
    let algorithm = algorithm_of(&ring);
    if next.algorithm != algorithm {
        let activates = (active.algorithm != algorithm).then(|| change.now.plus(change.inner.keys_stale));
        let kid = replace_next(
            change,
            next,
            &NewKey { algorithm, concealment: ring.concealment, state: KeyState::Next, activates },
        )?;
        let detail = json!({ "algorithm": algorithm.as_str(), "activates": activates.map(UnixTime::secs) });
        change.audit("keyset.algorithm", &kid, &detail)?;
    } else if active.algorithm != algorithm && next.activates.is_none() {
        schedule(change, &next.kid, safe_from(change, next))?;
    } else if dated == 0 {
        return Ok(());
    }
    change.touch(Part::Keys).map(|_| ())
}

/// Whether there is anything for [`do_what_is_due`].
pub(crate) fn is_anything_due(tx: &Tx<'_>, inner: &Inner, now: UnixTime) -> Result<bool, StoreError> {
    Ok(ring(tx, &inner.token)?.is_due(now))
}

/// Carries out what is due: a switch that was scheduled, and the end of keys whose tokens are over. Whichever replica comes
/// first does it; the others find it done.
pub(crate) fn do_what_is_due(change: &Change<'_>) -> Result<(), StoreError> {
    let (tx, now) = (change.tx, change.now);
    let ring = ring(tx, &change.inner.token)?;
    if !ring.is_due(now) {
        return Ok(());
    }
    let next = key(&ring, KeyState::Next)?;
    if next.activates.is_some_and(|at| at <= now) {
        let from = switch(change, &ring)?;
        change.audit("keyset.switched", &next.kid, &json!({ "from": from }))?;
    }
    let over = |key: &&KeyView| key.state == KeyState::Retiring && key.ends.is_some_and(|ends| ends <= now);
    for key in ring.keys.iter().filter(over) {
        wipe(change, &key.kid)?;
        change.audit("keyset.retired", &key.kid, &json!({}))?;
    }
    tx.execute(
        "DELETE FROM signing_keys WHERE key_set = $1 AND state = 'retired' AND ends < $2",
        values![ring.key_set.as_str(), now.minus(KEEP_RETIRED)],
    )?;
    change.touch(Part::Keys).map(|_| ())
}

pub(super) fn rotate(change: &Change<'_>, when: RotateWhen) -> Result<Rotation, StoreError> {
    let ring = ring(change.tx, &change.inner.token)?;
    let (active, next) = (key(&ring, KeyState::Active)?, key(&ring, KeyState::Next)?);
    if ring.configured.1 != ring.concealment {
        return match when {
            RotateWhen::Now => begin_anew(change, &ring, active),
            RotateWhen::Safe => Err(StoreError::Refused {
                why: "the configuration asks for another concealment than this key set has, and one key set can't hold both: \
                      rotate at once, and every app has to fetch a new token; docs/service-keys.md has the way without a gap",
            }),
        };
    }
    let (from, to, safe) = (active.kid.clone(), next.kid.clone(), safe_from(change, next));
    if when == RotateWhen::Safe && safe > change.now {
        // Asked for twice, it does not come later.
        let at = next.activates.map_or(safe, |at| at.min(safe));
        schedule(change, &to, at)?;
        change.touch(Part::Keys)?;
        return Ok(Rotation { from, to, at, scheduled: true, warning: None });
    }
    let retiring = ring.keys.iter().filter(|key| key.state == KeyState::Retiring).count();
    if retiring >= MAX_RETIRING {
        return Err(StoreError::TooMany { what: "keys whose tokens are still alive", max: MAX_RETIRING });
    }
    switch(change, &ring)?;
    change.touch(Part::Keys)?;
    Ok(Rotation { from, to, at: change.now, scheduled: false, warning: early(change, next, safe) })
}

pub(super) fn retire(change: &Change<'_>, kid: &str) -> Result<Rotation, StoreError> {
    let ring = ring(change.tx, &change.inner.token)?;
    let known = ring.keys.iter().find(|key| key.kid == kid && key.state != KeyState::Retired);
    let known = known.ok_or(StoreError::NotFound { what: "key" })?;
    let (active, next) = (key(&ring, KeyState::Active)?, key(&ring, KeyState::Next)?);
    let (to, warning) = match known.state {
        KeyState::Active => {
            switch(change, &ring)?;
            (next.kid.clone(), early(change, next, safe_from(change, next)))
        }
        KeyState::Next => {
            let algorithm = algorithm_of(&ring);
            // What was scheduled for it is scheduled anew: the one in its place has to become known first.
            let activates = next.activates.map(|_| change.now.plus(change.inner.keys_stale));
            let new = NewKey { algorithm, concealment: ring.concealment, state: KeyState::Next, activates };
            wipe(change, kid)?;
            make(change.tx, &change.inner.vault, &ring.key_set, &new, change.now)?;
            (active.kid.clone(), None)
        }
        KeyState::Retiring | KeyState::Retired => (active.kid.clone(), None),
    };
    wipe(change, kid)?;
    change.touch(Part::Keys)?;
    Ok(Rotation { from: kid.to_owned(), to, at: change.now, scheduled: false, warning })
}

/// Another kind of ring in this one's place: every token in hand is worthless from now on.
fn begin_anew(change: &Change<'_>, ring: &KeyRing, active: &KeyView) -> Result<Rotation, StoreError> {
    let (algorithm, concealment) = ring.configured;
    for key in ring.keys.iter().filter(|key| key.state != KeyState::Retired) {
        wipe(change, &key.kid)?;
    }
    material::store_concealment(change.tx, &ring.key_set, concealment)?;
    let new = |state| NewKey { algorithm, concealment, state, activates: None };
    let (tx, vault) = (change.tx, &change.inner.vault);
    let to = make(tx, vault, &ring.key_set, &new(KeyState::Active), change.now)?;
    make(tx, vault, &ring.key_set, &new(KeyState::Next), change.now)?;
    change.touch(Part::Keys)?;
    let warning = Some(
        "every token in hand is refused from now on, until its app has fetched another; a gateway refuses the new ones until \
         it has fetched its keys"
            .to_owned(),
    );
    Ok(Rotation { from: active.kid.clone(), to, at: change.now, scheduled: false, warning })
}

/// The next key signs, the one that signed is retiring, and another is next; which one that was.
fn switch(change: &Change<'_>, ring: &KeyRing) -> Result<String, StoreError> {
    let (active, next) = (key(ring, KeyState::Active)?, key(ring, KeyState::Next)?);
    let (tx, now) = (change.tx, change.now);
    tx.execute(
        "UPDATE signing_keys SET state = 'retiring', ends = $2 WHERE kid = $1",
        values![active.kid.as_str(), last_token_over(change)],
    )?;
    tx.execute(
        "UPDATE signing_keys SET state = 'active', activates = NULL, activated = $2 WHERE kid = $1",
        values![next.kid.as_str(), now],
    )?;
    let new =
        NewKey { algorithm: algorithm_of(ring), concealment: ring.concealment, state: KeyState::Next, activates: None };
    make(tx, &change.inner.vault, &ring.key_set, &new, now)?;
    Ok(active.kid.clone())
}

fn replace_next(change: &Change<'_>, next: &KeyView, new: &NewKey) -> Result<String, StoreError> {
    // It signed nothing, so nobody will miss it.
    change.tx.execute("DELETE FROM signing_keys WHERE kid = $1 AND state = 'next'", values![next.kid.as_str()])?;
    make(change.tx, &change.inner.vault, &change.inner.token.key_set, new, change.now)
}

fn schedule(change: &Change<'_>, kid: &str, at: UnixTime) -> Result<(), StoreError> {
    change.tx.execute("UPDATE signing_keys SET activates = $2 WHERE kid = $1 AND state = 'next'", values![kid, at])?;
    Ok(())
}

/// Wipes the secret; the name stays, retired.
fn wipe(change: &Change<'_>, kid: &str) -> Result<(), StoreError> {
    change.tx.execute(
        "UPDATE signing_keys SET state = 'retired', secret = NULL, decoy = NULL, activates = NULL, ends = $2
         WHERE kid = $1",
        values![kid, change.now],
    )?;
    Ok(())
}

/// From when on every gateway that may still verify has the key: whoever fetched last before it was published has keys too
/// old to be used by then.
fn safe_from(change: &Change<'_>, next: &KeyView) -> UnixTime {
    next.published.plus(change.inner.keys_stale)
}

/// When the last token that a key signs until now is over, wherever it is accepted.
fn last_token_over(change: &Change<'_>) -> UnixTime {
    let token = &change.inner.token;
    [REPLICAS, token.lifetime, token.leeway, ACCEPT_EXPIRED].into_iter().fold(change.now, UnixTime::plus)
}

fn early(change: &Change<'_>, next: &KeyView, safe: UnixTime) -> Option<String> {
    let age = change.now.since(next.published).unwrap_or_default().as_secs();
    (safe > change.now).then(|| {
        format!(
            "key {} was published {age} s ago: a gateway that has not fetched its keys since then, and can't now, refuses the \
             tokens that it signs until it does",
            next.kid
        )
    })
}

fn key(ring: &KeyRing, state: KeyState) -> Result<&KeyView, StoreError> {
    ring.in_state(state).ok_or(StoreError::Damaged { what: "the key set: a key that signs or the next one is missing" })
}
