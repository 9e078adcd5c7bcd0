//! The rows behind the keys: made, sealed, opened, read.

use attest_core::{
    b64u,
    random::{NoRandomness, array},
    time::UnixTime,
    token::{Algorithm, issue::SigningKey, key_set::Concealment, key_set::KeySetError},
};
use settings::TokenSettings;
use zeroize::Zeroizing;

use super::{KeyRing, KeyState, KeyView};
use crate::{
    error::StoreError,
    secrets::{Secret, Vault},
    sql::{Row, Tx, values},
};

/// Bytes of an HMAC key: the block of SHA-256, twice the least that HS256 takes, enough for HS512 (RFC 7518, 3.2).
const HMAC_BYTES: usize = 64;

/// A signing key in the clear.
pub(crate) struct OpenKey {
    pub(crate) view: KeyView,
    /// The HMAC secret, or the private key in PKCS#8.
    pub(crate) secret: Secret,
    /// What failed apps' tokens are signed with, in a ring with concealment `decoy`.
    pub(crate) decoy: Option<Secret>,
}

impl OpenKey {
    /// The key that signs tokens of this ring.
    pub(crate) fn signing_key(&self, concealment: Concealment) -> Result<SigningKey, KeySetError> {
        self.of_secret(&self.secret, concealment)
    }

    /// The key that signs failed apps' tokens, where there is one.
    pub(crate) fn decoy_key(&self, concealment: Concealment) -> Result<Option<SigningKey>, KeySetError> {
        self.decoy.as_ref().map(|decoy| self.of_secret(decoy, concealment)).transpose()
    }

    fn of_secret(&self, secret: &[u8], concealment: Concealment) -> Result<SigningKey, KeySetError> {
        let KeyView { kid, algorithm, .. } = &self.view;
        let key = match algorithm.is_hmac() {
            true => SigningKey::hmac(kid, *algorithm, secret)?,
            false => SigningKey::from_pkcs8(kid, *algorithm, secret)?,
        };
        if concealment == Concealment::Sealed { key.sealed() } else { Ok(key) }
    }
}

const COLUMNS: &str = "kid, algorithm, state, created, published, activates, activated, ends,
    (SELECT count(*) FROM revocations WHERE kind = 'kid' AND value = kid AND lifted = 0)";

/// The keys of the configured key set, without their secrets.
pub(crate) fn ring(tx: &Tx<'_>, token: &TokenSettings) -> Result<KeyRing, StoreError> {
    let rows = tx.rows(
        &format!("SELECT {COLUMNS} FROM signing_keys WHERE key_set = $1 ORDER BY created DESC, kid"),
        values![token.key_set.as_str()],
    )?;
    let mut keys = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    keys.sort_by_key(|key| key.state as u8);
    let concealment = stored_concealment(tx, &token.key_set)?.unwrap_or(token.concealment);
    let configured = (token.algorithm, token.concealment);
    Ok(KeyRing { key_set: token.key_set.clone(), concealment, configured, keys })
}

/// The keys that gateways have to know, opened.
pub(crate) fn open_keys(tx: &Tx<'_>, vault: &Vault, ring: &KeyRing) -> Result<Vec<OpenKey>, StoreError> {
    let live = |key: &&KeyView| key.state != KeyState::Retired && fits(key.algorithm, ring.concealment);
    ring.keys.iter().filter(live).map(|key| open(tx, vault, &ring.key_set, key)).collect()
}

/// A set conceals in one way: shared secrets and public keys never stand in one document.
fn fits(algorithm: Algorithm, concealment: Concealment) -> bool {
    algorithm.is_hmac() == (concealment == Concealment::Decoy)
}

fn open(tx: &Tx<'_>, vault: &Vault, key_set: &str, key: &KeyView) -> Result<OpenKey, StoreError> {
    let kid = key.kid.as_str();
    let row = tx.row("SELECT secret, decoy FROM signing_keys WHERE kid = $1", values![kid])?;
    let row = row.ok_or(StoreError::Damaged { what: "a signing key" })?;
    let decoy = row.opt_blob(1)?.map(|decoy| vault.unseal(&name(key_set, kid, "decoy"), &decoy)).transpose()?;
    Ok(OpenKey { view: key.clone(), secret: vault.unseal(&name(key_set, kid, "secret"), &row.blob(0)?)?, decoy })
}

fn view(row: &Row) -> Result<KeyView, StoreError> {
    let damaged = |_| StoreError::Damaged { what: "a signing key's algorithm" };
    Ok(KeyView {
        kid: row.text(0)?,
        algorithm: row.text(1)?.parse().map_err(damaged)?,
        state: KeyState::parse(&row.text(2)?)?,
        created: row.time(3)?,
        published: row.time(4)?,
        activates: row.opt_time(5)?,
        activated: row.opt_time(6)?,
        ends: row.opt_time(7)?,
        revoked: row.int(8)? != 0,
    })
}

/// A key to be made.
pub(super) struct NewKey {
    pub(super) algorithm: Algorithm,
    pub(super) concealment: Concealment,
    pub(super) state: KeyState,
    pub(super) activates: Option<UnixTime>,
}

/// Makes a key; its name.
pub(super) fn make(
    tx: &Tx<'_>,
    vault: &Vault,
    key_set: &str,
    new: &NewKey,
    now: UnixTime,
) -> Result<String, StoreError> {
    // What could never be used is never made.
    if new.concealment == Concealment::Decoy && !new.algorithm.is_hmac() {
        return Err(KeySetError::DecoyNeedsHmac.into());
    }
    if new.concealment == Concealment::Sealed && new.algorithm.is_hmac() {
        return Err(KeySetError::SealedNeedsPublicKey.into());
    }
    let kid = b64u::encode(&array::<9>(&*vault.random)?);
    let secret = match new.algorithm.is_hmac() {
        true => hmac_secret(vault)?,
        false => SigningKey::generate_pkcs8(new.algorithm).map_err(|_| NoRandomness)?,
    };
    let decoy = (new.concealment == Concealment::Decoy).then(|| hmac_secret(vault)).transpose()?;
    let decoy = decoy.map(|decoy| vault.seal(&name(key_set, &kid, "decoy"), &decoy)).transpose()?;
    tx.execute(
        "INSERT INTO signing_keys
             (kid, key_set, algorithm, state, secret, decoy, created, published, activates, activated, ends)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, NULL)",
        values![
            kid.as_str(),
            key_set,
            new.algorithm.as_str(),
            new.state.as_str(),
            vault.seal(&name(key_set, &kid, "secret"), &secret)?,
            decoy,
            now,
            new.activates,
            (new.state == KeyState::Active).then_some(now)
        ],
    )?;
    Ok(kid)
}

fn hmac_secret(vault: &Vault) -> Result<Secret, StoreError> {
    let mut secret = Zeroizing::new(vec![0; HMAC_BYTES]);
    vault.random.fill(&mut secret)?;
    Ok(secret)
}

fn name(key_set: &str, kid: &str, part: &str) -> String {
    format!("signing-key/{key_set}/{kid}/{part}")
}

/// How the ring conceals; nothing before its first key.
pub(super) fn stored_concealment(tx: &Tx<'_>, key_set: &str) -> Result<Option<Concealment>, StoreError> {
    if let Some(row) = tx.row("SELECT value FROM labels WHERE name = $1", values![label(key_set)])? {
        let word = row.blob(0)?;
        let concealment = std::str::from_utf8(&word).ok().and_then(Concealment::parse);
        return concealment.map(Some).ok_or(StoreError::Damaged { what: "the key set's concealment" });
    }
    // From before it was written down, when there were two.
    let row = tx.row("SELECT decoy FROM signing_keys WHERE key_set = $1 AND state = 'active'", values![key_set])?;
    row.map(|row| Ok(if row.opt_blob(0)?.is_some() { Concealment::Decoy } else { Concealment::Open })).transpose()
}

/// Writes down how the ring conceals from now on.
pub(super) fn store_concealment(tx: &Tx<'_>, key_set: &str, concealment: Concealment) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO labels (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        values![label(key_set), concealment.as_str().as_bytes()],
    )?;
    Ok(())
}

fn label(key_set: &str) -> String {
    format!("concealment/{key_set}")
}
