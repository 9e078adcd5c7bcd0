//! What is made with the keys: result tokens, and the documents from which gateways verify offline.
//!
//! In: an Attestation Result. Out: the result token. What is proven: for a failed app the token differs from a passed one's
//! in nothing that the client can read: same header and kid, same claims, same lengths. With `decoy` the key that signed
//! differs, with `sealed` the block inside `asv` alone; under `open` a failed app gets no token at all. The work is the same.

mod dev;
mod documents;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use attest_core::{
    appraisal::AttestationResult,
    device_key::DeviceId,
    envelope::AttestRequest,
    feed::{FeedKey, FeedPublicKey},
    random::{Random, array},
    time::UnixTime,
    token::{
        arc::ArcKey,
        asv::{self, AsvBlock, AsvContext, VerdictKey},
        issue::{SigningKey, TokenClaims, issue, jti_text},
        key_set::Concealment,
    },
};
use serde_json::Value;
use settings::TokenSettings;

use crate::{
    error::StoreError,
    keys::{self, KeyRing, KeyState},
    sql::Tx,
    store::Inner,
};

pub use dev::{DevToken, NoDevToken};
use documents::{Documents, entry};

/// Signs for one key set. Made anew when its keys change.
pub struct Issuer {
    token: TokenSettings,
    concealment: Concealment,
    genuine: SigningKey,
    /// What failed apps' tokens are signed with, in a ring with concealment `decoy`.
    decoy: Option<SigningKey>,
    verdict_key: VerdictKey,
    arc_key: ArcKey,
    documents: Documents,
}

/// A signed answer.
pub struct Signed {
    /// The token; absent for a failed app of a set that conceals nothing.
    pub token: Option<String>,
    /// The support code inside.
    pub arc: String,
}

/// No token can be signed; the fault is ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("no token can be signed")]
pub struct CannotSign;

/// Who the token is for.
pub struct Bearer<'a> {
    /// What the client said; echoed, never appraised.
    pub request: &'a AttestRequest,
    /// The id derived from its key.
    pub device: DeviceId,
    /// Where it asked from.
    pub address: IpAddr,
}

impl Issuer {
    /// The keys of the configured key set, and what signs with them.
    pub(crate) fn load(tx: &Tx<'_>, inner: &Inner) -> Result<(Arc<KeyRing>, Arc<Self>), StoreError> {
        let ring = keys::ring(tx, &inner.token)?;
        let keys = keys::open_keys(tx, &inner.vault, &ring)?;
        let active = keys.iter().find(|key| key.view.state == KeyState::Active);
        let active = active.ok_or(StoreError::Damaged { what: "the key set: no key signs" })?;
        let concealment = ring.concealment;
        let issuer = Self {
            token: inner.token.clone(),
            concealment,
            genuine: active.signing_key(concealment)?,
            decoy: active.decoy_key(concealment)?,
            verdict_key: VerdictKey::new(*inner.secrets.verdict),
            arc_key: ArcKey::new(*inner.secrets.arc),
            documents: Documents {
                entry: entry(&inner.token, concealment, &keys, &inner.secrets)?,
                revoked_kids: ring.keys.iter().filter(|key| key.is_gone()).map(|key| key.kid.clone()).collect(),
                feed: FeedKey::from_seed(&inner.secrets.feed)?,
            },
        };
        Ok((Arc::new(ring), Arc::new(issuer)))
    }

    /// The token that says `result`, issued at `now`.
    ///
    /// # Errors
    /// Without randomness, or where signing fails: then no token is issued.
    pub fn sign(
        &self,
        result: &AttestationResult,
        bearer: &Bearer<'_>,
        now: UnixTime,
        random: &dyn Random,
    ) -> Result<Signed, CannotSign> {
        let arc = self.arc_key.encode(result.reasons, array(random).map_err(|_| CannotSign)?);
        let claims = self.token.claims;
        let ip = claims.ip.then(|| bearer.address.to_canonical().to_string());
        let said = Said {
            issuer: &self.token.issuer,
            audience: &self.token.audience,
            issued: now,
            life: self.token.lifetime,
            device: claims.did.then_some(bearer.device),
            arc: &arc,
            app: claims.app.then_some(bearer.request.app.as_str()),
            version: claims.ver.then_some(bearer.request.version.as_str()),
            binding: bearer.request.binding,
            bearer: (claims.cnf || claims.ipk).then_some(bearer.request),
            ip: ip.as_deref(),
        };
        // Also made where it is thrown away, so that it takes as long.
        let token = self.token_of(&said, &result.asv_block(), self.key_for(result.passed), random)?;
        let token = Some(token).filter(|_| result.passed || self.concealment != Concealment::Open);
        Ok(Signed { token, arc })
    }

    /// Seconds that a token lives.
    #[must_use]
    pub const fn lifetime_secs(&self) -> u64 {
        self.token.lifetime.as_secs()
    }

    /// How failed apps' tokens are told.
    #[must_use]
    pub const fn concealment(&self) -> Concealment {
        self.concealment
    }

    /// Opens support codes.
    #[must_use]
    pub const fn arc_key(&self) -> &ArcKey {
        &self.arc_key
    }

    /// The half of the feed key that gateways pin.
    ///
    /// # Errors
    /// `Feed` where it can't be derived.
    pub fn feed_public_key(&self) -> Result<FeedPublicKey, StoreError> {
        Ok(self.documents.feed.public_key()?)
    }

    /// The public keys as a JWK Set, of a set that conceals nothing: only there may others verify.
    #[must_use]
    pub fn jwks(&self) -> Option<Value> {
        (self.concealment == Concealment::Open).then(|| self.documents.jwks())
    }

    fn key_for(&self, passed: bool) -> &SigningKey {
        match &self.decoy {
            Some(decoy) if !passed => decoy,
            _ => &self.genuine,
        }
    }

    fn token_of(
        &self,
        said: &Said<'_>,
        block: &AsvBlock,
        key: &SigningKey,
        random: &dyn Random,
    ) -> Result<String, CannotSign> {
        let jti: [u8; 16] = array(random).map_err(|_| CannotSign)?;
        // Whole seconds, as the claims will say: `asv` is sealed over them.
        let iat = UnixTime::from_secs(said.issued.secs());
        let exp = iat.plus(said.life);
        let context = AsvContext { iss: said.issuer, aud: said.audience, kid: key.kid(), iat, exp };
        let asv = asv::seal(&self.verdict_key, &jti_text(&jti), context, block);
        let device_key = said.bearer.map(|request| &request.device_key);
        let claims = TokenClaims {
            iss: said.issuer,
            aud: said.audience,
            iat,
            exp,
            jti,
            did: said.device,
            asv: &asv,
            arc: said.arc,
            app: said.app,
            ver: said.version,
            pay: said.binding,
            cnf_jkt: device_key.filter(|_| self.token.claims.cnf).map(|key| key.thumbprint()),
            ipk: device_key.filter(|_| self.token.claims.ipk),
            ip: said.ip,
        };
        issue(&claims, key).map_err(|_| CannotSign)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Issuer({} {:?})", self.token.key_set, self.genuine)
    }
}

/// What a token says beside its verdict.
struct Said<'a> {
    issuer: &'a str,
    audience: &'a str,
    issued: UnixTime,
    life: Duration,
    device: Option<DeviceId>,
    arc: &'a str,
    app: Option<&'a str>,
    version: Option<&'a str>,
    binding: Option<[u8; 32]>,
    /// Whose key the token names, where it names one.
    bearer: Option<&'a AttestRequest>,
    ip: Option<&'a str>,
}
