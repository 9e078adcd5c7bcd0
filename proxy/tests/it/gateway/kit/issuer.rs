//! Signs tokens as the service would, good ones and bad ones, and serves the feeds that they are verified with.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use attest_core::device_key::DeviceId;
use attest_core::evidence_kind::EvidenceKinds;
use attest_core::feed::{
    FORMAT, FeedKey, FeedPublicKey, GatewayFacts, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Order,
    REVOCATIONS_FORMAT, RevocationDocument, RevocationEntry, RevocationKind, Revoked, SecretBytes,
};
use attest_core::tier::Tier;
use attest_core::time::{Clock, UnixTime};
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey, annotations};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use proxy::{FetchKeySets, FetchRevocations, Fetched};
use zeroize::Zeroizing;

use super::{AUDIENCE, ISSUER, MovedClock};

/// Signs tokens, and serves key set and revocations.
pub(crate) struct Issuer {
    pub(crate) clock: Arc<MovedClock>,
    verdict_key: [u8; 32],
    feed: FeedKey,
    keys: Mutex<Vec<Key>>,
    log: Mutex<Vec<RevocationEntry>>,
    orders: Mutex<Vec<Order>>,
    /// What the gateway last told about itself.
    pub(crate) reported: Mutex<Option<GatewayFacts>>,
    /// Whether it can be asked for key sets.
    pub(crate) up: AtomicBool,
    /// Whether it can be asked for revocations.
    pub(crate) tells_revocations: AtomicBool,
    /// Whether its documents are longer than any that is one.
    pub(crate) bloated: AtomicBool,
    pub(crate) number: AtomicU64,
    /// How often it was asked for key sets.
    pub(crate) asked: AtomicU32,
    tokens: AtomicU32,
}

struct Key {
    kid: String,
    state: KeyState,
    material: Material,
}

#[derive(Clone)]
enum Material {
    /// HS256, concealment `decoy`.
    Secret { secret: [u8; 32], decoy: [u8; 32] },
    /// ES256, concealment `sealed`.
    Sealed(Arc<Zeroizing<Vec<u8>>>),
}

/// How a token is to be.
pub(crate) struct Token {
    pub(crate) genuine: bool,
    pub(crate) audience: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) life: i64,
    pub(crate) device: [u8; 16],
    pub(crate) build: u32,
    pub(crate) dev: bool,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            genuine: true,
            audience: AUDIENCE,
            issuer: ISSUER,
            secret: None,
            life: 300,
            device: [7; 16],
            build: 1,
            dev: false,
        }
    }
}

impl Issuer {
    /// HS256 with decoys; key `k1` signs.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Material::Secret { secret: [1; 32], decoy: [2; 32] })
    }

    /// ES256 with sealed verdicts; key `k1` signs.
    pub(crate) fn sealed() -> Arc<Self> {
        attest_core::install_crypto();
        Self::with(Material::Sealed(Arc::new(SigningKey::generate_pkcs8(Algorithm::ES256).unwrap())))
    }

    fn with(material: Material) -> Arc<Self> {
        attest_core::install_crypto();
        Arc::new(Self {
            clock: Arc::default(),
            verdict_key: [3; 32],
            feed: FeedKey::from_seed(&[4; 32]).unwrap(),
            keys: Mutex::new(vec![Key { kid: "k1".to_owned(), state: KeyState::Active, material }]),
            log: Mutex::default(),
            orders: Mutex::default(),
            reported: Mutex::default(),
            up: AtomicBool::new(true),
            tells_revocations: AtomicBool::new(true),
            bloated: AtomicBool::new(false),
            number: AtomicU64::new(1),
            asked: AtomicU32::new(0),
            tokens: AtomicU32::new(0),
        })
    }

    /// Publishes a key that signs nothing yet.
    pub(crate) fn publish(&self, kid: &str) {
        let material = match kid.bytes().last().unwrap_or_default() {
            n if matches!(self.keys.lock().unwrap()[0].material, Material::Secret { .. }) => {
                Material::Secret { secret: [n; 32], decoy: [n.wrapping_add(100); 32] }
            }
            _ => Material::Sealed(Arc::new(SigningKey::generate_pkcs8(Algorithm::ES256).unwrap())),
        };
        self.keys.lock().unwrap().push(Key { kid: kid.to_owned(), state: KeyState::Next, material });
        self.number.fetch_add(1, Ordering::SeqCst);
    }

    /// Has it sign from now on; the one before retires.
    pub(crate) fn activate(&self, kid: &str) {
        for key in self.keys.lock().unwrap().iter_mut() {
            key.state = match key.state {
                _ if key.kid == kid => KeyState::Active,
                KeyState::Active => KeyState::Retiring,
                other => other,
            };
        }
        self.number.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes it out of the key set.
    pub(crate) fn remove(&self, kid: &str) {
        self.keys.lock().unwrap().retain(|key| key.kid != kid);
        self.number.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes something back.
    pub(crate) fn revoke(&self, kind: RevocationKind, value: impl ToString) {
        self.say(kind, value.to_string(), false);
    }

    /// Bans a device.
    pub(crate) fn ban(&self, device: [u8; 16]) {
        self.revoke(RevocationKind::Device, DeviceId::from_bytes(device));
    }

    /// Takes that back.
    pub(crate) fn lift(&self, kind: RevocationKind, value: impl ToString) {
        self.say(kind, value.to_string(), true);
    }

    fn say(&self, kind: RevocationKind, value: String, lifted: bool) {
        let mut log = self.log.lock().unwrap();
        let number = log.len() as u64 + 1;
        log.push(RevocationEntry { number, kind, value, since: 0, until: None, lifted });
    }

    /// Gives orders in place of those before.
    pub(crate) fn order(&self, orders: Vec<Order>) {
        *self.orders.lock().unwrap() = orders;
        // Whatever changes them raises the number.
        self.say(RevocationKind::Kid, "of-no-token".to_owned(), true);
    }

    /// Loses everything it took back.
    pub(crate) fn forget_revocations(&self) {
        self.log.lock().unwrap().clear();
    }

    pub(crate) fn token(&self) -> String {
        self.issue(&Token::default())
    }

    /// A token of the key that signs now.
    pub(crate) fn issue(&self, token: &Token) -> String {
        let keys = self.keys.lock().unwrap();
        let Key { kid, material, .. } = keys.iter().find(|key| key.state == KeyState::Active).unwrap();
        let now = self.clock.now();
        let issued = UnixTime::from_secs(now.secs() - if token.life > 0 { 0 } else { 3600 });
        let exp = UnixTime::from_secs(now.secs() + token.life);
        let mut jti = [0; 16];
        jti[..4].copy_from_slice(&self.tokens.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let context = AsvContext { iss: token.issuer, aud: token.audience, kid, iat: issued, exp };
        let block = AsvBlock {
            passed: token.genuine,
            tier: if token.genuine { Tier::Affirming } else { Tier::Contraindicated },
            kinds: EvidenceKinds::EMPTY,
            annotations: if token.dev { annotations::DEV } else { 0 },
            device_age_hours: 0,
            build: token.build,
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
        let key = match material {
            Material::Secret { secret, decoy } => {
                let secret = token.secret.unwrap_or(if token.genuine { *secret } else { *decoy });
                SigningKey::hmac(kid, Algorithm::HS256, &secret).unwrap()
            }
            Material::Sealed(der) => SigningKey::from_pkcs8(kid, Algorithm::ES256, der).unwrap().sealed().unwrap(),
        };
        issue(&claims, &key).unwrap()
    }

    fn document(&self) -> KeySetDocument {
        let keys = self.keys.lock().unwrap();
        let sealed = keys.iter().any(|key| matches!(key.material, Material::Sealed(_)));
        KeySetDocument {
            format: FORMAT.to_owned(),
            number: self.number.load(Ordering::SeqCst),
            issued: self.clock.now().secs(),
            key_sets: vec![KeySetEntry {
                name: "default".to_owned(),
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                concealment: if sealed { "sealed" } else { "decoy" }.to_owned(),
                max_lifetime_secs: 600,
                verdict_key: SecretBytes::new(&self.verdict_key),
                keys: keys.iter().map(Key::document).collect(),
            }],
            revoked: Revoked::default(),
        }
    }

    fn revocations(&self, after: u64) -> RevocationDocument {
        let log = self.log.lock().unwrap();
        let latest = log.len() as u64;
        // One that forgot tells all that it knows.
        let from = if after > latest { 0 } else { after };
        RevocationDocument {
            format: REVOCATIONS_FORMAT.to_owned(),
            number: latest,
            latest,
            issued: self.clock.now().secs(),
            from,
            entries: log.iter().filter(|entry| entry.number > from).cloned().collect(),
            orders: Some(self.orders.lock().unwrap().clone()),
        }
    }
}

impl Key {
    fn document(&self) -> KeyDocument {
        let (alg, secret, decoy, public_jwk) = match &self.material {
            Material::Secret { secret, decoy } => {
                ("HS256", Some(SecretBytes::new(secret)), Some(SecretBytes::new(decoy)), None)
            }
            Material::Sealed(der) => {
                let key = SigningKey::from_pkcs8(&self.kid, Algorithm::ES256, der).unwrap();
                ("ES256", None, None, key.public_jwk())
            }
        };
        KeyDocument { kid: self.kid.clone(), alg: alg.to_owned(), state: self.state, secret, decoy, public_jwk }
    }
}

#[async_trait]
impl FetchKeySets for Issuer {
    async fn fetch(&self) -> Result<Fetched, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.up.load(Ordering::SeqCst) {
            return Err("the service is away".to_owned());
        }
        let payload = self.document().to_payload().unwrap();
        Ok(Fetched { document: self.feed.sign(&payload), pinned: self.feed.public_key().unwrap() })
    }
}

#[async_trait]
impl FetchRevocations for Issuer {
    async fn fetch(&self, after: u64) -> Result<Fetched, String> {
        if !self.tells_revocations.load(Ordering::SeqCst) {
            return Err("the service is away".to_owned());
        }
        let payload = self.revocations(after).to_payload().unwrap();
        Ok(Fetched { document: self.feed.sign_revocations(&payload), pinned: self.feed.public_key().unwrap() })
    }

    fn pinned(&self) -> FeedPublicKey {
        self.feed.public_key().unwrap()
    }

    async fn report(&self, facts: &GatewayFacts) -> Result<(), String> {
        if !self.tells_revocations.load(Ordering::SeqCst) {
            return Err("the service is away".to_owned());
        }
        *self.reported.lock().unwrap() = Some(facts.clone());
        Ok(())
    }
}
