use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use attest_core::target::Scheme;
use outbound::{AddressRules, DialError, Dialer, Forbidden, Place};

use tokio::net::TcpListener;

use crate::names::{Changing, Silent, here};
use crate::server::{Says, Server, answer_of};

const PATIENCE: Duration = Duration::from_secs(10);

fn loopback() -> AddressRules {
    AddressRules::listed(&["127.0.0.0/8".parse().unwrap()])
}

async fn server() -> Server {
    Server::over_tls("vault.test", answer_of("200 OK", "", "")).await
}

#[tokio::test]
async fn an_address_that_is_written_out_is_checked_like_a_name() {
    let tls = server().await.roots();
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"] {
        let place = Place::new(Scheme::Https, host, 443).unwrap();
        let refused = here().connect(&place, &AddressRules::any_private(), &tls, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, DialError::Forbidden { why: Forbidden::Metadata, .. }), "{host}: {refused}");
    }
    let place = Place::new(Scheme::Https, "127.0.0.1", 443).unwrap();
    let refused = here().connect(&place, &AddressRules::public(), &tls, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, DialError::Forbidden { why: Forbidden::Private, .. }), "{refused}");
}

#[tokio::test]
async fn what_was_checked_is_dialled_although_the_next_answer_differs() {
    let server = server().await;
    let names = Changing::new(&[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    let dialer = Dialer::new(names.clone());
    let (place, tls, rules) = (server.place("vault.test"), server.roots(), loopback());
    let connection = dialer.connect(&place, &rules, &tls, PATIENCE).await.unwrap();
    assert_eq!(connection.address.ip(), IpAddr::from([127, 0, 0, 1]));
    assert_eq!(names.asked(), ["vault.test"], "nobody is asked between the check and the dial");
    let refused = dialer.connect(&place, &rules, &tls, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, DialError::Forbidden { why: Forbidden::Metadata, .. }), "{refused}");
    dialer.connect(&place, &rules, &tls, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn forbidden_addresses_among_good_ones_are_left_out() {
    let answer: &[&str] = &["169.254.169.254", "10.0.0.1", "1.1.1.1", "::ffff:169.254.169.254", "1.1.1.1", "10.0.4.2"];
    let dialer = Dialer::new(Changing::new(&[answer]));
    let rules = AddressRules::listed(&["10.0.4.0/24".parse().unwrap()]);
    let found = dialer.addresses("api.example.com", 443, &rules).await.unwrap();
    assert_eq!(found, ["1.1.1.1:443".parse().unwrap(), "10.0.4.2:443".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_without_an_address_is_refused() {
    let dialer = Dialer::new(Changing::new(&[&[]]));
    for _ in 0..2 {
        let refused = dialer.addresses("gone.test", 443, &AddressRules::public()).await.unwrap_err();
        assert!(matches!(refused, DialError::Resolve { .. }), "{refused}");
    }
}

#[tokio::test]
async fn the_certificate_has_to_be_that_of_the_place_whatever_the_address() {
    let server = server().await;
    let rules = loopback();
    for name in ["other.test", "127.0.0.1"] {
        let refused = here().connect(&server.place(name), &rules, &server.roots(), PATIENCE).await.unwrap_err();
        assert!(matches!(refused, DialError::Tls { .. }), "{name}: {refused}");
    }
    let roots_of_another = self::server().await.roots();
    let refused = here().connect(&server.place("vault.test"), &rules, &roots_of_another, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, DialError::Tls { .. }), "{refused}");
    assert_eq!(server.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn plain_text_is_spoken_to_this_machine_alone() {
    let server = Server::in_plain_text(Says::Endless).await;
    let tls = self::server().await.roots();
    let place = Place::new(Scheme::Http, "collector.test", server.port).unwrap();
    let elsewhere = Dialer::new(Changing::new(&[&["10.0.0.1", "1.1.1.1"]]));
    let refused = elsewhere.connect(&place, &AddressRules::any_private(), &tls, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, DialError::NotEncrypted { .. }), "{refused}");
    here().connect(&place, &loopback(), &tls, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_takes_no_connection() {
    let server = server().await;
    let dialer = Dialer::new(Changing::new(&[&["127.0.0.2", "127.0.0.1"]]));
    let connected = dialer.connect(&server.place("vault.test"), &loopback(), &server.roots(), PATIENCE).await.unwrap();
    assert_eq!(connected.address.ip(), IpAddr::from([127, 0, 0, 1]));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_deadline() {
    let tls = server().await.roots();
    let brief = Duration::from_millis(20);
    let silent = Dialer::new(Arc::new(Silent));
    let place = Place::new(Scheme::Https, "vault.test", 443).unwrap();
    let late = silent.connect(&place, &AddressRules::public(), &tls, brief).await.unwrap_err();
    assert!(matches!(late, DialError::TimedOut { .. }), "{late}");
    // Takes connections, and says nothing of TLS.
    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let place = Place::new(Scheme::Https, "vault.test", mute.local_addr().unwrap().port()).unwrap();
    let late = here().connect(&place, &loopback(), &tls, brief).await.unwrap_err();
    assert!(matches!(late, DialError::TimedOut { .. }), "{late}");
}
