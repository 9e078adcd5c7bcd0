//! Test tokens: of any verdict that a token can have, and marked so that only routes with `allow_dev` take them.

use attest_core::{
    b64u,
    device_key::DeviceId,
    random::{Random, array},
    reasons::Reasons,
    tier::Tier,
    time::UnixTime,
    token::{
        asv::{AsvBlock, annotations},
        issue::SigningKey,
        key_set::Concealment,
    },
    verdict::Verdict,
};

use super::{CannotSign, Issuer, Said};

/// A test token to be made.
#[derive(Clone, Debug)]
pub struct DevToken<'a> {
    /// The app that it says it is.
    pub app: &'a str,
    /// The version that it says.
    pub version: &'a str,
    /// The verdict that a gateway finds in it.
    pub as_verdict: Verdict,
    /// How much it vouches for, where it passes.
    pub tier: Tier,
    /// SHA-256 of what it is bound to.
    pub binding: Option<[u8; 32]>,
    /// How long it lives, whole seconds; never longer than other tokens.
    pub life: std::time::Duration,
}

/// Why no test token is made.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum NoDevToken {
    /// The verdict does not follow from a token.
    #[error("{verdict}: {why}")]
    NotATokens {
        /// Which one.
        verdict: Verdict,
        /// What it follows from.
        why: &'static str,
    },
    /// None can be signed.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
}

/// An audience and an issuer that nobody has (RFC 2606).
const NOBODY: &str = "https://nobody.invalid";

impl Issuer {
    /// A token that a route with `allow_dev` finds to be what was asked for, and any other route `failed` or worse.
    ///
    /// # Errors
    /// [`NoDevToken`].
    pub fn issue_dev(&self, dev: &DevToken<'_>, now: UnixTime, random: &dyn Random) -> Result<String, NoDevToken> {
        let refused = |why| Err(NoDevToken::NotATokens { verdict: dev.as_verdict, why });
        match dev.as_verdict {
            Verdict::Missing => return refused("send no token at all"),
            Verdict::Unverifiable => return refused("it is the gateway's own fault; no token brings it about"),
            Verdict::Revoked => return refused("issue an attested one, and revoke its build, app or key"),
            Verdict::BindingMismatch => {
                return refused("issue an attested one bound to a value, and send another value with it");
            }
            Verdict::ProofInvalid => {
                return refused("issue an attested one, and send it without the proof that its route asks for");
            }
            Verdict::Replayed => return refused("issue an attested one, and send the same proof twice"),
            Verdict::Failed if self.concealment == Concealment::Open => {
                return refused("in a key set that conceals nothing a failed app gets no token");
            }
            Verdict::Malformed
            | Verdict::UnknownKey
            | Verdict::BadSignature
            | Verdict::WrongIssuer
            | Verdict::WrongAudience
            | Verdict::Failed
            | Verdict::NotYetValid
            | Verdict::Expired
            | Verdict::Attested => {}
        }
        let token = self.dev_token(dev, now, random)?;
        Ok(match dev.as_verdict {
            Verdict::BadSignature => with_another_signature(&token),
            // Its signature left out, and the dot before it.
            Verdict::Malformed => token.rsplit_once('.').map(|(input, _)| input.to_owned()).unwrap_or_default(),
            _ => token,
        })
    }

    fn dev_token(&self, dev: &DevToken<'_>, now: UnixTime, random: &dyn Random) -> Result<String, CannotSign> {
        let passed = dev.as_verdict != Verdict::Failed;
        let arc = self.arc_key.encode(Reasons::ENROLLED_DEV, array(random).map_err(|_| CannotSign)?);
        let (lifetime, leeway) = (self.token.lifetime, self.token.leeway);
        let issued = match dev.as_verdict {
            // Over a minute ago, leeway taken off; and half a life from now on, which is within what gateways let `exp` be.
            Verdict::Expired => [lifetime, leeway, MINUTE].into_iter().fold(now, UnixTime::minus),
            Verdict::NotYetValid => now.plus(leeway).plus(lifetime / 2).plus(SECOND),
            _ => now,
        };
        let said = Said {
            issuer: if dev.as_verdict == Verdict::WrongIssuer { NOBODY } else { &self.token.issuer },
            audience: if dev.as_verdict == Verdict::WrongAudience { NOBODY } else { &self.token.audience },
            issued,
            life: dev.life.min(lifetime),
            device: self.token.claims.did.then_some(DeviceId::from_bytes(array(random).map_err(|_| CannotSign)?)),
            arc: &arc,
            app: self.token.claims.app.then_some(dev.app),
            version: self.token.claims.ver.then_some(dev.version),
            binding: dev.binding,
            bearer: None,
            ip: None,
        };
        let tier = if passed { dev.tier } else { Tier::Contraindicated };
        let block = AsvBlock { passed, tier, annotations: annotations::DEV, ..AsvBlock::default() };
        if dev.as_verdict == Verdict::UnknownKey {
            return self.token_of(&said, &block, &self.stranger(random)?, random);
        }
        self.token_of(&said, &block, self.key_for(passed), random)
    }

    /// A key of the ring's kind that nobody has heard of, and nobody keeps.
    fn stranger(&self, random: &dyn Random) -> Result<SigningKey, CannotSign> {
        let kid = b64u::encode(&array::<9>(random).map_err(|_| CannotSign)?);
        let alg = self.genuine.alg();
        let key = match alg.is_hmac() {
            true => SigningKey::hmac(&kid, alg, &array::<64>(random).map_err(|_| CannotSign)?),
            false => SigningKey::from_pkcs8(&kid, alg, &SigningKey::generate_pkcs8(alg).map_err(|_| CannotSign)?),
        };
        let key = key.map_err(|_| CannotSign)?;
        if self.genuine.is_sealed() { key.sealed().map_err(|_| CannotSign) } else { Ok(key) }
    }
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// The same token with one bit of its signature turned.
fn with_another_signature(token: &str) -> String {
    let Some((input, signature)) = token.rsplit_once('.') else { return String::new() };
    let mut signature = b64u::decode(signature.as_bytes(), 1024).unwrap_or_default();
    if let Some(first) = signature.first_mut() {
        *first ^= 1;
    }
    format!("{input}.{}", b64u::encode(&signature))
}
