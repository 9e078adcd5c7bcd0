use attest_core::feed::{FORMAT, FeedKey, KeyDocument, KeySetEntry, KeyState, Revoked, SecretBytes};
use attest_core::time::{FixedClock, UnixTime};

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Nobody;

#[async_trait::async_trait]
impl FetchKeySets for Nobody {
    async fn fetch(&self) -> Result<Fetched, String> {
        Err("nobody answers".to_owned())
    }
}

fn feed(clock: &Arc<FixedClock>) -> OwnKeySets {
    OwnKeySets::new("default".to_owned(), Duration::from_secs(10), Arc::new(Nobody), clock.clone())
}

fn document(number: u64, issued: UnixTime) -> Fetched {
    let key = FeedKey::from_seed(&[4; 32]).unwrap();
    let document = KeySetDocument {
        format: FORMAT.to_owned(),
        number,
        issued: issued.secs(),
        key_sets: vec![KeySetEntry {
            name: "default".to_owned(),
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            concealment: "open".to_owned(),
            max_lifetime_secs: 600,
            verdict_key: SecretBytes::new(&[3; 32]),
            keys: vec![KeyDocument {
                kid: "k".to_owned(),
                alg: "HS256".to_owned(),
                state: KeyState::Active,
                secret: Some(SecretBytes::new(&[1; 32])),
                decoy: None,
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
    let (start, copy) = (Instant::now(), document(7, NOW));
    feed.take(&copy, start).unwrap();
    assert!(matches!(feed.usable(DAY, start), Usable::Keys { service_down: false, .. }));
    // A day later somebody in the path still serves that copy, signed and numbered as it is.
    clock.advance(DAY + Duration::from_secs(120));
    let later = start + DAY + Duration::from_secs(120);
    feed.take(&copy, later).unwrap();
    assert!(matches!(feed.usable(DAY, later), Usable::Nothing("key_set_stale")), "{:?}", feed.usable(DAY, later));
    feed.take(&document(7, clock.now()), later).unwrap();
    assert!(matches!(feed.usable(DAY, later), Usable::Keys { service_down: false, .. }));
}

#[test]
fn a_gateway_that_starts_with_an_old_copy_knows_that_it_is_old() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    let start = Instant::now();
    feed.take(&document(7, NOW.minus(2 * DAY)), start).unwrap();
    assert!(matches!(feed.usable(DAY, start), Usable::Nothing("key_set_stale")));
    assert!(feed.age(start).is_some_and(|age| age > DAY));
}

#[test]
fn clocks_that_differ_a_little_are_no_silence() {
    let clock = Arc::new(FixedClock::new(NOW));
    for issued in [NOW.minus(Duration::from_secs(45)), NOW.plus(Duration::from_secs(45))] {
        let feed = feed(&clock);
        let start = Instant::now();
        feed.take(&document(7, issued), start).unwrap();
        assert!(matches!(feed.usable(DAY, start), Usable::Keys { service_down: false, .. }));
    }
}

#[test]
fn a_lower_number_is_not_taken() {
    let clock = Arc::new(FixedClock::new(NOW));
    let feed = feed(&clock);
    feed.take(&document(7, NOW), Instant::now()).unwrap();
    assert!(matches!(feed.take(&document(6, NOW), Instant::now()), Err(NotTaken::Older { got: 6, have: 7 })));
    assert_eq!(feed.number(), Some(7));
}

#[test]
fn editions_of_two_feeds_are_never_the_same_to_the_token_cache() {
    let clock = Arc::new(FixedClock::new(NOW));
    let (one, other) = (feed(&clock), feed(&clock));
    let edition = |feed: &OwnKeySets| {
        feed.take(&document(7, NOW), Instant::now()).unwrap();
        feed.current.load_full().unwrap()
    };
    assert_ne!(one.id(&edition(&one)), other.id(&edition(&other)));
}
