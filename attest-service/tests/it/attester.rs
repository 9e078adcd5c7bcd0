//! An app with its device key: makes attest requests, good ones and every kind of bad one.

use attest_core::{
    device_key::DevicePrivateKey,
    envelope::{AttestRequest, Evidence, PreviousKey},
    evidence_kind::EvidenceKind,
    measurement::{self, Measurement},
    reference::Platform,
};

use crate::world::{KEY_SET, MEASUREMENT, Reply, World};

pub struct Attester {
    pub key: DevicePrivateKey,
    pub measurement: Measurement,
}

impl Attester {
    pub fn genuine() -> Self {
        Self { key: DevicePrivateKey::generate().unwrap(), measurement: MEASUREMENT }
    }

    pub fn patched() -> Self {
        Self { measurement: Measurement::from_bytes([0x66; 32]), ..Self::genuine() }
    }

    /// A request for `challenge`, changed by `say` before Evidence and signatures are made over it.
    pub fn request(&self, challenge: &[u8], say: impl FnOnce(&mut AttestRequest)) -> AttestRequest {
        self.request_after(None, challenge, say)
    }

    /// The same by a key that was renewed: `previous` consents.
    pub fn request_after(
        &self,
        previous: Option<&Self>,
        challenge: &[u8],
        say: impl FnOnce(&mut AttestRequest),
    ) -> AttestRequest {
        let mut request = AttestRequest {
            challenge: challenge.to_vec(),
            app: "sample".to_owned(),
            version: "1.0".to_owned(),
            platform: Platform::Linux,
            build: String::new(),
            device_key: self.key.public_key().unwrap(),
            device: vec![("os".to_owned(), "linux".to_owned())],
            findings: Vec::new(),
            binding: None,
            evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: Vec::new() }],
            signature: [0; 64],
            previous: previous
                .map(|previous| PreviousKey { device_key: previous.key.public_key().unwrap(), signature: [0; 64] }),
        };
        say(&mut request);
        let transcript = request.transcript(KEY_SET);
        for evidence in &mut request.evidence {
            evidence.data = measurement::mac(&self.measurement, challenge, &transcript).to_vec();
        }
        request.signature = self.key.sign(&transcript).unwrap();
        if let (Some(said), Some(previous)) = (&mut request.previous, previous) {
            said.signature = previous.key.sign(&transcript).unwrap();
        }
        request
    }

    pub async fn attest_saying(&self, world: &World<'_>, say: impl FnOnce(&mut AttestRequest)) -> Reply {
        let challenge = world.challenge().await;
        send(world, &self.request(&challenge, say)).await
    }

    pub async fn attest(&self, world: &World<'_>) -> Reply {
        self.attest_saying(world, |_| ()).await
    }

    /// Attests as the device that `previous` was.
    pub async fn attest_after(&self, previous: &Self, world: &World<'_>) -> Reply {
        let challenge = world.challenge().await;
        send(world, &self.request_after(Some(previous), &challenge, |_| ())).await
    }
}

pub async fn send(world: &World<'_>, request: &AttestRequest) -> Reply {
    world.post("/attest", request.to_json().to_string()).await
}
