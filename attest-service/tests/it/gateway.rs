//! What a gateway sees: the key-set document, and verdicts from it alone.

use std::{sync::Arc, time::Duration};

use attest_core::{
    appraisal::DeviceState,
    device_key::DeviceId,
    feed::{FEED_FORMAT_HEADER, FeedPublicKey, KeySetDocument, RevocationDocument, RevocationKind, SignedDocument},
    revocations::Index,
    time::Clock as _,
    token::verify::{Expect, Verified, authenticate, check},
    verdict::Verdict,
};
use attest_store::{Revocation, RotateWhen};

use crate::{
    attester::Attester,
    world::{Config, Folder, GATEWAY_TOKEN, NOW, Reply, World, actor},
};

pub async fn fetch(world: &World<'_>, path: &str, authorization: Option<&str>) -> Reply {
    let mut request = world.client.get(world.url(path)).header(FEED_FORMAT_HEADER, "2");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Reply::of(request.send().await.unwrap()).await
}

fn pinned(world: &World<'_>) -> FeedPublicKey {
    FeedPublicKey::parse(&std::fs::read_to_string(world.folder.state().join("feed.pub")).unwrap()).unwrap()
}

async fn signed(world: &World<'_>, path: &str) -> SignedDocument {
    let reply = fetch(world, path, Some(&format!("Bearer {GATEWAY_TOKEN}"))).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    SignedDocument::parse(&reply.body).unwrap()
}

pub async fn document(world: &World<'_>) -> KeySetDocument {
    let signed = signed(world, "/gateway/keysets").await;
    KeySetDocument::parse(&pinned(world).verify(&signed).unwrap()).unwrap()
}

pub async fn revocations(world: &World<'_>, after: u64) -> RevocationDocument {
    let signed = signed(world, &format!("/gateway/revocations?after={after}")).await;
    RevocationDocument::parse(&pinned(world).verify_revocations(&signed).unwrap()).unwrap()
}

/// The verdict of a gateway that has just fetched both documents.
pub async fn verify(world: &World<'_>, token: &str) -> Verified {
    verify_by(world, token, false).await
}

/// The same on a route that allows development tokens, or does not.
pub async fn verify_by(world: &World<'_>, token: &str, allow_dev: bool) -> Verified {
    let document = document(world).await;
    let mut revoked = Index::default();
    revoked.apply(&revocations(world, 0).await).unwrap();
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
            revoked: &revoked,
            allow_dev,
            ..Expect::valid_at(world.clock.now())
        },
    )
}

#[tokio::test]
async fn the_document_needs_the_gateway_token() {
    let folder = Folder::new();
    let world = folder.start().await;
    for path in ["/gateway/keysets", "/gateway/revocations"] {
        for wrong in [None, Some("Bearer "), Some("Bearer wrong"), Some(GATEWAY_TOKEN), Some("Basic YTpi")] {
            let reply = fetch(&world, path, wrong).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "unauthorised"), "{wrong:?}");
            assert!(reply.headers.contains_key("www-authenticate"));
        }
        assert_eq!(fetch(&world, path, Some(&format!("bearer {GATEWAY_TOKEN}"))).await.status, 200);
    }
}

#[tokio::test]
async fn without_a_gateway_token_file_the_document_leaves_the_process_only_by_the_handle() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.gateway_token_file = None;
    let world = folder.start_with(settings).await;
    assert_eq!(fetch(&world, "/gateway/keysets", Some(&format!("Bearer {GATEWAY_TOKEN}"))).await.status, 401);
    assert_eq!(fetch(&world, "/gateway/keysets", Some("Bearer ")).await.status, 401);
    let payload = world.handle.feed_public_key().verify(&world.handle.key_sets().unwrap()).unwrap();
    assert_eq!(KeySetDocument::parse(&payload).unwrap().issued(), NOW);
}

#[tokio::test]
async fn the_numbers_rise_with_the_content_and_only_then() {
    let folder = Folder::new();
    let world = folder.start().await;
    let (keys, revoked) = (document(&world).await, revocations(&world, 0).await);
    world.clock.advance(Duration::from_secs(5));
    let dated = document(&world).await;
    assert_eq!((dated.number, dated.issued), (keys.number, keys.issued + 5));
    assert_eq!(revocations(&world, 0).await.issued, revoked.issued + 5);

    world.mark(DeviceId::from_bytes([7; 16]), DeviceState::Banned, None).await;
    let banned = revocations(&world, revoked.number).await;
    assert!(banned.number > revoked.number && banned.from == revoked.number);
    let entries: Vec<_> = banned.entries.iter().map(|entry| (entry.kind, entry.value.clone())).collect();
    assert_eq!(entries, [(RevocationKind::Device, DeviceId::from_bytes([7; 16]).to_string())]);
    assert!(revocations(&world, banned.number).await.entries.is_empty());

    world.mark(DeviceId::from_bytes([8; 16]), DeviceState::ForcedFail, None).await;
    assert_eq!(document(&world).await.number, keys.number, "neither is about keys");
}

#[tokio::test]
async fn a_number_that_is_none_or_lies_ahead_is_no_way_to_hear_nothing() {
    let folder = Folder::new();
    let world = folder.start().await;
    world.mark(DeviceId::from_bytes([7; 16]), DeviceState::Banned, None).await;
    let bearer = format!("Bearer {GATEWAY_TOKEN}");
    for wrong in ["after=x", "after=-1", "after=", "before=1", "after=1&after=2"] {
        assert_eq!(fetch(&world, &format!("/gateway/revocations?{wrong}"), Some(&bearer)).await.status, 404, "{wrong}");
    }
    // A gateway that has seen more than there is (the database was restored): it hears everything, and sees that the
    // number is lower than its own.
    let ahead = revocations(&world, u64::MAX).await;
    assert!(ahead.number < u64::MAX && ahead.from <= ahead.number, "{ahead:?}");
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

    world.mark(device, DeviceState::Banned, None).await;
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Revoked);
    let next = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &next).await.verdict(), Verdict::Failed);
    world.mark(device, DeviceState::Normal, None).await;
    let again = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &again).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn a_retired_build_fails_from_then_on_and_its_tokens_are_revoked() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let token = attester.attest(&world).await.token();
    world.store(|store| store.retire(&actor(), "sample", "1.0", None, None).unwrap()).await;
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Revoked);
    let next = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &next).await.verdict(), Verdict::Failed);
}

#[tokio::test]
async fn tokens_issued_before_a_moment_are_revoked_and_later_ones_are_not() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let before = attester.attest(&world).await.token();
    world.clock.advance(Duration::from_secs(10));
    let moment = NOW.plus(Duration::from_secs(5));
    world.store(move |store| store.revoke(&actor(), &Revocation::IssuedBefore(moment), "a leak").unwrap()).await;
    let after = attester.attest(&world).await.token();
    assert_eq!(verify(&world, &before).await.verdict(), Verdict::Revoked);
    assert_eq!(verify(&world, &after).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn a_rotation_is_seamless_and_a_retired_key_is_not() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let before = attester.attest(&world).await.token();
    let rotation = world.store(|store| store.rotate(&actor(), RotateWhen::Now).unwrap()).await;
    let after = attester.attest(&world).await.token();
    assert_ne!(before.split('.').next(), after.split('.').next(), "another kid");
    for token in [&before, &after] {
        assert_eq!(verify(&world, token).await.verdict(), Verdict::Attested);
    }
    let old = rotation.from;
    world.store(move |store| store.retire_key(&actor(), &old).unwrap()).await;
    assert_ne!(verify(&world, &before).await.verdict(), Verdict::Attested);
    assert_eq!(verify(&world, &after).await.verdict(), Verdict::Attested);
}

#[tokio::test]
async fn public_keys_are_for_everybody_where_the_set_is_open_and_for_nobody_else() {
    for (token, served) in [
        ("algorithm: ES256, concealment: open", true),
        ("algorithm: ES256, concealment: sealed", false),
        ("algorithm: HS256, concealment: decoy", false),
    ] {
        let folder = Folder::new();
        let world =
            folder.start_with(folder.settings_of(&Config { token: token.to_owned(), ..Config::default() })).await;
        let reply = world.get("/jwks.json").await;
        if !served {
            assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{token}");
            continue;
        }
        assert_eq!((reply.status, &reply.headers["cache-control"]), (200, &"public, max-age=300".parse().unwrap()));
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        assert!(keys.iter().all(|key| key["kty"] == "EC" && key.get("d").is_none() && key["kid"].is_string()));
        assert!(keys.len() >= 2, "the next key is published too");
    }
}

#[tokio::test]
async fn a_gateway_in_this_process_has_the_same_documents_and_keeps_no_service_alive() {
    let folder = Folder::new();
    let world = folder.start().await;
    world.mark(DeviceId::from_bytes([7; 16]), DeviceState::Banned, None).await;
    let (keys, revoked) = (world.handle.key_set_source(), world.handle.revocation_source());
    let pinned = world.handle.feed_public_key().clone();
    let taken = KeySetDocument::parse(&pinned.verify(&keys().unwrap()).unwrap()).unwrap();
    assert_eq!(taken, document(&world).await);
    let taken = RevocationDocument::parse(&pinned.verify_revocations(&revoked(0).unwrap()).unwrap()).unwrap();
    assert_eq!(taken, revocations(&world, 0).await);
    world.handle.shutdown().await;
    assert!(keys().is_none() && revoked(0).is_none());
}
