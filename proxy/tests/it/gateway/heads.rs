//! What of a request's head goes where, and what is refused for its form.

use super::kit::{KEY_ROUTE, OWN_ROUTE, Parts, Rig};

async fn rig() -> Rig {
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_targets_that_two_parsers_read_differently() {
    let rig = rig().await;
    for (target, word) in [
        ("/v1/catalogue/../orders", "dot_segment"),
        ("/v1/%2e%2e/orders", "dot_segment"),
        ("//v1", "empty_segment"),
        ("/v1;a=b", "semicolon"),
        ("/v1/a%2Fb", "encoded_slash"),
        ("/v1/%252e", "double_escape"),
        ("/v1/%zz", "broken_escape"),
    ] {
        let answer = rig.get("own.test", target, &[]).await;
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json()["code"], "bad_request");
        let id = answer.json()["decision"].clone();
        assert_eq!(rig.logged(|line| line["id"] == id).await["detail"], word, "{target}");
    }
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_heads_that_smuggle() {
    let rig = rig().await;
    for head in [
        "POST /open/a HTTP/1.1\r\nhost: own.test\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /open/a HTTP/1.1\nhost: own.test\n\n",
        "TRACE /open/a HTTP/1.1\r\nhost: own.test\r\nconnection: close\r\n\r\n",
        "GET /open/a HTTP/1.1\r\nhost: own.test\r\nconnection: host, close\r\n\r\n",
        "GET /open/a HTTP/1.0\r\nhost: own.test\r\n\r\n",
    ] {
        let answer = rig.raw(head.as_bytes()).await;
        assert_eq!(answer.status, 400, "{head}");
    }
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_or_path_is_404_and_so_is_what_a_key_route_does_not_offer() {
    let rig = rig().await;
    let token = rig.issuer.token();
    for (host, target, method, code) in [
        ("elsewhere.test", "/", "GET", "no_route"),
        ("paid.test", "/other", "GET", "no_route"),
        ("paid.test", "/paid/v2/x", "GET", "no_operation"),
        ("paid.test", "/paid/v1/x", "DELETE", "no_operation"),
    ] {
        let answer = rig.ask(method, host, target, &[("assay-token", &token)], b"").await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (404, code), "{method} {host}{target}");
    }
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_may_not_send_does_not_reach_an_own_upstream() {
    let rig = rig().await;
    let token = rig.issuer.token();
    rig.get(
        "own.test",
        "/v1/a",
        &[
            ("assay-token", &token),
            ("X_Assay_Verdict", "attested"),
            ("x-assay-device", "forged"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("x_forwarded_for", "1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-custom", "stays"),
            ("connection", "x-assay-verdict"),
        ],
    )
    .await;
    let headers = rig.api.last().headers;
    assert_eq!(headers.get_all("x-assay-verdict").iter().count(), 1);
    assert_eq!(headers["x-assay-verdict"], "attested");
    assert_ne!(headers["x-assay-device"], "forged");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-custom"], "stays");
    for gone in ["x_assay_verdict", "x-http-method-override", "x_forwarded_for", "forwarded"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_that_policy_judged_is_the_one_that_goes_up() {
    let rig = rig().await;
    let token = rig.issuer.token();
    rig.get("own.test", "/v1/%61bc?q=%2e%2e", &[("assay-token", &token)]).await;
    assert_eq!(rig.api.last().target, "/v1/abc?q=%2e%2e");
    rig.get("own.test", "http://own.test/v1/d", &[("assay-token", &token)]).await;
    assert_eq!(rig.api.last().target, "/v1/d");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_operation_s_bound_is_413_said_or_unsaid() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let said = rig.ask("POST", "paid.test", "/paid/v1/x", &[("assay-token", &token)], &[b'x'; 1025]).await;
    assert_eq!((said.status, said.json()["code"].as_str().unwrap()), (413, "too_large"));
    assert!(rig.api.seen().is_empty());
    let mut chunked = format!(
        "POST /paid/v1/x HTTP/1.1\r\nhost: paid.test\r\nassay-token: {token}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..3 {
        chunked.extend_from_slice(b"200\r\n");
        chunked.extend_from_slice(&[b'x'; 512]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let unsaid = rig.raw(&chunked).await;
    assert_eq!(unsaid.status, 413);
    assert!(rig.api.seen().iter().all(|seen| seen.body.len() < 1536), "the API never gets a whole request");
    let fits = rig.ask("POST", "paid.test", "/paid/v1/x", &[("assay-token", &token)], &[b'x'; 1024]).await;
    assert_eq!(fits.status, 200);
    assert_eq!(rig.api.last().body.len(), 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_leaves_the_connection_usable() {
    let rig = rig().await;
    let two = "POST /v1/x HTTP/1.1\r\nhost: own.test\r\ncontent-length: 5\r\n\r\nhello\
               GET /open/a HTTP/1.1\r\nhost: own.test\r\nconnection: close\r\n\r\n";
    let mut tcp = tokio::net::TcpStream::connect(rig.gateway.public()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut tcp, two.as_bytes()).await.unwrap();
    let mut both = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut tcp, &mut both).await.unwrap();
    assert_eq!(both.matches("HTTP/1.1 401").count(), 1, "{both}");
    assert_eq!(both.matches("HTTP/1.1 200").count(), 1, "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_head_request_has_no_body() {
    let rig = rig().await;
    let answer = rig.ask("HEAD", "own.test", "/v1/a", &[], b"").await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.is_empty());
}
