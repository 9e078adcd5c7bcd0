use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use outbound::Resolve;
use settings::{Concurrency, Queue, Timeouts};

use super::*;
use crate::admission;

/// Says something else each time.
#[derive(Debug)]
struct Changing(Mutex<Vec<io::Result<Vec<IpAddr>>>>);

#[async_trait]
impl Resolve for Changing {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().remove(0)
    }
}

fn upstream(host: &str, answers: Vec<io::Result<Vec<IpAddr>>>) -> Result<Upstream, UpstreamError> {
    let settings = settings(host);
    let admission = admission::open(&settings);
    Upstream::build(settings, admission, Dialer::new(Arc::new(Changing(Mutex::new(answers)))))
}

fn settings(host: &str) -> UpstreamSettings {
    UpstreamSettings {
        name: "api".to_owned(),
        scheme: Scheme::Https,
        host: host.to_owned(),
        port: 443,
        private_addresses: vec!["10.0.4.0/24".parse().unwrap()],
        danger_plaintext_loopback: false,
        concurrency: Concurrency::Fixed(2),
        reserve: 1,
        queue: Queue::beside(Concurrency::Fixed(2)),
        streams: 2,
        timeouts: Timeouts::default(),
        ca_file: None,
        trust: Trust::PublicRoots,
        http2: false,
        preset: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn refuses_a_literal_address_that_may_not_be_dialled() {
    for host in ["169.254.169.254", "127.0.0.1", "10.0.5.1", "[::ffff:169.254.169.254]", "[::1]", "0.0.0.0"] {
        assert!(matches!(upstream(host, Vec::new()), Err(UpstreamError::Forbidden { .. })), "{host}");
    }
    assert_eq!(upstream("10.0.4.1", Vec::new()).unwrap().addresses(), ["10.0.4.1:443"]);
}

#[tokio::test]
async fn a_name_that_turns_to_the_metadata_service_is_not_followed() {
    let answers = vec![
        Ok(vec![ip("169.254.169.254")]),
        Ok(vec![ip("10.0.5.1"), ip("1.1.1.1"), ip("169.254.169.254"), ip("10.0.4.7")]),
        Ok(vec![ip("::ffff:169.254.169.254"), ip("127.0.0.1")]),
        Err(io::Error::other("nobody there")),
        Ok(vec![ip("10.0.4.8")]),
    ];
    let upstream = upstream("api.example.com", answers).unwrap();
    upstream.resolve().await;
    assert!(upstream.peer(0).is_none(), "no address was ever good");
    assert!(upstream.resolved().problem.unwrap().contains("metadata"));
    upstream.resolve().await;
    assert_eq!(upstream.addresses(), ["1.1.1.1:443", "10.0.4.7:443"], "what may be dialled, and nothing else");
    for problem in ["private", "nobody there"] {
        upstream.resolve().await;
        assert!(upstream.resolved().problem.unwrap().contains(problem));
        assert_eq!(upstream.addresses(), ["1.1.1.1:443", "10.0.4.7:443"], "the last good list");
    }
    upstream.resolve().await;
    assert_eq!(upstream.addresses(), ["10.0.4.8:443"]);
    assert_eq!(upstream.peer(0).unwrap().sni, "api.example.com", "the certificate is still that of the name");
}

#[test]
fn roots_that_changed_since_keys_were_held_against_them_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let certificate = || rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap().cert.pem();
    let checked = certificate();
    std::fs::write(&path, &checked).unwrap();
    let trust = Trust::in_private_roots(checked.as_bytes());
    let settings = UpstreamSettings { ca_file: Some(path.clone()), trust, ..settings("api.example.com") };
    let build = || Upstream::build(settings.clone(), admission::open(&settings), Dialer::system());
    assert!(build().is_ok());
    std::fs::write(&path, certificate()).unwrap();
    assert!(matches!(build(), Err(UpstreamError::Roots { why, .. }) if why.contains("changed")));
}
