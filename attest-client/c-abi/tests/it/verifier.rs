//! A Verifier on loopback, made of the house's own parts: challenges that are checked and spent once, the real appraisal
//! against registered measurements, tokens signed with a key or its decoy, and the gateway's check of them.
//! What it leaves out is storage, limits and TLS.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use attest_client::measure;
use attest_core::appraisal::{DeviceFacts, EvidencePolicy, appraise};
use attest_core::b64u;
use attest_core::challenge::{Challenge, ChallengeKey};
use attest_core::envelope::AttestRequest;
use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::random::{SystemRandom, array};
use attest_core::reasons::Reasons;
use attest_core::reference::{Build, PackageFacts, Platform};
use attest_core::time::{Clock as _, SystemClock};
use attest_core::token::Algorithm;
use attest_core::token::arc::ArcKey;
use attest_core::token::asv::{self, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetKind, VerificationKey};
use attest_core::token::verify::{BindingStyle, BindingValue, Expect, authenticate, check};
use attest_core::verdict::Verdict;

pub(crate) struct Verifier {
    pub(crate) url: String,
    inside: Arc<Inside>,
}

struct Inside {
    builds: Vec<Build>,
    secrets: [[u8; 32]; 5],
    spent: Mutex<HashSet<[u8; 16]>>,
    requests: Mutex<Vec<AttestRequest>>,
}

impl Verifier {
    /// Of the app `shop` 3.2.0, whose builds are the programs at `programs`.
    pub(crate) fn start(programs: &[&Path]) -> Self {
        let build = |(at, path): (usize, &&Path)| Build {
            number: u32::try_from(at).unwrap() + 1,
            app: "shop".into(),
            version: "3.2.0".into(),
            platform: Platform::Linux,
            label: String::new(),
            measurement: Some(measure::file(*path).unwrap()),
            package: PackageFacts::default(),
            libraries: Vec::new(),
            retired: false,
        };
        let inside = Arc::new(Inside {
            builds: programs.iter().enumerate().map(build).collect(),
            secrets: std::array::from_fn(|_| array(&SystemRandom).unwrap()),
            spent: Mutex::default(),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/assay/v1", listener.local_addr().unwrap());
        let serving = Arc::clone(&inside);
        // Ends with the process.
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let inside = Arc::clone(&serving);
                thread::spawn(move || inside.serve(socket));
            }
        });
        Self { url, inside }
    }

    /// A client's last request, whose T every signature and all Evidence in it carries.
    pub(crate) fn last_request(&self) -> AttestRequest {
        self.inside.requests.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.inside.requests.lock().unwrap().len()
    }

    /// The verdict of a gateway on `token`, on a route that binds `bound_to`, if any.
    pub(crate) fn verdict(&self, token: &str, bound_to: Option<&[u8]>) -> Verdict {
        let [_, secret, decoy, verdict_key, _] = &self.inside.secrets;
        let key = VerificationKey::hmac(Some("k1"), Algorithm::HS256, secret, Some(decoy)).unwrap();
        let keys = KeySet::new(KeySetDraft {
            name: KEY_SET.into(),
            kind: KeySetKind::Own,
            issuer: Some(ISSUER.into()),
            audience: Some(AUDIENCE.into()),
            concealment: Concealment::Decoy,
            keys: vec![key],
            verdict_key: Some(VerdictKey::new(*verdict_key)),
            max_lifetime: Some(LIFE),
        })
        .unwrap();
        let authenticated = match authenticate(token.as_bytes(), &keys) {
            Ok(authenticated) => Arc::new(authenticated),
            Err((verdict, _)) => return verdict,
        };
        let values: Vec<&[u8]> = bound_to.into_iter().collect();
        let binding = bound_to.map(|_| BindingValue::Present { values: &values, style: BindingStyle::LengthPrefixed });
        check(
            &authenticated,
            &Expect {
                issuer: keys.issuer(),
                audience: keys.audience(),
                binding,
                ..Expect::valid_at(SystemClock.now())
            },
        )
        .verdict()
    }
}

impl Inside {
    fn serve(&self, socket: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(&socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, body) = match head.split(' ').nth(1)? {
            "/assay/v1/challenge" => (200, self.challenge()),
            "/assay/v1/attest" => self.attest(&body),
            _ => (404, "{}".to_owned()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        (&socket).write_all((head + &body).as_bytes()).ok()
    }

    fn challenge(&self) -> String {
        let nonce = array(&SystemRandom).unwrap();
        let key = ChallengeKey::new(&self.secrets[0]);
        let challenge = Challenge::issue(nonce, EPOCH, KEY_SET, SystemClock.now(), &key);
        format!(r#"{{"challenge":"{}","key_set":"{KEY_SET}","expires_in":60}}"#, b64u::encode(challenge.as_bytes()))
    }

    fn attest(&self, body: &[u8]) -> (u16, String) {
        let Ok(request) = AttestRequest::parse(body) else { return (400, "{}".to_owned()) };
        let now = SystemClock.now();
        let key = ChallengeKey::new(&self.secrets[0]);
        let verified = Challenge::from_bytes(&request.challenge)
            .and_then(|challenge| challenge.verify(&key, KEY_SET, EPOCH, now, Duration::from_secs(60)));
        let Ok(verified) = verified else { return (410, "{}".to_owned()) };
        if !self.spent.lock().unwrap().insert(*verified.nonce()) {
            return (409, "{}".to_owned());
        }
        let token = self.sign(&request);
        self.requests.lock().unwrap().push(request);
        (200, format!(r#"{{"token":"{token}","expires_in":300}}"#))
    }

    fn sign(&self, request: &AttestRequest) -> String {
        let [_, secret, decoy, verdict_key, arc_key] = &self.secrets;
        let policy = EvidencePolicy {
            require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
            danger_affirm_measurement_alone: true,
            ..EvidencePolicy::default()
        };
        let result = appraise(request, &request.transcript(KEY_SET), &self.builds, &policy, DeviceFacts::default());
        let key = SigningKey::hmac("k1", Algorithm::HS256, if result.passed { secret } else { decoy }).unwrap();
        let iat = attest_core::time::UnixTime::from_secs(SystemClock.now().secs());
        let exp = iat.plus(LIFE);
        let jti = array(&SystemRandom).unwrap();
        let context = AsvContext { iss: ISSUER, aud: AUDIENCE, kid: "k1", iat, exp };
        let asv = asv::seal(&VerdictKey::new(*verdict_key), &jti_text(&jti), context, &result.asv_block());
        let arc = ArcKey::new(*arc_key).encode(Reasons::NONE, array(&SystemRandom).unwrap());
        let claims = TokenClaims {
            iss: ISSUER,
            aud: AUDIENCE,
            iat,
            exp,
            jti,
            did: Some(request.device_key.device_id(&[7; 32])),
            asv: &asv,
            arc: &arc,
            app: Some(&request.app),
            ver: Some(&request.version),
            pay: request.binding,
            cnf_jkt: None,
            ipk: Some(&request.device_key),
            ip: None,
        };
        issue(&claims, &key).unwrap()
    }
}

pub(crate) const KEY_SET: &str = "default";
const ISSUER: &str = "https://attest.example";
const AUDIENCE: &str = "api.example";
const EPOCH: [u8; 8] = [3; 8];
const LIFE: Duration = Duration::from_secs(300);
