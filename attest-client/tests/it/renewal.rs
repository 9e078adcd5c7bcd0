//! The device key renewed: what is sent, and which key is in use afterwards.

use attest_client::device_key::DeviceKeyError;
use attest_client::{DeviceKey, FetchError, SoftwareKey};
use attest_core::device_key::DevicePublicKey;
use attest_core::envelope::AttestRequest;

use crate::fake::{Fake, Reply, client};

fn sent(fake: &Fake) -> AttestRequest {
    fake.with(|seen| AttestRequest::parse(seen.requests.last().unwrap()).unwrap())
}

#[tokio::test]
async fn both_keys_sign_one_request_and_the_next_is_the_new_keys_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.key");
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.device_key(SoftwareKey::in_file(&path).unwrap()).build().unwrap();
    let old = client.device_public_key().unwrap();
    client.fetch_token().await.unwrap();
    client.fetch_token_bound(b"Bearer alice").await.unwrap();

    let next = SoftwareKey::renewal_of(&path).unwrap();
    let new = next.public_key().unwrap();
    assert_eq!(client.rotate_device_key(next).await.unwrap().as_str(), "token.3.x");
    let request = sent(&fake);
    let previous = request.previous.as_ref().unwrap();
    assert_eq!((request.device_key.as_bytes(), previous.device_key.as_bytes()), (&new, &old));
    let transcript = request.transcript("default");
    request.device_key.verify(&transcript, &request.signature).unwrap();
    previous.device_key.verify(&transcript, &previous.signature).unwrap();

    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.3.x", "the renewed token is in hand");
    assert_eq!(
        client.fetch_token_bound(b"Bearer alice").await.unwrap().as_str(),
        "token.4.x",
        "the old key's are gone"
    );
    let request = sent(&fake);
    assert!(request.previous.is_none() && request.device_key.as_bytes() == &new);
    assert_eq!(SoftwareKey::in_file(&path).unwrap().public_key().unwrap(), new, "and at the next start");
}

#[tokio::test]
async fn a_renewal_that_failed_leaves_the_old_key_and_its_tokens() {
    let fake = Fake::start(&[Reply::Token, Reply::Status(400, None)]).await;
    let client = client(&fake).0.build().unwrap();
    let old = client.device_public_key().unwrap();
    client.fetch_token().await.unwrap();
    let failed = client.rotate_device_key(SoftwareKey::in_memory().unwrap()).await.unwrap_err();
    assert!(matches!(failed, FetchError::Protocol { status: 400, .. }), "{failed:?}");
    assert_eq!(client.device_public_key().unwrap(), old);
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.1.x");
}

/// A key that can't be put where the next start finds it.
struct Homeless(SoftwareKey);

impl DeviceKey for Homeless {
    fn public_key(&self) -> Result<[u8; 65], DeviceKeyError> {
        self.0.public_key()
    }

    fn sign(&self, transcript: &[u8; 32]) -> Result<[u8; 64], DeviceKeyError> {
        self.0.sign(transcript)
    }

    fn settled(&self) -> Result<(), DeviceKeyError> {
        Err(DeviceKeyError::Unusable("disk full".into()))
    }
}

#[tokio::test]
async fn a_new_key_that_cannot_be_settled_is_in_use_and_no_token_of_the_old_one_is() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    client.fetch_token().await.unwrap();
    let next = Homeless(SoftwareKey::in_memory().unwrap());
    let new = next.public_key().unwrap();
    assert!(matches!(client.rotate_device_key(next).await, Err(FetchError::DeviceKey(_))));
    assert_eq!(client.device_public_key().unwrap(), new, "the service knows no other");
    assert_eq!(client.fetch_token().await.unwrap().as_str(), "token.3.x");
}

#[tokio::test]
async fn signs_messages_that_are_no_transcript() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build().unwrap();
    assert!(matches!(client.sign(&[7; 32]), Err(DeviceKeyError::TooShort)), "that could be a transcript");
    assert!(matches!(client.sign(b""), Err(DeviceKeyError::TooShort)));
    let base = br#""@method": GET ... a signature base of RFC 9421"#;
    let signature = client.sign(base).unwrap();
    let key = DevicePublicKey::parse(&client.device_public_key().unwrap()).unwrap();
    key.verify_message(base, &signature).unwrap();
    assert!(key.verify_message(b"another message, just as long as 33 b", &signature).is_err());
}
