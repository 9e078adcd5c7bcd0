//! An app in the test's own hands. In: a service's address and what to claim. Out: attest requests, honest or forged,
//! and the service's raw answers.

use std::sync::LazyLock;

use attest_core::b64u;
use attest_core::device_key::DevicePrivateKey;
use attest_core::envelope::{AttestRequest, Evidence};
use attest_core::evidence_kind::EvidenceKind;
use attest_core::measurement::{self, Measurement, measure_file};
use attest_core::reference::Platform;
use serde_json::Value;

use crate::programs;
use crate::wire::{Answer, call};

/// A device key and what the app claims to measure.
pub struct Attester {
    key: DevicePrivateKey,
    measurement: Measurement,
}

impl Attester {
    /// Claims what the sample app's file measures: it holds the file, which is enough for a measurement.
    #[must_use]
    pub fn genuine() -> Self {
        // The same for all: an unoptimised hash of a large file takes a while.
        static MEASURED: LazyLock<Measurement> =
            LazyLock::new(|| measure_file(&std::fs::read(programs::sample_app()).unwrap()).unwrap());
        Self { key: DevicePrivateKey::generate().unwrap(), measurement: *MEASURED }
    }

    /// Claims a measurement that nobody registered.
    #[must_use]
    pub fn patched() -> Self {
        Self { key: DevicePrivateKey::generate().unwrap(), measurement: Measurement::from_bytes([0x66; 32]) }
    }

    /// A request for a challenge, changed by `say` before Evidence and signature are made over it.
    pub fn request(&self, challenge: &[u8], say: impl FnOnce(&mut AttestRequest)) -> AttestRequest {
        let mut request = AttestRequest {
            challenge: challenge.to_vec(),
            app: "shop".to_owned(),
            version: "1.0".to_owned(),
            platform: Platform::Linux,
            build: String::new(),
            device_key: self.key.public_key().unwrap(),
            device: vec![("os".to_owned(), "linux".to_owned())],
            findings: Vec::new(),
            binding: None,
            evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: Vec::new() }],
            signature: [0; 64],
            previous: None,
        };
        say(&mut request);
        let transcript = request.transcript("default");
        for evidence in &mut request.evidence {
            evidence.data = measurement::mac(&self.measurement, challenge, &transcript).to_vec();
        }
        request.signature = self.key.sign(&transcript).unwrap();
        request
    }

    /// A new challenge, and the answer to a request for it. `service`: `address/path`.
    pub fn attest(&self, service: &Service, say: impl FnOnce(&mut AttestRequest)) -> Answer {
        service.attest(&self.request(&service.challenge(), say))
    }

    /// A token.
    #[must_use]
    pub fn token(&self, service: &Service) -> String {
        let answer = self.attest(service, |_| ());
        answer.json()["token"].as_str().unwrap_or_else(|| panic!("no token: {}", answer.text())).to_owned()
    }

    /// A token bound to a header value.
    #[must_use]
    pub fn bound_token(&self, service: &Service, value: &str) -> String {
        use attest_core::token::binding::{BindingStyle, binding_hash};
        let hash = binding_hash(&[value.as_bytes()], BindingStyle::LengthPrefixed);
        self.attest(service, |request| request.binding = Some(hash)).json()["token"].as_str().unwrap().to_owned()
    }
}

/// Where the attestation API is.
#[derive(Clone, Debug)]
pub struct Service {
    /// Host and port.
    pub address: String,
    /// The path that everything stands under.
    pub path: String,
}

impl Service {
    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// A new challenge's bytes.
    #[must_use]
    pub fn challenge(&self) -> Vec<u8> {
        let answer = self.post("/challenge", b"{}");
        let text: Value = answer.json();
        let text =
            text["challenge"].as_str().unwrap_or_else(|| panic!("no challenge: {} {}", answer.status, answer.text()));
        b64u::decode(text.as_bytes(), 256).unwrap()
    }

    /// Sends an attest request.
    #[must_use]
    pub fn attest(&self, request: &AttestRequest) -> Answer {
        self.post("/attest", request.to_json().to_string().as_bytes())
    }

    /// Any POST below the base.
    #[must_use]
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        call(&self.address, "POST", &format!("{}{path}", self.path), &[("Content-Type", "application/json")], body)
    }
}
