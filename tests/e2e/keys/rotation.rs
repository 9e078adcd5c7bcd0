//! A key is rotated at the gateway and at its API under load: no client sees a 401.
//!
//! In the order that docs/keys.md tells operators: the new key is put as `next`, the API takes both, `assay key rotate`,
//! the gateway says that it uses the new one, requests under way end, the API drops the old one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, KEY_NAME, put_key};
use e2e::upstream::{Recorder, ok};
use e2e::wait::until;
use e2e::wire::{self, Connection, request};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";

/// Clients, and how often each asks: a thousand requests a second together.
const CLIENTS: usize = 20;
const EVERY: Duration = Duration::from_millis(20);

/// What the load has seen.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    /// Requests answered, by client.
    answered: [AtomicU64; CLIENTS],
    refused: Mutex<Vec<String>>,
}

impl Load {
    fn counts(&self) -> Vec<u64> {
        self.answered.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// Waits until no request is under way that began before now: each client has begun and ended another one since.
    fn passes(&self) {
        let before = self.counts();
        until("every client's next request but one", || {
            let all = self.counts().iter().zip(&before).all(|(now, before)| *now >= before + 2);
            all.then_some(())
        });
    }
}

/// One client on one connection, at its own pace: one that was late asks at once, so that none is left out.
#[expect(clippy::disallowed_methods, reason = "the pace of an open loop, not a wait for something to happen")]
fn client(number: usize, address: &str, token: &str, load: &Load) {
    let mut connection = Connection::open(address);
    let bytes = request("GET", "/paid/v1/item", &[("Assay-Token", token)], b"");
    let mut due = Instant::now() + EVERY * u32::try_from(number).unwrap() / u32::try_from(CLIENTS).unwrap();
    while !load.ends.load(Ordering::SeqCst) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += EVERY;
        connection.send(&bytes);
        let answer = connection.answer().expect("an answer");
        if answer.status != 200 {
            load.refused.lock().unwrap().push(format!("{} {}", answer.status, answer.text()));
        }
        load.answered[number].fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn no_client_sees_a_401_while_a_key_is_rotated_at_gateway_and_api() {
    let accepted = Arc::new(Mutex::new(BTreeSet::from([FIRST])));
    let at_api = Arc::clone(&accepted);
    let api = Recorder::answering(move |request| {
        let keys = request.values("x-api-key");
        let known = keys.len() == 1 && at_api.lock().unwrap().contains(keys[0]);
        if known {
            ok("application/json", "{\"ok\":true}")
        } else {
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
    });
    let house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (address, token, load) = (house.public.clone(), token.clone(), Arc::clone(&load));
            std::thread::spawn(move || client(number, &address, &token, &load))
        })
        .collect();
    load.passes();

    put_key(&house.files, KEY_NAME, &api.address, SECOND).ends(0);
    load.passes();
    accepted.lock().unwrap().insert(SECOND);
    assay(&[&"key", &"rotate", &KEY_NAME, &"-c", &house.config()]).ends(0);
    until("the gateway to use the new version", || {
        let keys = wire::get(&house.admin, "/keys", &[]).json();
        let key = keys["keys"].as_array()?.iter().find(|key| key["name"] == KEY_NAME)?.clone();
        let versions = key["versions"].as_array()?;
        versions.iter().any(|version| version["state"] == "current" && version["version"] == 2).then_some(())
    });
    load.passes();
    accepted.lock().unwrap().remove(FIRST);
    load.passes();

    load.ends.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let refused = load.refused.lock().unwrap();
    assert!(refused.is_empty(), "{} of {}: {:?}", refused.len(), load.counts().iter().sum::<u64>(), refused.first());
    let seen = api.seen();
    let sent = |key: &str| seen.iter().filter(|request| request.values("x-api-key") == [key]).count();
    assert!(sent(FIRST) > 0 && sent(SECOND) > 0, "both were used: {} and {}", sent(FIRST), sent(SECOND));
    assert_eq!(sent(FIRST) + sent(SECOND), seen.len(), "and nothing else");
}
