//! D. In: an Attestation Result. Out: the result token. What is proven: for a failed app the token differs from a passed
//! one's in nothing that the client can read: same header and kid, same claims, same lengths; only the key that signed
//! differs, and the sealed block inside `asv`. Under `open` a failed app gets no token at all.

use std::net::IpAddr;

use attest_core::{
    appraisal::AttestationResult,
    device_key::DeviceId,
    envelope::AttestRequest,
    random::{Random, array},
    time::UnixTime,
    token::{
        Algorithm,
        arc::ArcKey,
        asv::{self, AsvContext, VerdictKey},
        issue::{SigningKey, TokenClaims, issue, jti_text},
        key_set::KeySetError,
    },
};
use settings::TokenSettings;

use crate::secrets::{Secrets, StoredKey};

/// Signs result tokens of one key set.
pub(crate) struct Signer {
    token: TokenSettings,
    genuine: SigningKey,
    /// What failed apps' tokens are signed with; absent where the key set conceals nothing.
    decoy: Option<SigningKey>,
    verdict_key: VerdictKey,
    arc_key: ArcKey,
}

/// A signed answer.
pub(crate) struct Signed {
    /// The token; absent for a failed app of a set that conceals nothing.
    pub(crate) token: Option<String>,
    /// The support code inside.
    pub(crate) arc: String,
}

/// No token can be signed; the fault is ours.
#[derive(Debug, thiserror::Error)]
#[error("no token can be signed")]
pub(crate) struct CannotSign;

/// Who the token is for.
pub(crate) struct Bearer<'a> {
    /// What the client said; echoed, never appraised.
    pub(crate) request: &'a AttestRequest,
    /// The id derived from that key.
    pub(crate) device: DeviceId,
    /// Where it asked from.
    pub(crate) address: IpAddr,
}

impl Signer {
    /// The signer of the keys in hand.
    ///
    /// # Errors
    /// Where the active key is not one of its algorithm.
    pub(crate) fn new(token: &TokenSettings, secrets: &Secrets) -> Result<Self, KeySetError> {
        let active = secrets.signing.iter().find(|key| key.active).ok_or(KeySetError::Empty)?;
        Ok(Self {
            token: token.clone(),
            genuine: signing_key(active, &active.secret)?,
            decoy: active.decoy.as_ref().map(|decoy| signing_key(active, decoy)).transpose()?,
            verdict_key: VerdictKey::new(*secrets.verdict),
            arc_key: ArcKey::new(*secrets.arc),
        })
    }

    /// Seconds that a token lives.
    pub(crate) fn lifetime_secs(&self) -> u64 {
        self.token.lifetime.as_secs()
    }

    /// The token that says `result`, issued at `now`.
    ///
    /// The work is the same whatever the result says.
    ///
    /// # Errors
    /// Without randomness, or where signing fails: then no token is issued.
    pub(crate) fn sign(
        &self,
        result: &AttestationResult,
        bearer: &Bearer<'_>,
        now: UnixTime,
        random: &dyn Random,
    ) -> Result<Signed, CannotSign> {
        let jti: [u8; 16] = array(random).map_err(|_| CannotSign)?;
        let arc = self.arc_key.encode(result.reasons, array(random).map_err(|_| CannotSign)?);
        let key = match (result.passed, &self.decoy) {
            (true, _) => &self.genuine,
            (false, Some(decoy)) => decoy,
            (false, None) => return Ok(Signed { token: None, arc }),
        };
        // Whole seconds, as the claims will say: `asv` is sealed over them.
        let iat = UnixTime::from_secs(now.secs());
        let exp = iat.plus(self.token.lifetime);
        let (iss, aud) = (self.token.issuer.as_str(), self.token.audience.as_str());
        let context = AsvContext { iss, aud, kid: key.kid(), iat, exp };
        let asv = asv::seal(&self.verdict_key, &jti_text(&jti), context, &result.asv_block());
        let claims = self.token.claims;
        let ip = claims.ip.then(|| bearer.address.to_canonical().to_string());
        let token = issue(
            &TokenClaims {
                iss,
                aud,
                iat,
                exp,
                jti,
                did: Some(bearer.device),
                asv: &asv,
                arc: &arc,
                app: claims.app.then_some(bearer.request.app.as_str()),
                ver: claims.ver.then_some(bearer.request.version.as_str()),
                pay: bearer.request.binding,
                cnf_jkt: claims.cnf.then(|| bearer.request.device_key.thumbprint()),
                ipk: None,
                ip: ip.as_deref(),
            },
            key,
        )
        .map_err(|_| CannotSign)?;
        Ok(Signed { token: Some(token), arc })
    }
}

/// The signing key of `key`'s name and algorithm, of `secret`.
pub(crate) fn signing_key(key: &StoredKey, secret: &[u8]) -> Result<SigningKey, KeySetError> {
    match key.algorithm {
        Algorithm::ES256 => SigningKey::from_pkcs8(&key.kid, Algorithm::ES256, secret),
        hmac => SigningKey::hmac(&key.kid, hmac, secret),
    }
}

