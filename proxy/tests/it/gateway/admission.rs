//! Capacity and limits: who waits, who is turned away.

use std::time::Duration;

use super::kit::{OWN_ROUTE, Parts, Rig};

const LIMITED: &str = r#"
  limited:
    match: { host: limited.test, path: "/**" }
    upstream: api
    policy:
      default: block
      rules:
        - name: few
          when: { verdict: any }
          then: { deprioritize: { limits: [{ name: few, requests: 3, per: address, window: 1m }] } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn over_a_limit_is_429_and_says_when() {
    let rig = Rig::start(Parts { routes: LIMITED.to_owned(), ..Parts::default() }).await;
    for _ in 0..3 {
        assert_eq!(rig.get("limited.test", "/", &[]).await.status, 200);
    }
    let answer = rig.get("limited.test", "/", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (429, "limited"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"few\";q=3;w=60"));
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert_eq!(rig.logged(|line| line["status"] == 429).await["limit"]["name"], "few");
    assert_eq!(rig.api.seen().len(), 3);
    // Counts survive a reload.
    rig.edit(|text| text.replace("window: 1m", "window: 60s"));
    rig.gateway.reload().await.unwrap();
    assert_eq!(rig.get("limited.test", "/", &[]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_overload_attested_requests_wait_and_the_others_are_shed() {
    let rig = Rig::start(Parts {
        routes: OWN_ROUTE.to_owned(),
        api: ", concurrency: 2, queue: { deadline: 5s, length: 100 }",
        ..Parts::default()
    })
    .await;
    let rig = std::sync::Arc::new(rig);
    let token = rig.issuer.token();
    let mut open = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let rig = rig.clone();
        open.spawn(async move { rig.get("own.test", "/open/slow?200", &[]).await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut genuine = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (rig, token) = (rig.clone(), token.clone());
        genuine.spawn(async move { rig.get("own.test", "/open/slow?50", &[("assay-token", &token)]).await });
    }
    while let Some(answer) = genuine.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    let (mut served, mut shed) = (0, 0);
    while let Some(answer) = open.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => served += 1,
            503 => {
                shed += 1;
                assert_eq!(answer.json()["code"], "overloaded");
                assert!(answer.header("retry-after").is_some());
            }
            other => panic!("{other}"),
        }
    }
    assert!(served >= 1 && shed >= 6, "{served} served, {shed} shed");
    assert!(rig.metric("assay_shed_total", &["class=\"unattested\"", "why=\"deadline\""]).await > 0.0);
    assert_eq!(rig.metric("assay_inflight", &["upstream=\"api\"", "class=\"attested\""]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickled_unattested_body_holds_no_seat() {
    let api = ", concurrency: 2, queue: { spare_length: 8 }";
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), api, ..Parts::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut tcp = tokio::net::TcpStream::connect(rig.gateway.public()).await.unwrap();
        let head = b"POST /open/a HTTP/1.1\r\nhost: own.test\r\ncontent-length: 10\r\n\r\nabc";
        tokio::io::AsyncWriteExt::write_all(&mut tcp, head).await.unwrap();
        slow.push(tcp);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.get("own.test", "/open/b", &[]).await.status, 200);
    for tcp in &mut slow {
        tokio::io::AsyncWriteExt::write_all(tcp, b"defghij").await.unwrap();
    }
    for mut tcp in slow {
        let mut answer = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut tcp, &mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let bodies = rig.api.seen().into_iter().filter(|seen| seen.body == b"abcdefghij").count();
    assert_eq!(bodies, 8, "each body arrived whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_the_queue_is_not_served() {
    let rig = Rig::start(Parts {
        routes: OWN_ROUTE.to_owned(),
        api: ", concurrency: 1, queue: { deadline: 5s, length: 10 }",
        ..Parts::default()
    })
    .await;
    let token = rig.issuer.token();
    let headers = [("assay-token", &*token)];
    let slow = rig.get("own.test", "/v1/slow?500", &headers);
    let leaves = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut tcp = tokio::net::TcpStream::connect(rig.gateway.public()).await.unwrap();
        let head = format!("GET /v1/left HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut tcp, head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(tcp);
    };
    let (answer, ()) = tokio::join!(slow, leaves);
    assert_eq!(answer.status, 200);
    assert_eq!(rig.logged(|line| line["path"] == "/v1/left").await["end"], "client_gone");
    assert!(rig.api.seen().iter().all(|seen| seen.target != "/v1/left"));
}
