//! What the SDK sends, read with the service's own parser and checked with its own checks.

use std::sync::{Arc, Mutex};

use attest_client::evidence::{Bound, EvidenceProvider};
use attest_client::{FetchError, Finding, SoftwareKey, measure};
use attest_core::appraisal::{DeviceFacts, EvidencePolicy, appraise};
use attest_core::envelope::AttestRequest;
use attest_core::evidence_kind::EvidenceKind;
use attest_core::measurement::verify_mac;
use attest_core::reasons::Reasons;

use crate::IMAGE;
use crate::fake::{Fake, client};

async fn sent(fake: &Fake) -> AttestRequest {
    fake.with(|seen| AttestRequest::parse(&seen.requests[0]).unwrap())
}

#[tokio::test]
async fn the_request_holds_what_was_said_signed_and_measured_over_one_transcript() {
    let _image = IMAGE.read().await;
    let fake = Fake::start(&[]).await;
    let builder = client(&fake).0.build_label("arm64").device_fact("model", "Pixel 9");
    builder.build().unwrap().fetch_token().await.unwrap();

    let request = sent(&fake).await;
    assert_eq!((request.app.as_str(), request.version.as_str(), request.build.as_str()), ("shop", "3.2.0", "arm64"));
    assert!(request.device.contains(&("model".into(), "Pixel 9".into())));
    assert!(request.device.contains(&("arch".into(), std::env::consts::ARCH.into())));
    assert_eq!(request.challenge, [1; 73]);
    assert_eq!(request.binding, None);

    let transcript = request.transcript("default");
    request.device_key.verify(&transcript, &request.signature).unwrap();
    let registered = measure::file(std::env::current_exe().unwrap()).unwrap();
    let mac = request.evidence(EvidenceKind::Measurement).unwrap().try_into().unwrap();
    assert!(verify_mac(&registered, &request.challenge, &transcript, mac));
}

#[tokio::test]
async fn the_device_key_stays_and_a_client_without_one_is_a_new_device() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for kept in [true, true, false, false] {
        let fake = Fake::start(&[]).await;
        let mut builder = client(&fake).0;
        if kept {
            builder = builder.device_key(SoftwareKey::in_file(folder.path().join("device.key")).unwrap());
        }
        builder.build().unwrap().fetch_token().await.unwrap();
        keys.push(*sent(&fake).await.device_key.as_bytes());
    }
    assert_eq!(keys[0], keys[1]);
    assert!(keys[1] != keys[2] && keys[2] != keys[3]);
}

/// The service knows each word that the SDK may send; an unknown one would weigh as "something else".
#[tokio::test]
async fn every_finding_has_a_name_at_the_service() {
    let fake = Fake::start(&[]).await;
    client(&fake).0.build().unwrap().fetch_token().await.unwrap();
    let mut request = sent(&fake).await;
    for finding in Finding::ALL {
        let reason = match finding.name() {
            "emulator" => Reasons::EMULATOR,
            "injected-library" => Reasons::INJECTED_LIBRARY,
            "root" => Reasons::ROOT,
            "tracer" => Reasons::TRACER,
            // Weighs as "something else": programs that compile at run time have such code, too.
            "unexpected-code" => Reasons::OTHER_FINDING,
            other => panic!("{other} has no name at the service"),
        };
        request.findings = vec![finding.to_string()];
        let transcript = request.transcript("default");
        let result = appraise(&request, &transcript, &[], &EvidencePolicy::default(), DeviceFacts::default());
        assert!(result.reasons.contains(reason), "{finding}");
        assert_eq!(result.reasons.contains(Reasons::OTHER_FINDING), reason == Reasons::OTHER_FINDING, "{finding}");
    }
}

/// A platform that records what it was asked to vouch for.
#[derive(Clone)]
struct Platform {
    kind: EvidenceKind,
    available: bool,
    answer: Result<Vec<u8>, String>,
    asked: Arc<Mutex<Vec<Bound>>>,
}

impl Platform {
    fn new(kind: EvidenceKind, available: bool, answer: Result<Vec<u8>, String>) -> Self {
        Self { kind, available, answer, asked: Arc::default() }
    }
}

impl EvidenceProvider for Platform {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn is_available(&self) -> bool {
        self.available
    }

    fn evidence(&self, bound: &Bound) -> Result<Vec<u8>, String> {
        self.asked.lock().unwrap().push(*bound);
        self.answer.clone()
    }
}

#[tokio::test]
async fn a_platform_that_fails_fails_the_fetch_aloud() {
    let fake = Fake::start(&[]).await;
    let platform = Platform::new(EvidenceKind::PlayIntegrity, true, Err("quota".into()));
    let error = client(&fake).0.evidence(platform).build().unwrap().fetch_token().await.unwrap_err();
    assert_eq!(error, FetchError::Evidence { kind: EvidenceKind::PlayIntegrity, what: "quota".into() });
    assert_eq!(fake.counts(), (1, 0));
}

#[tokio::test]
async fn evidence_beyond_what_is_read_is_not_sent() {
    let fake = Fake::start(&[]).await;
    let platform = Platform::new(EvidenceKind::PlayIntegrity, true, Ok(vec![0; 64 * 1024]));
    let error = client(&fake).0.evidence(platform).build().unwrap().fetch_token().await.unwrap_err();
    assert!(matches!(error, FetchError::Request(_)), "{error:?}");
    assert_eq!(fake.counts(), (1, 0));
}

#[tokio::test]
async fn platforms_vouch_for_the_transcript_and_those_not_available_are_not_offered() {
    let fake = Fake::start(&[]).await;
    let there = Platform::new(EvidenceKind::AndroidKey, true, Ok(b"chain".to_vec()));
    let away = Platform::new(EvidenceKind::PlayIntegrity, false, Ok(b"never".to_vec()));
    let builder = client(&fake).0.evidence(there.clone()).evidence(away.clone());
    builder.build().unwrap().fetch_token().await.unwrap();

    let request = sent(&fake).await;
    assert_eq!(request.evidence(EvidenceKind::AndroidKey), Some(&b"chain"[..]));
    assert_eq!(request.evidence(EvidenceKind::PlayIntegrity), None);
    let asked = there.asked.lock().unwrap();
    assert_eq!(asked[0].transcript, *request.transcript("default").as_bytes());
    let without_key = request.transcript_without_device_key("default");
    assert_eq!(asked[0].transcript_without_device_key, *without_key.as_bytes());
    assert!(away.asked.lock().unwrap().is_empty());
}
