//! In: the signing keys of the key set, sealed in the database. Out: the ring of them, each in its state. What is proven: there
//! is always one key that signs and one that is published before it does.

use std::fmt;

use attest_core::{
    b64u,
    random::{NoRandomness, array},
    time::UnixTime,
    token::{Algorithm, issue::SigningKey},
};
use serde_json::json;
use settings::TokenSettings;
use zeroize::Zeroizing;

use crate::{
    actor::{Actor, Role},
    error::StoreError,
    secrets::{Secret, Vault},
    sql::{Tx, values},
    store::{Change, Inner, Part, Store},
};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, signs nothing yet.
    Next,
    /// Signs.
    Active,
    /// Signs nothing any more; its tokens still live.
    Retiring,
}

/// The keys of the key set that gateways have to know. `Debug` shows no secret.
pub struct KeyRing {
    /// The one that signs first.
    pub keys: Vec<KeyView>,
    /// Their secrets, in the same order.
    pub(crate) secrets: Vec<KeySecret>,
}

/// What a key signs with, and what failed apps' tokens are signed with.
pub(crate) struct KeySecret {
    pub(crate) secret: Secret,
    pub(crate) decoy: Option<Secret>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KeyRing").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// One key.
#[derive(Debug)]
pub struct KeyView {
    /// Its name in token headers.
    pub kid: String,
    /// What it signs with.
    pub alg: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: UnixTime,
    /// Since when gateways know it.
    pub published: UnixTime,
    /// When the next one is to sign, where that was asked for.
    pub activates: Option<UnixTime>,
    /// When the last token of a retiring one is over.
    pub ends: Option<UnixTime>,
}

/// When the next key is to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateWhen {
    /// As soon as every gateway knows it.
    Safe,
    /// At once, also where a gateway may refuse good tokens for a while.
    Now,
}

/// What a rotation did, or will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signs until then.
    pub from: String,
    /// The key that signs from then on.
    pub to: String,
    /// When.
    pub at: UnixTime,
    /// Whether that is still to come.
    pub scheduled: bool,
    /// What may go wrong.
    pub warning: Option<String>,
}

/// Bytes of an HMAC key: the block of SHA-256, enough for HS512 (RFC 7518, 3.2).
const HMAC_BYTES: usize = 64;
const COLUMNS: &str = "kid, algorithm, state, created, published, activates, ends, secret, decoy";

impl KeyRing {
    /// The keys of the configured key set that conceal as it does.
    pub(crate) fn load(tx: &Tx<'_>, vault: &Vault, token: &TokenSettings) -> Result<Self, StoreError> {
        let rows = tx.rows(
            &format!(
                "SELECT {COLUMNS} FROM signing_keys WHERE key_set = $1 AND state <> 'retired'
                 ORDER BY CASE state WHEN 'active' THEN 0 WHEN 'next' THEN 1 ELSE 2 END, created DESC"
            ),
            values![token.key_set.as_str()],
        )?;
        let mut ring = Self { keys: Vec::new(), secrets: Vec::new() };
        for row in rows {
            let alg: Algorithm =
                row.text(1)?.parse().map_err(|_| StoreError::Damaged { what: "a signing key's algorithm" })?;
            // A key set conceals in one way: HMAC keys and others never stand in one document.
            if alg.is_hmac() != token.algorithm.is_hmac() {
                continue;
            }
            let kid = row.text(0)?;
            let name = |part: &str| key_name(&token.key_set, &kid, part);
            ring.secrets.push(KeySecret {
                secret: vault.unseal(&name("secret"), &row.blob(7)?)?,
                decoy: row.opt_blob(8)?.map(|decoy| vault.unseal(&name("decoy"), &decoy)).transpose()?,
            });
            ring.keys.push(KeyView {
                kid,
                alg,
                state: parse_state(&row.text(2)?)?,
                created: row.time(3)?,
                published: row.time(4)?,
                activates: row.opt_time(5)?,
                ends: row.opt_time(6)?,
            });
        }
        Ok(ring)
    }
}

impl Store {
    /// The keys as they are in the database now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn key_ring(&self) -> Result<KeyRing, StoreError> {
        self.read(|tx| KeyRing::load(tx, &self.0.vault, &self.0.token))
    }

    /// Lets the next key sign.
    ///
    /// # Errors
    /// [`StoreError`]; `Forbidden`.
    pub fn rotate(&self, actor: &Actor, when: RotateWhen) -> Result<Rotation, StoreError> {
        self.change(actor, (Role::Admin, None), |change| {
            let ring = KeyRing::load(change.tx, &self.0.vault, &self.0.token)?;
            let find = |state| ring.keys.iter().find(|key| key.state == state);
            let (Some(active), Some(next)) = (find(KeyState::Active), find(KeyState::Next)) else {
                return Err(StoreError::NotFound { what: "next key" });
            };
            let safe = next.published.plus(self.0.keys_stale);
            let scheduled = when == RotateWhen::Safe && safe > change.now;
            let at = if scheduled { safe } else { change.now };
            change.audit("key.rotate", &next.kid, &json!({ "from": active.kid, "at": at.secs() }))?;
            if scheduled {
                change
                    .tx
                    .execute("UPDATE signing_keys SET activates = $2 WHERE kid = $1", values![next.kid.as_str(), at])?;
            } else {
                activate(change, &active.kid, &next.kid)?;
            }
            change.touch(Part::Keys)?;
            let early = !scheduled && safe > change.now;
            Ok(Rotation {
                from: active.kid.clone(),
                to: next.kid.clone(),
                at,
                scheduled,
                warning: early.then(|| "gateways that were away may refuse its tokens until they fetch it".to_owned()),
            })
        })
    }

    /// Retires a key at once: its tokens are revoked.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for the key that signs; `Forbidden`.
    pub fn retire_key(&self, actor: &Actor, kid: &str) -> Result<(), StoreError> {
        let _ = (actor, kid);
        Err(StoreError::NotFound { what: "key" })
    }
}

/// Makes the key that signs and the next one, where there is none of the configured algorithm.
pub(crate) fn make_missing(tx: &Tx<'_>, vault: &Vault, token: &TokenSettings, now: UnixTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE signing_keys SET state = 'retiring' WHERE key_set = $1 AND algorithm <> $2 AND state = 'active'",
        values![token.key_set.as_str(), token.algorithm.as_str()],
    )?;
    tx.execute(
        "DELETE FROM signing_keys WHERE key_set = $1 AND algorithm <> $2 AND state = 'next'",
        values![token.key_set.as_str(), token.algorithm.as_str()],
    )?;
    for state in ["active", "next"] {
        let there = tx.row(
            "SELECT kid FROM signing_keys WHERE key_set = $1 AND state = $2",
            values![token.key_set.as_str(), state],
        )?;
        if there.is_none() {
            make(tx, vault, token, state, now)?;
        }
    }
    Ok(())
}

fn make(tx: &Tx<'_>, vault: &Vault, token: &TokenSettings, state: &str, now: UnixTime) -> Result<(), StoreError> {
    let kid = b64u::encode(&array::<9>(&*vault.random)?);
    let name = |part: &str| key_name(&token.key_set, &kid, part);
    let hmac_secret = || -> Result<Secret, NoRandomness> {
        let mut secret = Zeroizing::new(vec![0; HMAC_BYTES]);
        vault.random.fill(&mut secret)?;
        Ok(secret)
    };
    let (secret, decoy) = if token.algorithm.is_hmac() {
        (hmac_secret()?, Some(hmac_secret()?))
    } else {
        (SigningKey::generate_pkcs8(token.algorithm).map_err(|_| NoRandomness)?, None)
    };
    tx.execute(
        "INSERT INTO signing_keys (kid, key_set, algorithm, state, secret, decoy, created, published, activated)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        values![
            kid.as_str(),
            token.key_set.as_str(),
            token.algorithm.as_str(),
            state,
            vault.seal(&name("secret"), &secret)?,
            decoy.map(|decoy| vault.seal(&name("decoy"), &decoy)).transpose()?,
            now,
            (state == "active").then_some(now)
        ],
    )?;
    Ok(())
}

fn activate(change: &Change<'_>, from: &str, to: &str) -> Result<(), StoreError> {
    let inner = change.inner;
    let ends = change.now.plus(Store::revocation_life(&inner.token));
    change.tx.execute("UPDATE signing_keys SET state = 'retiring', ends = $2 WHERE kid = $1", values![from, ends])?;
    change.tx.execute(
        "UPDATE signing_keys SET state = 'active', activates = NULL, activated = $2 WHERE kid = $1",
        values![to, change.now],
    )?;
    make(change.tx, &inner.vault, &inner.token, "next", change.now)
}

/// Whether a key has to change its state by now.
pub(crate) fn is_anything_due(tx: &Tx<'_>, inner: &Inner, now: UnixTime) -> Result<bool, StoreError> {
    let due = tx.row(
        "SELECT kid FROM signing_keys WHERE key_set = $1
         AND ((state = 'next' AND activates <= $2) OR (state = 'retiring' AND ends <= $2))",
        values![inner.token.key_set.as_str(), now],
    )?;
    Ok(due.is_some())
}

/// Does what is due.
pub(crate) fn do_what_is_due(change: &Change<'_>) -> Result<(), StoreError> {
    let ring = KeyRing::load(change.tx, &change.inner.vault, &change.inner.token)?;
    let active = ring.keys.iter().find(|key| key.state == KeyState::Active);
    let next = ring.keys.iter().find(|key| key.activates.is_some_and(|at| at <= change.now));
    if let (Some(active), Some(next)) = (active, next) {
        change.audit("key.activate", &next.kid, &json!({ "from": active.kid }))?;
        activate(change, &active.kid, &next.kid)?;
    }
    for key in ring.keys.iter().filter(|key| key.ends.is_some_and(|ends| ends <= change.now)) {
        change.audit("key.retired", &key.kid, &json!({}))?;
        change.tx.execute(
            "UPDATE signing_keys SET state = 'retired', secret = NULL, decoy = NULL WHERE kid = $1",
            values![key.kid.as_str()],
        )?;
    }
    change.touch(Part::Keys)?;
    Ok(())
}

fn key_name(key_set: &str, kid: &str, part: &str) -> String {
    format!("signing-key/{key_set}/{kid}/{part}")
}

fn parse_state(word: &str) -> Result<KeyState, StoreError> {
    match word {
        "next" => Ok(KeyState::Next),
        "active" => Ok(KeyState::Active),
        "retiring" => Ok(KeyState::Retiring),
        _ => Err(StoreError::Damaged { what: "a signing key's state" }),
    }
}
