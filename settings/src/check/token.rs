//! `attestation.token:` checked.

use attest_core::token::{Algorithm, key_set::Concealment};
use policies::yaml::Place;

use super::{Check, issuers::algorithm_of, secs};
use crate::{
    file::attestation::{AlgorithmWord, ConcealmentWord, RawClaims, RawToken},
    model::{TokenClaims, TokenSettings},
    shape::{Fault, Field},
};

impl Check<'_, '_> {
    pub(crate) fn token(&self, raw: &RawToken, owner: Place) -> Option<TokenSettings> {
        let lifetime = self.span(&raw.lifetime, "lifetime", (secs(1), secs(3600)), secs(300));
        if let (true, Some(at)) = (lifetime.subsec_nanos() != 0, raw.lifetime.at) {
            self.refuse(
                at,
                "out_of_bounds",
                Fault::new("`lifetime` is counted in whole seconds").hint("write 5m, or 90s"),
            );
        }
        let algorithm = algorithm_of(raw.algorithm.value.unwrap_or(AlgorithmWord::HS256));
        let concealment = match raw.concealment.value.unwrap_or(ConcealmentWord::Decoy) {
            ConcealmentWord::Decoy => Concealment::Decoy,
            ConcealmentWord::Sealed => Concealment::Sealed,
            ConcealmentWord::Open => Concealment::Open,
        };
        if let Some(at) = raw.concealment.at.or(raw.algorithm.at) {
            self.refuse_telling(algorithm, concealment, at);
        }
        let issuer = self.need(&raw.issuer, owner, "issuer", "https://api.example.com/assay");
        let audience = self.need(&raw.audience, owner, "audience", "api.example.com");
        Some(TokenSettings {
            key_set: raw.key_set.value.as_ref().map_or_else(|| "default".to_owned(), |name| name.0.clone()),
            issuer: issuer?.0.0.clone(),
            audience: audience?.0.0.clone(),
            lifetime,
            leeway: self.span(&raw.leeway, "leeway", (secs(1), secs(300)), secs(30)),
            algorithm,
            concealment,
            claims: self.claims(raw.claims.value.as_ref()),
        })
    }

    /// What would tell a client whether it passed, or nobody whether the token is good.
    fn refuse_telling(&self, algorithm: Algorithm, concealment: Concealment, at: Place) {
        match (algorithm.is_hmac(), concealment) {
            (false, Concealment::Decoy) => {
                let fault = Fault::new(format!(
                    "{algorithm} can't be used with concealment `decoy`: the signature gives away which key made it"
                ));
                self.refuse(at, "concealment", fault.hint("write concealment: sealed; or open, knowing that a failed app then sees a refusal; or algorithm: HS256"));
            }
            (true, Concealment::Sealed | Concealment::Open) => {
                let fault = Fault::new(format!(
                    "concealment `{}` is for tokens that are signed with a private key, and {algorithm} has none",
                    concealment.as_str()
                ));
                self.refuse(at, "concealment", fault.hint("write algorithm: ES256, or take `concealment` out"));
            }
            _ => {}
        }
    }

    fn claims(&self, raw: Option<&RawClaims>) -> TokenClaims {
        let default = TokenClaims::default();
        let flag =
            |field: fn(&RawClaims) -> &Field<bool>, default| raw.map_or(default, |raw| self.flag(field(raw), default));
        TokenClaims {
            app: flag(|raw| &raw.app, default.app),
            ver: flag(|raw| &raw.ver, default.ver),
            ip: flag(|raw| &raw.ip, default.ip),
            did: flag(|raw| &raw.did, default.did),
            cnf: flag(|raw| &raw.cnf, default.cnf),
            ipk: flag(|raw| &raw.ipk, default.ipk),
        }
    }
}
