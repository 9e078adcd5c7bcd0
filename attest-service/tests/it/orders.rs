//! What gateways fetch and tell beside keys and revocations: operators' orders, and how they are.

use std::time::Duration;

use attest_core::feed::{
    FEED_FORMAT_HEADER, FeedPublicKey, GatewayFacts, MAX_REPORT_BYTES, OrderKind, RevocationDocument, SignedDocument,
};
use attest_store::{NewOrder, Page};
use reqwest::StatusCode;

use crate::world::{Folder, GATEWAY_TOKEN, World, actor};

/// The document as a gateway gets it that says which format it reads.
async fn document(world: &World<'_>, format: Option<&str>) -> RevocationDocument {
    let request = world.client.get(world.url("/gateway/revocations?after=0")).bearer_auth(GATEWAY_TOKEN);
    let request = format.into_iter().fold(request, |request, format| request.header(FEED_FORMAT_HEADER, format));
    let text = request.send().await.unwrap().bytes().await.unwrap();
    let pinned: &FeedPublicKey = world.handle.feed_public_key();
    let payload = pinned.verify_revocations(&SignedDocument::parse(&text).unwrap()).unwrap();
    RevocationDocument::parse(&payload).unwrap()
}

fn lockdown() -> NewOrder {
    NewOrder {
        kind: OrderKind::Lockdown,
        routes: vec!["paid".to_owned()],
        lasts: Duration::from_secs(3600),
        reason: "an attack".to_owned(),
        extend_by: None,
    }
}

fn facts(name: &str) -> GatewayFacts {
    GatewayFacts {
        name: name.to_owned(),
        version: "0.4.0".to_owned(),
        configuration: "a1".to_owned(),
        reload_ok: true,
        ..GatewayFacts::default()
    }
}

async fn report(world: &World<'_>, token: &str, body: impl Into<reqwest::Body>) -> StatusCode {
    let request = world.client.post(world.url("/gateway/report")).bearer_auth(token).body(body);
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_in_the_next_document_for_who_reads_it_and_survives_a_restart() {
    let folder = Folder::new();
    let world = folder.start().await;
    assert_eq!(document(&world, Some("2")).await.orders, Some(vec![]));
    let given = world.store(|store| store.give_order(&actor(), &lockdown()).unwrap()).await;
    let told = document(&world, Some("2")).await;
    assert_eq!(told.orders.as_deref(), Some(&[given.order.clone()][..]));
    for of_before in [None, Some("1"), Some("22")] {
        let old = document(&world, of_before).await;
        assert_eq!((old.format.as_str(), old.orders), ("assay-revocations-v1", None), "{of_before:?}");
        assert_eq!(old.latest, told.latest);
    }
    world.handle.shutdown().await;
    let world = folder.start().await;
    assert_eq!(document(&world, Some("2")).await.orders, Some(vec![given.order]));
    // The gateway in this process hears of it, too.
    let own = (world.handle.revocation_source())(0).unwrap();
    let own = world.handle.feed_public_key().verify_revocations(&own).unwrap();
    assert_eq!(RevocationDocument::parse(&own).unwrap().orders.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_shows_the_gateway_token_is_listed_as_a_gateway() {
    let folder = Folder::new();
    let world = folder.start().await;
    let listed = async || {
        tokio::task::block_in_place(|| world.handle.refresh());
        let rows = world.store(|store| store.gateways(Page::default()).unwrap().rows).await;
        rows.into_iter().map(|row| row.facts.name).collect::<Vec<_>>()
    };
    assert_eq!(report(&world, "another token entirely", facts("edge").to_json()).await, StatusCode::UNAUTHORIZED);
    for bad in [String::new(), "{}".to_owned(), facts("a b").to_json(), " ".repeat(MAX_REPORT_BYTES + 1)] {
        assert_eq!(report(&world, GATEWAY_TOKEN, bad).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(report(&world, GATEWAY_TOKEN, " ".repeat(65 * 1024)).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(listed().await.is_empty());
    assert_eq!(report(&world, GATEWAY_TOKEN, facts("edge").to_json()).await, StatusCode::NO_CONTENT);
    (world.handle.gateway_reports())(&facts("inside")).unwrap();
    let mut names = listed().await;
    names.sort();
    assert_eq!(names, ["edge", "inside"]);
}
