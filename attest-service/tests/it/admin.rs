//! The admin API on its own listener, and nowhere else.

use std::time::Duration;

use attest_store::Role;

use crate::world::{Config, Folder, NOW, Reply, World, actor};

fn config() -> Config {
    Config { serve: "admin: { address: 127.0.0.1:0 }".to_owned(), ..Config::default() }
}

async fn get(world: &World<'_>, path: &str, token: Option<&str>) -> Reply {
    let request = world.client.get(format!("http://{}{path}", world.handle.admin_address().unwrap()));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    Reply::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn it_is_served_to_tokens_of_ours_where_apps_do_not_come_in() {
    let folder = Folder::new();
    let world = folder.start_with(folder.settings_of(&config())).await;
    assert_ne!(world.handle.admin_address(), Some(world.handle.address()));
    let until = NOW.plus(Duration::from_secs(3_600));
    let made = world.store(move |store| store.create_token(&actor(), "ci", Role::Viewer, None, until).unwrap()).await;
    let token = made.text.to_string();

    assert_eq!(get(&world, "/admin/v1/builds", Some(&token)).await.status, 200);
    for wrong in [None, Some("assay_admin_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        assert_eq!(get(&world, "/admin/v1/builds", wrong).await.status, 401, "{wrong:?}");
    }
    assert_eq!(get(&world, "/assay/v1/health", Some(&token)).await.status, 404, "apps come in elsewhere");
    let url = format!("http://{}/admin/v1/builds", world.handle.address());
    let reply = Reply::of(world.client.get(url).bearer_auth(&token).send().await.unwrap()).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn whoever_guesses_tokens_is_made_to_wait() {
    let folder = Folder::new();
    let world = folder.start_with(folder.settings_of(&config())).await;
    let mut statuses = Vec::new();
    for _ in 0..attest_admin::ATTEMPTS + 2 {
        statuses.push(get(&world, "/admin/v1/builds", Some("guess")).await.status);
    }
    assert_eq!(statuses.first(), Some(&401));
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test]
async fn without_the_setting_there_is_no_admin_api() {
    let folder = Folder::new();
    assert_eq!(folder.start().await.handle.admin_address(), None);
}
