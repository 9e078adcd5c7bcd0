//! The client of this crate against the API.

use crate::world::{DEVICE, NOW, World};
use attest_admin::types::{BuildQuery, DeviceState, Mark, NewToken, Role};
use attest_admin::{Client, ClientError, Code, Expected};
use zeroize::Zeroizing;

fn client(world: &World, token: &str) -> Client {
    Client::new(&world.base, &Zeroizing::new(token.to_owned()), None).unwrap()
}

#[tokio::test]
async fn a_refusal_arrives_as_what_it_is() {
    let world = World::new().await;
    let viewer = client(&world, &world.viewer);
    let refused = viewer.tokens().await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(problem) if problem.code == Code::Forbidden), "{refused}");
    let stranger = client(&world, "nobody").status().await.unwrap_err();
    assert!(matches!(&stranger, ClientError::Refused(problem) if problem.code == Code::Unauthorised), "{stranger}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Client::new(&format!("http://{nobody}"), &Zeroizing::new("t".to_owned()), None).unwrap();
    let away = away.status().await.unwrap_err();
    assert!(matches!(&away, ClientError::Away { why, .. } if why.contains("refused")), "{away}");
}

#[tokio::test]
async fn what_is_no_admin_api_is_told_apart() {
    let other = axum::Router::new().fallback(|| async { (axum::http::StatusCode::OK, "hello") });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, other).await.unwrap() });
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::new(&base, &Zeroizing::new("t".to_owned()), None).unwrap();
    assert!(matches!(client.status().await, Err(ClientError::Away { .. })));
}

#[tokio::test]
async fn a_decision_goes_from_client_to_store_and_back() {
    let world = World::new().await;
    world.register("shop", "1.0").await;
    let admin = client(&world, &world.admin);
    let builds = admin.builds(&BuildQuery { app: Some("shop".into()), ..BuildQuery::default() }).await.unwrap();
    assert_eq!(builds.items.len(), 1);
    let mark = Mark { state: DeviceState::Banned, until: None, reason: "r".into() };
    let (device, version) = admin.mark(DEVICE, &mark, Expected::Absent).await.unwrap();
    assert_eq!(device.state, DeviceState::Banned);
    let normal = Mark { state: DeviceState::Normal, ..mark.clone() };
    admin.mark(DEVICE, &normal, Expected::Exactly(version)).await.unwrap();
    let late = admin.mark(DEVICE, &mark, Expected::Exactly(version)).await.unwrap_err();
    assert!(matches!(late, ClientError::Refused(problem) if problem.code == Code::PreconditionFailed));
    let new =
        NewToken { name: "ci".into(), role: Role::Operator, apps: Some(vec!["shop".into()]), until: NOW.secs() + 60 };
    let made = admin.create_token(&new).await.unwrap();
    assert!(!format!("{made:?}").contains(&made.token));
    let status = client(&world, &made.token).status().await.unwrap();
    assert_eq!((status.actor.as_str(), status.role, status.apps), ("ci", Role::Operator, new.apps));
}
