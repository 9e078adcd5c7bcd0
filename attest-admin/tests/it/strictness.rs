//! Bodies that a stranger to the API sends.

use crate::world::World;
use reqwest::Method;

#[tokio::test]
async fn a_body_is_whole_json_of_a_known_form_or_refused() {
    let world = World::new().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for body in ["", "[]", "{", "{}x", "null", "{\"app\":\"a\",\"app\":\"b\"}", &deep] {
        let reply = world.send(Method::POST, "/builds", &world.operator, &[], Some(body)).await;
        assert_eq!(reply.code(), "invalid", "{body}");
    }
    let large = format!("{{\"app\":\"{}\"}}", "a".repeat(64 * 1024));
    assert_eq!(world.send(Method::POST, "/builds", &world.operator, &[], Some(&large)).await.code(), "too_large");
    let form = world.http.post(format!("{}/admin/v1/builds", world.base)).bearer_auth(&world.operator);
    let form = form.header("content-type", "text/plain").body("{}").send().await.unwrap();
    assert_eq!(form.status(), 415);
}

#[tokio::test]
async fn a_refusal_repeats_no_value() {
    let world = World::new().await;
    let body = r#"{"app":"a","platform":"hunter2","version":"1","measurement":"hunter2"}"#;
    let reply = world.send(Method::POST, "/builds", &world.operator, &[], Some(body)).await;
    assert_eq!(reply.at(), ("invalid", "platform"));
    assert!(!reply.text.contains("hunter2"), "{}", reply.text);
}

#[tokio::test]
async fn a_body_that_does_not_come_holds_nothing_up() {
    use tokio::io::AsyncWriteExt as _;
    let world = World::new().await;
    let address = world.base.strip_prefix("http://").unwrap();
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /admin/v1/builds HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            world.operator
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        held.push(socket);
    }
    let answered = tokio::time::timeout(std::time::Duration::from_secs(5), world.get("/status", &world.viewer)).await;
    assert_eq!(answered.expect("bodies on their way take no seat").status, 200);
}
