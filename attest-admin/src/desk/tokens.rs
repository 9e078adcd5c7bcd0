//! Tokens of the admin API, and test tokens.

use std::time::Duration;

use attest_core::{random::SystemRandom, tier::Tier, time::UnixTime, verdict::Verdict};
use attest_store::{DevToken, NoDevToken, TokenRow};

use super::{Administrator, Operator, whole};
use crate::{
    problem::{Code, Problem},
    types::{self, AdminToken, CreatedToken, NewTestToken, NewToken, Role, TestToken},
};

impl Administrator<'_> {
    /// The tokens, never their texts.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps, as for the other operations on tokens.
    pub fn tokens(&self) -> Result<types::Page<AdminToken>, Problem> {
        self.0.unlimited()?;
        Ok(whole(self.0.store.tokens()?.into_iter().map(token).collect()))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`Problem`]; `conflict` where the name is taken.
    pub fn create_token(&self, new: &NewToken) -> Result<CreatedToken, Problem> {
        self.0.unlimited()?;
        if new.apps.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::invalid(
                "apps",
                "a token that is limited to no app can do nothing: leave it out for all",
            ));
        }
        let (role, until) = (stored_role(new.role), UnixTime::from_secs(new.until));
        let made = self.0.store.create_token(&self.0.actor, &new.name, role, new.apps.clone(), until)?;
        Ok(CreatedToken {
            name: made.row.name,
            role: new.role,
            apps: made.row.apps,
            until: made.row.until.secs(),
            token: made.text.as_str().to_owned(),
        })
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` where none of this name is good.
    pub fn revoke_token(&self, name: &str) -> Result<(), Problem> {
        self.0.unlimited()?;
        Ok(self.0.store.revoke_token(&self.0.actor, name)?)
    }
}

fn token(row: TokenRow) -> AdminToken {
    AdminToken {
        name: row.name,
        role: told_role(row.role),
        apps: row.apps,
        created: row.created.secs(),
        created_by: row.created_by,
        until: row.until.secs(),
        revoked: row.revoked.map(UnixTime::secs),
    }
}

const fn stored_role(role: Role) -> attest_store::Role {
    match role {
        Role::Viewer => attest_store::Role::Viewer,
        Role::Operator => attest_store::Role::Operator,
        Role::Admin => attest_store::Role::Admin,
    }
}

/// A role as it is told.
pub(super) const fn told_role(role: attest_store::Role) -> Role {
    match role {
        attest_store::Role::Viewer => Role::Viewer,
        attest_store::Role::Operator => Role::Operator,
        attest_store::Role::Admin => Role::Admin,
    }
}

impl Operator<'_> {
    /// Issues a test token, marked `dev` and written to the audit log first.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn test_token(&self, new: &NewTestToken) -> Result<TestToken, Problem> {
        let desk = self.0;
        let known = desk.known.apps.contains_key(&new.app) && desk.reaches(Some(&new.app));
        if !known {
            return Err(Problem::not_found("the configuration has no app of this name").at("app"));
        }
        let verdict = new.verdict.as_deref().unwrap_or(Verdict::Attested.as_str());
        let verdict: Verdict = verdict.parse().map_err(|_| Problem::invalid("as", "it is no verdict"))?;
        let issuer = desk.store.issuer()?;
        let longest = issuer.lifetime_secs();
        let seconds = new.seconds.map_or(longest, u64::from);
        if !(1..=longest).contains(&seconds) {
            let most = format!("1 to {longest}, as long as the service's other tokens live");
            return Err(Problem::invalid("seconds", most));
        }
        let version = new.version.as_deref().unwrap_or("0");
        let what = DevToken {
            app: &new.app,
            version,
            as_verdict: verdict,
            tier: Tier::Affirming,
            binding: new.binding.as_deref().map(binding).transpose()?,
            life: Duration::from_secs(seconds),
        };
        let detail = serde_json::json!({ "as": verdict.as_str(), "version": version, "seconds": seconds });
        let token = issuer.issue_dev(&what, desk.now, &SystemRandom).map_err(|error| match error {
            NoDevToken::NotATokens { .. } => Problem::invalid("as", error.to_string()),
            NoDevToken::CannotSign(_) => Problem::new(Code::Internal),
        })?;
        // Nobody has it before the log says so, and the log tells of none that was refused.
        desk.store.audit(&desk.actor, "token.issue", &new.app, &detail)?;
        Ok(TestToken { token, until: desk.now.plus(Duration::from_secs(seconds)).secs() })
    }
}

fn binding(text: &str) -> Result<[u8; 32], Problem> {
    attest_core::b64u::decode_array(text.as_bytes()).map_err(|_| Problem::invalid("binding", "base64url of 32 bytes"))
}
