//! In: who may use the admin API. Out: a token, shown once; of it the hash alone is kept. 32 random bytes need no slow hash.
//! What is proven: a presented token is compared with every one that is kept, in constant time.

use std::fmt;

use attest_core::{b64u, random::array, time::UnixTime};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::{
    actor::{Actor, Origin, Role},
    check,
    error::StoreError,
    page::Revision,
    sql::{Row, values},
    store::{Store, count_up},
};

/// A new token. `Debug` does not show its text.
pub struct AdminToken {
    /// What was written down of it.
    pub row: TokenRow,
    /// `assay_admin_` and 43 characters: to be shown once, and never again.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AdminToken").field("row", &self.row).finish_non_exhaustive()
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its number.
    pub number: i64,
    /// Its name, which the audit log shows as the actor.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// To which apps; absent: to all.
    pub apps: Option<Vec<String>>,
    /// When it was made.
    pub created: UnixTime,
    /// By whom.
    pub created_by: String,
    /// When it ends.
    pub until: UnixTime,
    /// When it was revoked.
    pub revoked: Option<UnixTime>,
    /// Rises when it is revoked.
    pub revision: Revision,
}

/// How long a token may live.
pub const MAX_TOKEN_DAYS: u32 = 366;
const MAX_TOKENS: usize = 1000;
const MAX_APPS: usize = 100;
const PREFIX: &str = "assay_admin_";
const COLUMNS: &str = "number, name, role, apps, created, created_by, until, revoked, hash";

impl Store {
    /// Makes a token for the admin API that ends at `until`, at most 366 days ahead. Nobody makes one that may do more than
    /// they may themselves.
    ///
    /// # Errors
    /// `NotAName`, `NotAnEnd`, `TooMany`; `Exists`; `Forbidden`.
    pub fn create_token(
        &self,
        actor: &Actor,
        name: &str,
        role: Role,
        apps: Option<Vec<String>>,
        until: UnixTime,
    ) -> Result<AdminToken, StoreError> {
        check::name("name", name)?;
        let scope = apps.as_deref().unwrap_or_default();
        scope.iter().try_for_each(|app| check::name("app", app))?;
        if scope.len() > MAX_APPS {
            return Err(StoreError::TooMany { what: "apps of one token", max: MAX_APPS });
        }
        self.change(actor, (Role::Admin, None), |change| {
            check::end("until", until, change.now, MAX_TOKEN_DAYS)?;
            // Tokens that are over make room.
            change.tx.execute(
                "DELETE FROM admin_tokens WHERE until < $1 OR (name = $2 AND revoked IS NOT NULL)",
                values![change.now.minus(std::time::Duration::from_secs(30 * 24 * 3600)), name],
            )?;
            if change.tx.row("SELECT number FROM admin_tokens WHERE name = $1", values![name])?.is_some() {
                return Err(StoreError::Exists { what: "token" });
            }
            let count = change.tx.row("SELECT count(*) FROM admin_tokens", &[])?.map_or(Ok(0), |row| row.int(0))?;
            if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_TOKENS {
                return Err(StoreError::TooMany { what: "tokens", max: MAX_TOKENS });
            }
            let secret = Zeroizing::new(array::<32>(&*change.inner.vault.random)?);
            let text = Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(b64u::encode(&*secret))));
            let detail = json!({ "role": role.as_str(), "apps": apps, "until": until.secs() });
            change.audit("token.create", name, &detail)?;
            let row = TokenRow {
                number: count_up(change.tx, "token_number", 1)?,
                name: name.to_owned(),
                role,
                apps: apps.clone(),
                created: change.now,
                created_by: change.actor.name.clone(),
                until,
                revoked: None,
                revision: Revision(1),
            };
            change.tx.execute(
                "INSERT INTO admin_tokens (number, name, hash, role, apps, created, created_by, until)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                values![
                    row.number,
                    name,
                    hash(text.as_bytes()),
                    role.as_str(),
                    apps.map(|apps| json!(apps).to_string()),
                    change.now,
                    row.created_by.as_str(),
                    until
                ],
            )?;
            Ok(AdminToken { row, text })
        })
    }

    /// Whoever shows `presented`, the whole text of a token, from `origin`; nobody where it is not one, is over or revoked.
    ///
    /// # Errors
    /// [`StoreError`] where the database can't be asked: then nobody is let in.
    pub fn authenticate(&self, presented: &[u8], origin: Origin) -> Result<Option<Actor>, StoreError> {
        let presented = hash(presented);
        let rows = self.read(|tx| {
            let now = self.0.clock.now();
            tx.rows(
                &format!("SELECT {COLUMNS} FROM admin_tokens WHERE revoked IS NULL AND until > $1 ORDER BY number"),
                values![now],
            )
        })?;
        // Each is compared, so that the time tells nothing of where a match stands.
        let mut found = u32::MAX;
        for (index, row) in (0_u32..).zip(&rows) {
            let same: Choice = row.bytes::<32>(8)?.ct_eq(&presented);
            found = u32::conditional_select(&found, &index, same);
        }
        let Some(row) = usize::try_from(found).ok().and_then(|found| rows.get(found)) else { return Ok(None) };
        let TokenRow { name, role, apps, .. } = parse(row)?;
        Ok(Some(Actor { name, role, apps, origin }))
    }

    /// All tokens, the newest first: at most 1000 there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows = self.read(|tx| tx.rows(&format!("SELECT {COLUMNS} FROM admin_tokens ORDER BY number DESC"), &[]))?;
        rows.iter().map(parse).collect()
    }

    /// Revokes the token `name`, from the next request on.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`.
    pub fn revoke_token(&self, actor: &Actor, name: &str) -> Result<(), StoreError> {
        self.change(actor, (Role::Admin, None), |change| {
            change.audit("token.revoke", name, &json!({}))?;
            let revoked = change.tx.execute(
                "UPDATE admin_tokens SET revoked = $2 WHERE name = $1 AND revoked IS NULL",
                values![name, change.now],
            )?;
            if revoked == 0 { Err(StoreError::NotFound { what: "token" }) } else { Ok(()) }
        })
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    digest(&SHA256, text).as_ref().try_into().unwrap_or([0; 32])
}

fn parse(row: &Row) -> Result<TokenRow, StoreError> {
    let apps = row.opt_text(3)?.map(|apps| serde_json::from_str(&apps)).transpose();
    let revoked = row.opt_time(7)?;
    Ok(TokenRow {
        number: row.int(0)?,
        name: row.text(1)?,
        role: row.text(2)?.parse().map_err(|_| StoreError::Damaged { what: "a token's role" })?,
        apps: apps.map_err(|_| StoreError::Damaged { what: "a token's apps" })?,
        created: row.time(4)?,
        created_by: row.text(5)?,
        until: row.time(6)?,
        revoked,
        revision: Revision(if revoked.is_some() { 2 } else { 1 }),
    })
}
