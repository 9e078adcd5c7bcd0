//! What a gateway sees: the key-set document, and verdicts from it alone.

use std::sync::Arc;

use attest_core::{
    appraisal::DeviceState,
    device_key::DeviceId,
    feed::{FeedPublicKey, KeySetDocument, SignedDocument},
    time::Clock as _,
    token::verify::{Expect, Verified, authenticate, check},
    verdict::Verdict,
};

use crate::{
    attester::Attester,
    world::{Folder, GATEWAY_TOKEN, NOW, Reply, World},
};

pub async fn fetch(world: &World<'_>, authorization: Option<&str>) -> Reply {
    let mut request = world.client.get(world.url("/gateway/keysets"));
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Reply::of(request.send().await.unwrap()).await
}

pub async fn document(world: &World<'_>) -> KeySetDocument {
    let reply = fetch(world, Some(&format!("Bearer {GATEWAY_TOKEN}"))).await;
    assert_eq!(reply.status, 200);
    let pinned = std::fs::read_to_string(world.folder.state().join("feed.pub")).unwrap();
    let signed = SignedDocument::parse(&reply.body).unwrap();
    KeySetDocument::parse(&FeedPublicKey::parse(&pinned).unwrap().verify(&signed).unwrap()).unwrap()
}

/// The verdict of a gateway that has just fetched the document.
pub async fn verify(world: &World<'_>, token: &str) -> Verified {
    let document = document(world).await;
    let revocations = document.revocations();
    let key_sets = document.key_sets().unwrap();
    let keys = &key_sets[0];
    let authenticated = match authenticate(token.as_bytes(), keys) {
        Ok(authenticated) => Arc::new(authenticated),
        Err((verdict, reason)) => return Verified::refused(verdict, reason, false),
    };
    check(
        &authenticated,
        &Expect {
            issuer: keys.issuer(),
            audience: keys.audience(),
            max_lifetime: keys.max_lifetime(),
            revoked: &revocations,
            ..Expect::valid_at(world.clock.now())
        },
    )
}

#[tokio::test]
async fn the_document_needs_the_gateway_token() {
    let folder = Folder::new();
    let world = folder.start().await;
    for wrong in [None, Some("Bearer "), Some("Bearer wrong"), Some(GATEWAY_TOKEN), Some("Basic YTpi")] {
        let reply = fetch(&world, wrong).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "unauthorised"), "{wrong:?}");
        assert!(reply.headers.contains_key("www-authenticate"));
    }
    assert_eq!(fetch(&world, Some(&format!("bearer {GATEWAY_TOKEN}"))).await.status, 200);
}

#[tokio::test]
async fn without_a_gateway_token_file_the_document_leaves_the_process_only_by_the_handle() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.gateway_token_file = None;
    let world = folder.start_with(settings).await;
    assert_eq!(fetch(&world, Some(&format!("Bearer {GATEWAY_TOKEN}"))).await.status, 401);
    assert_eq!(fetch(&world, Some("Bearer ")).await.status, 401);
    let payload = world.handle.feed_public_key().verify(&world.handle.key_sets().unwrap()).unwrap();
    assert_eq!(KeySetDocument::parse(&payload).unwrap().issued(), NOW);
}

#[tokio::test]
async fn the_number_rises_with_the_content_and_only_then() {
    let folder = Folder::new();
    let world = folder.start().await;
    let first = document(&world).await;
    world.clock.advance(std::time::Duration::from_secs(5));
    let dated = document(&world).await;
    assert_eq!((dated.number, dated.issued), (first.number, first.issued + 5));

    world.handle.registry().mark_device(&[7; 16], DeviceState::Banned, None, NOW).unwrap();
    let banned = document(&world).await;
    assert_eq!(banned.number, first.number + 1);
    assert_eq!(banned.revoked.devices, [DeviceId::from_bytes([7; 16]).to_string()]);

    world.handle.registry().mark_device(&[8; 16], DeviceState::ForcedFail, None, NOW).unwrap();
    assert_eq!(document(&world).await.number, banned.number);
}

#[tokio::test]
async fn a_ban_revokes_the_tokens_in_hand_and_fails_the_next_attestation() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let token = attester.attest(&world).await.token();
    let verified = verify(&world, &token).await;
    assert_eq!(verified.verdict(), Verdict::Attested);
    let device: DeviceId = verified.device().unwrap().parse().unwrap();

    world.handle.registry().mark_device(device.as_bytes(), DeviceState::Banned, None, NOW).unwrap();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Revoked);
    let next = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &next).await.verdict(), Verdict::Failed);
}
