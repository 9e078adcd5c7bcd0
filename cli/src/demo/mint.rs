//! Tokens as nobody else could make them: signed with the service's own keys, and wrong in one thing.
//!
//! In: the key sets that the service hands to its gateways (this is the demo acting as a gateway that was taken over).
//! Out: a token for another audience, and one that has expired. Both carry a sealed verdict that says `passed`, so
//! that the one thing wrong is the only thing wrong.

use super::Trouble;
use super::house::House;
use crate::feed;
use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::feed::{KeySetEntry, KeyState};
use attest_core::random::{SystemRandom, array};
use attest_core::tier::Tier;
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use std::time::Duration;

/// The service's key set, private halves included.
pub(super) struct Mint {
    set: KeySetEntry,
}

/// What is wrong with a minted token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Its life is over, clocks' leeway included.
    Expired,
    /// It names another audience.
    Audience,
}

/// Long past any leeway.
const AGES: Duration = Duration::from_secs(300);

impl Mint {
    /// Fetches the key sets as a gateway does: with the gateway's token, against the pinned feed key.
    pub(super) async fn open(house: &House) -> Result<Self, Trouble> {
        let read =
            |name: &str| std::fs::read_to_string(house.file(name)).map_err(|e| Trouble::new(format!("{name}: {e}")));
        let (token, pinned) = (read("gateway.token")?, read("service-state/feed.pub")?);
        let document = feed::fetch_from(&house.service_url, token.trim(), pinned.trim()).await;
        let document = document.map_err(|stop| Trouble::new(stop.message()))?;
        let set = document.key_sets.into_iter().next().ok_or_else(|| Trouble::new("the service has no key set"))?;
        Ok(Self { set })
    }

    /// A token that is good but for one thing.
    pub(super) fn token(&self, wrong: Wrong) -> Result<String, Trouble> {
        let trouble = |e: &dyn std::fmt::Display| Trouble::new(format!("minting a token: {e}"));
        let key = self.set.keys.iter().find(|key| key.state == KeyState::Active);
        let (key, secret) =
            key.and_then(|key| Some((key, key.secret.as_ref()?))).ok_or_else(|| Trouble::new("no key to mint with"))?;
        let alg = key.alg.parse().map_err(|e| trouble(&e))?;
        let signer = SigningKey::hmac(&key.kid, alg, secret.as_bytes()).map_err(|e| trouble(&e))?;
        let verdict_key: [u8; 32] = self.set.verdict_key.as_bytes().try_into().map_err(|e| trouble(&e))?;

        let now = SystemClock.now();
        let iat = if wrong == Wrong::Expired { now.minus(AGES) } else { now };
        let exp = if wrong == Wrong::Expired { now.minus(AGES / 2) } else { now.plus(Duration::from_secs(5)) };
        // A token holds whole seconds; its sealed verdict is tied to what the token says.
        let (iat, exp) = (UnixTime::from_secs(iat.secs()), UnixTime::from_secs(exp.secs()));
        let aud = if wrong == Wrong::Audience { "another-api.demo" } else { &self.set.audience };
        let jti = array::<16>(&SystemRandom).map_err(|e| trouble(&e))?;
        let block = AsvBlock {
            passed: true,
            tier: Tier::Affirming,
            kinds: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            ..AsvBlock::default()
        };
        let context = AsvContext { iss: &self.set.issuer, aud, kid: signer.kid(), iat, exp };
        let asv = asv::seal(&VerdictKey::new(verdict_key), &jti_text(&jti), context, &block);
        let claims = TokenClaims {
            iss: &self.set.issuer,
            aud,
            iat,
            exp,
            jti,
            did: Some(DeviceId::from_bytes([7; 16])),
            asv: &asv,
            arc: "AAAAAAAAAAAAAAAAAAAAAAAAAA",
            app: Some("shop"),
            ver: Some("1.0"),
            pay: None,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        issue(&claims, &signer).map_err(|e| trouble(&e))
    }
}
