use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use attest_core::feed::{FORMAT, FeedKey, KeyDocument, KeySetEntry, KeyState, Revoked, SecretBytes};
use attest_core::time::{FixedClock, UnixTime};
use prometheus_client::metrics::counter::Counter;

use super::super::keep_fetched;
use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Answers with the document of a number that may change, or never.
#[derive(Default)]
struct Service {
    number: AtomicU64,
    asked: AtomicUsize,
    silent: bool,
}

#[async_trait::async_trait]
impl FetchKeySets for Service {
    async fn fetch(&self) -> Result<Fetched, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent {
            std::future::pending::<()>().await;
        }
        match self.number.load(Ordering::SeqCst) {
            0 => Err("nobody answers".to_owned()),
            number => Ok(document(number, NOW)),
        }
    }
}

fn feed(clock: &Arc<FixedClock>) -> OwnKeySets {
    of(Arc::default(), Duration::from_secs(10), clock)
}

fn of(service: Arc<Service>, refresh: Duration, clock: &Arc<FixedClock>) -> OwnKeySets {
    let wanted = Wanted { name: "default".to_owned(), refresh, concealment: Some(Concealment::Open) };
    OwnKeySets::new(wanted, service, clock.clone())
}

fn document(number: u64, issued: UnixTime) -> Fetched {
    concealed(number, issued, "open", None)
}

fn concealed(number: u64, issued: UnixTime, concealment: &str, decoy: Option<[u8; 32]>) -> Fetched {
    let key = FeedKey::from_seed(&[4; 32]).unwrap();
    let document = KeySetDocument {
        format: FORMAT.to_owned(),
        number,
        issued: issued.secs(),
        key_sets: vec![KeySetEntry {
            name: "default".to_owned(),
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            concealment: concealment.to_owned(),
            max_lifetime_secs: 600,
            verdict_key: SecretBytes::new(&[3; 32]),
            keys: vec![KeyDocument {
                kid: "k".to_owned(),
                alg: "HS256".to_owned(),
                state: KeyState::Active,
                secret: Some(SecretBytes::new(&[1; 32])),
                decoy: decoy.map(|decoy| SecretBytes::new(&decoy)),
                public_jwk: None,
            }],
        }],
        revoked: Revoked::default(),
    };
    Fetched { document: key.sign(&document.to_payload().unwrap()), pinned: key.public_key().unwrap() }
}

#[test]
fn a_document_played_again_is_silence() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    let copy = document(7, NOW);
    feed.take(&copy).unwrap();
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Keys { service_down: false, .. }));
    // A day later somebody in the path still serves that copy, signed and numbered as it is.
    clock.advance(DAY + Duration::from_secs(120));
    feed.take(&copy).unwrap();
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Nothing("key_set_stale")));
    feed.take(&document(7, clock.now())).unwrap();
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Keys { service_down: false, .. }));
}

#[test]
fn a_gateway_that_starts_with_an_old_copy_knows_that_it_is_old() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    feed.take(&document(7, NOW.minus(2 * DAY))).unwrap();
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Nothing("key_set_stale")));
    assert!(feed.age(clock.steady()).is_some_and(|age| age > DAY));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_younger() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    feed.take(&document(7, NOW)).unwrap();
    clock.advance(2 * DAY);
    clock.set(NOW);
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Nothing("key_set_stale")));
}

#[test]
fn clocks_that_differ_a_little_are_no_silence() {
    let clock = Arc::new(FixedClock::new(NOW));
    for issued in [NOW.minus(Duration::from_secs(45)), NOW.plus(Duration::from_secs(45))] {
        let feed = feed(&clock);
        feed.take(&document(7, issued)).unwrap();
        assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Keys { service_down: false, .. }));
    }
}

#[test]
fn the_service_counts_as_down_after_three_periods_of_silence() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    feed.take(&document(7, NOW)).unwrap();
    clock.advance(Duration::from_secs(30));
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Keys { service_down: false, .. }));
    clock.advance(Duration::from_secs(1));
    assert!(matches!(feed.usable(DAY, clock.steady()), Usable::Keys { service_down: true, .. }));
}

#[test]
fn a_lower_number_is_not_taken() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    feed.take(&document(7, NOW)).unwrap();
    assert!(matches!(feed.take(&document(6, NOW)), Err(NotTaken::Older { got: 6, have: 7 })));
    assert_eq!(feed.number(), Some(7));
}

#[test]
fn a_document_that_conceals_otherwise_than_the_configuration_is_not_taken() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    let other = concealed(7, NOW, "decoy", Some([2; 32]));
    assert!(matches!(feed.take(&other), Err(NotTaken::Concealment { .. })));
    assert_eq!(feed.number(), None);
}

#[test]
fn a_revocation_document_is_no_key_set() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    let key = FeedKey::from_seed(&[4; 32]).unwrap();
    let payload = document(7, NOW).pinned.verify(&document(7, NOW).document).unwrap();
    let signed_for_another_use = Fetched { document: key.sign_revocations(&payload), ..document(7, NOW) };
    assert!(matches!(feed.take(&signed_for_another_use), Err(NotTaken::NotOurs(_))));
}

#[test]
fn editions_of_two_feeds_are_never_the_same_to_the_token_cache() {
    let clock = Arc::new(FixedClock::new(NOW));
    let (one, other) = (feed(&clock), feed(&clock));
    let edition = |feed: &OwnKeySets| {
        feed.take(&document(7, NOW)).unwrap();
        feed.current.load_full().unwrap()
    };
    assert_ne!(one.id(&edition(&one)), other.id(&edition(&other)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_costs_one_fetch_in_a_period_and_one_request_that_waits() {
    let clock = Arc::new(FixedClock::new(NOW));
    let service = Arc::new(Service { number: AtomicU64::new(1), ..Service::default() });
    let feed = Arc::new(of(service.clone(), Duration::from_secs(3600), &clock));
    feed.fetch().await.unwrap();
    service.number.store(2, Ordering::SeqCst);
    tokio::spawn(keep_fetched(Arc::downgrade(&feed), Counter::default()));
    let asking: Vec<_> = (0..1000)
        .map(|_| {
            let (feed, steady) = (feed.clone(), clock.steady());
            tokio::spawn(async move { feed.look_again(Some(1), steady).await })
        })
        .collect();
    let mut found = 0;
    for asked in asking {
        found += usize::from(asked.await.unwrap());
    }
    assert!(found >= 1, "who caused the fetch has what it brought");
    assert_eq!(service.asked.load(Ordering::SeqCst), 2, "the first, and one for all of them");
    assert_eq!(feed.number(), Some(2));
    // The same once more, a period later and for a key that nobody has.
    for (passed, asked) in [(Duration::from_secs(3599), 2), (Duration::from_secs(1), 3)] {
        clock.advance(passed);
        for _ in 0..100 {
            assert!(!feed.look_again(Some(2), clock.steady()).await);
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_holds_one_request_for_a_second_and_the_others_not_at_all() {
    let clock = Arc::new(FixedClock::new(NOW));
    let service = Arc::new(Service { silent: true, ..Service::default() });
    let feed = Arc::new(of(service, Duration::from_secs(1), &clock));
    tokio::spawn(keep_fetched(Arc::downgrade(&feed), Counter::default()));
    let start = Instant::now();
    let first = feed.look_again(None, clock.steady());
    let others = async {
        for _ in 0..1000 {
            assert!(!feed.look_again(None, clock.steady()).await);
        }
        start.elapsed()
    };
    let (first, others) = tokio::join!(first, others);
    assert!(!first);
    assert!(others < LOOK_AGAIN_PATIENCE / 2, "{others:?}");
    assert!(start.elapsed() >= LOOK_AGAIN_PATIENCE);
}
