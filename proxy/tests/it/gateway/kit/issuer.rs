//! Signs tokens as the service would, good ones and bad ones, and serves the key set to verify them with.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::EvidenceKinds;
use attest_core::feed::{FeedKey, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Revoked, SecretBytes};
use attest_core::tier::Tier;
use attest_core::time::{Clock, SystemClock, UnixTime};
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use proxy::{FetchKeySets, Fetched};

use super::{AUDIENCE, ISSUER};

/// Signs tokens and serves its key set.
pub(crate) struct Issuer {
    secret: [u8; 32],
    decoy: [u8; 32],
    verdict_key: [u8; 32],
    feed: FeedKey,
    /// Whether it can be asked for key sets.
    pub(crate) up: AtomicBool,
    pub(crate) revoked: Mutex<Vec<String>>,
    pub(crate) number: AtomicU32,
    tokens: AtomicU32,
}

/// How a token is to be.
pub(crate) struct Token {
    pub(crate) genuine: bool,
    pub(crate) audience: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) life: i64,
    pub(crate) device: [u8; 16],
}

impl Default for Token {
    fn default() -> Self {
        Self { genuine: true, audience: AUDIENCE, issuer: ISSUER, secret: None, life: 300, device: [7; 16] }
    }
}

impl Issuer {
    pub(crate) fn new() -> Arc<Self> {
        attest_core::install_crypto();
        Arc::new(Self {
            secret: [1; 32],
            decoy: [2; 32],
            verdict_key: [3; 32],
            feed: FeedKey::from_seed(&[4; 32]).unwrap(),
            up: AtomicBool::new(true),
            revoked: Mutex::default(),
            number: AtomicU32::new(1),
            tokens: AtomicU32::new(0),
        })
    }

    pub(crate) fn token(&self) -> String {
        self.issue(&Token::default())
    }

    pub(crate) fn issue(&self, token: &Token) -> String {
        let now = SystemClock.now();
        let issued = UnixTime::from_secs(now.secs() - if token.life > 0 { 0 } else { 3600 });
        let exp = UnixTime::from_secs(now.secs() + token.life);
        let mut jti = [0; 16];
        jti[..4].copy_from_slice(&self.tokens.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let context = AsvContext { iss: token.issuer, aud: token.audience, kid: "k1", iat: issued, exp };
        let block = AsvBlock {
            passed: token.genuine,
            tier: if token.genuine { Tier::Affirming } else { Tier::Contraindicated },
            kinds: EvidenceKinds::EMPTY,
            ..AsvBlock::default()
        };
        let asv = asv::seal(&VerdictKey::new(self.verdict_key), &jti_text(&jti), context, &block);
        let claims = TokenClaims {
            iss: token.issuer,
            aud: token.audience,
            iat: issued,
            exp,
            jti,
            did: Some(DeviceId::from_bytes(token.device)),
            asv: &asv,
            arc: "AAAAAAAAAAAAAAAAAAAAAAAAAA",
            app: Some("shop"),
            ver: Some("3.2.1"),
            pay: None,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        let secret = token.secret.unwrap_or(if token.genuine { self.secret } else { self.decoy });
        issue(&claims, &SigningKey::hmac("k1", Algorithm::HS256, &secret).unwrap()).unwrap()
    }

    fn document(&self) -> KeySetDocument {
        KeySetDocument {
            format: attest_core::feed::FORMAT.to_owned(),
            number: self.number.load(Ordering::SeqCst).into(),
            issued: SystemClock.now().secs(),
            key_sets: vec![KeySetEntry {
                name: "default".to_owned(),
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                concealment: "decoy".to_owned(),
                max_lifetime_secs: 600,
                verdict_key: SecretBytes::new(&self.verdict_key),
                keys: vec![KeyDocument {
                    kid: "k1".to_owned(),
                    alg: "HS256".to_owned(),
                    state: KeyState::Active,
                    secret: Some(SecretBytes::new(&self.secret)),
                    decoy: Some(SecretBytes::new(&self.decoy)),
                    public_jwk: None,
                }],
            }],
            revoked: Revoked { devices: self.revoked.lock().unwrap().clone(), kids: vec![] },
        }
    }
}

#[async_trait]
impl FetchKeySets for Issuer {
    async fn fetch(&self) -> Result<Fetched, String> {
        if !self.up.load(Ordering::SeqCst) {
            return Err("the service is away".to_owned());
        }
        let payload = self.document().to_payload().unwrap();
        Ok(Fetched { document: self.feed.sign(&payload), pinned: self.feed.public_key().unwrap() })
    }
}
