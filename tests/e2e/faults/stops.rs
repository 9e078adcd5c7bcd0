//! Signals: an idle gateway ends within a second, a busy one lets its requests finish.

use std::time::{Duration, Instant};

use e2e::files::Files;
use e2e::house::{House, SampleApi};
use e2e::upstream::Recorder;
use e2e::wire::{Connection, request};
use rustix::process::Signal;

#[test]
fn an_idle_gateway_ends_within_a_second_open_connections_and_all() {
    for signal in [Signal::TERM, Signal::INT] {
        let api = Recorder::start();
        let mut house = House::together(Files::new(), &api.address, "sk_live_0123456789abcdef");
        // One that has never asked, one that is kept alive, one with half a head.
        let mut silent = Connection::open(&house.public);
        let mut kept = Connection::open(&house.public);
        kept.send(&request("GET", "/free/x", &[], b""));
        assert_eq!(kept.answer().unwrap().status, 200);
        let mut half = Connection::open(&house.public);
        half.send(b"GET /free/x HTTP/1.1\r\nHost: ");

        let before = Instant::now();
        house.gateway.signal(signal);
        let ended = house.gateway.wait(Duration::from_secs(5));
        let took = before.elapsed();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
        for connection in [&mut silent, &mut kept] {
            assert!(connection.closes_within(Duration::from_secs(1)));
        }
        assert!(std::net::TcpStream::connect(&house.public).is_err());
    }
}

#[test]
fn an_idle_service_ends_within_a_second() {
    let api = Recorder::start();
    let mut house = House::apart(Files::new(), &api.address, "sk_live_0123456789abcdef");
    let before = Instant::now();
    let service = house.service_program.as_mut().unwrap();
    service.signal(Signal::TERM);
    let ended = service.wait(Duration::from_secs(5));
    let took = before.elapsed();
    assert!(ended.is_some_and(|status| status.success()) && took < Duration::from_secs(1), "{ended:?} {took:?}");
}

/// Waits until a request has its seat at the vendor; the attestation before may still hold one at the service.
fn until_in_flight(house: &House) {
    e2e::wait::until("the request to be in flight", || {
        let status = house.status();
        let vendor = status["upstreams"].as_array()?.iter().find(|upstream| upstream["name"] == "vendor")?;
        (vendor["inflight"]["attested"] == 1).then_some(())
    });
}

#[test]
fn a_request_in_flight_is_finished_and_readiness_goes_red_first() {
    let files = Files::new();
    let api = SampleApi::start(&files);
    let (address, key) = (api.address.clone(), api.key.clone());
    let mut house = House::together(files, &address, &key);
    let token = house.token();
    let mut slow = Connection::open(&house.public);
    slow.send(&request("GET", "/paid/v1/slow?ms=1500", &[("Assay-Token", &token)], b""));
    until_in_flight(&house);
    house.gateway.signal(Signal::TERM);
    e2e::wait::until("readiness to go red", || {
        (e2e::wire::get(&house.probe, "/readyz", &[]).status == 503).then_some(())
    });
    let answer = slow.answer();
    let told = || format!("cut without an answer:\n{}\n{}", house.gateway.out().text(), house.gateway.err().text());
    let answer = answer.unwrap_or_else(|| panic!("{}", told()));
    assert_eq!((answer.status, &answer.json()["slow"]), (200, &true.into()));
    let ended = house.gateway.wait(Duration::from_secs(5));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

#[test]
fn a_second_signal_ends_it_now() {
    let files = Files::new();
    let api = SampleApi::start(&files);
    let (address, key) = (api.address.clone(), api.key.clone());
    let mut house = House::together(files, &address, &key);
    let token = house.token();
    let mut slow = Connection::open(&house.public);
    slow.send(&request("GET", "/paid/v1/slow?ms=20000", &[("Assay-Token", &token)], b""));
    until_in_flight(&house);
    house.gateway.signal(Signal::TERM);
    assert!(house.gateway.wait(Duration::from_millis(300)).is_none(), "it drains");
    house.gateway.signal(Signal::TERM);
    assert!(house.gateway.wait(Duration::from_secs(2)).is_some(), "it goes on draining");
}
