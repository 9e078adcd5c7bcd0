use std::sync::atomic::{AtomicBool, Ordering};

use attest_core::device_key::DeviceId;
use attest_core::feed::{FeedKey, FeedPublicKey, GatewayFacts, LIFTED_STAYS, REVOCATIONS_FORMAT, RevocationEntry};
use attest_core::time::FixedClock;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A log of changes, told in pages of two.
#[derive(Default)]
struct Service {
    log: Mutex<Vec<RevocationEntry>>,
    /// It can't tell changes any more, only what holds.
    compacted: AtomicBool,
    asked: Mutex<Vec<u64>>,
}

const PAGE: usize = 2;

impl Service {
    fn ban(&self, device: u8) {
        self.say(device, false);
    }

    fn say(&self, device: u8, lifted: bool) {
        let mut log = self.log.lock().unwrap();
        let number = log.len() as u64 + 1;
        let value = DeviceId::from_bytes([device; 16]).to_string();
        log.push(RevocationEntry { number, kind: RevocationKind::Device, value, since: 0, until: None, lifted });
    }

    fn page(&self, after: u64) -> RevocationDocument {
        let log = self.log.lock().unwrap();
        let from = if self.compacted.load(Ordering::SeqCst) && after != PAGE as u64 { 0 } else { after };
        let entries: Vec<_> = log.iter().filter(|entry| entry.number > from).take(PAGE).cloned().collect();
        let latest = log.len() as u64;
        let number = entries.last().map_or(latest, |last| last.number);
        let format = REVOCATIONS_FORMAT.to_owned();
        RevocationDocument { format, number, latest, issued: NOW.secs(), from, entries, orders: Some(vec![]) }
    }
}

#[async_trait::async_trait]
impl FetchRevocations for Service {
    async fn fetch(&self, after: u64) -> Result<Fetched, String> {
        self.asked.lock().unwrap().push(after);
        Ok(signed(&self.page(after)))
    }

    fn pinned(&self) -> FeedPublicKey {
        FeedKey::from_seed(&[4; 32]).unwrap().public_key().unwrap()
    }

    async fn report(&self, _: &GatewayFacts) -> Result<(), String> {
        Err("nobody asks here".to_owned())
    }
}

fn signed(document: &RevocationDocument) -> Fetched {
    let key = FeedKey::from_seed(&[4; 32]).unwrap();
    let document = key.sign_revocations(&document.to_payload().unwrap());
    Fetched { document, pinned: key.public_key().unwrap() }
}

fn feed(service: &Arc<Service>, clock: &Arc<FixedClock>) -> OwnRevocations {
    OwnRevocations::new(Duration::from_secs(2), service.clone(), clock.clone(), None)
}

fn took(feed: &OwnRevocations, fetched: &Fetched) -> Result<bool, NotTaken> {
    feed.take(fetched).0
}

fn revoked(feed: &OwnRevocations, device: u8) -> bool {
    let did = DeviceId::from_bytes([device; 16]);
    let claims = Claims::parse(format!(r#"{{"exp":1,"did":"{did}"}}"#).as_bytes()).unwrap();
    let in_use = InUse(feed.current.load());
    in_use.revokes(&claims, &Facts::default(), None, NOW) == Some(RevocationKind::Device)
}

#[tokio::test]
async fn a_change_holds_from_the_next_fetch_on_and_so_does_its_end() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    feed.fetch().await.unwrap();
    assert_eq!(feed.known(), Some((0, 0)));
    assert!(!revoked(&feed, 1));
    service.ban(1);
    feed.fetch().await.unwrap();
    assert!(revoked(&feed, 1) && !revoked(&feed, 2));
    service.say(1, true);
    feed.fetch().await.unwrap();
    assert!(!revoked(&feed, 1));
    assert_eq!(*service.asked.lock().unwrap(), [0, 0, 1]);
}

#[tokio::test]
async fn a_long_list_is_read_to_its_end_before_it_counts() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    (1..=5).for_each(|device| service.ban(device));
    let feed = feed(&service, &clock);
    assert!(!took(&feed, &signed(&service.page(0))).unwrap());
    assert!(matches!(feed.usable(MINUTE, clock.steady()), Err("no_revocations_yet")), "a part of it is not enough");
    feed.fetch().await.unwrap();
    assert!((1..=5).all(|device| revoked(&feed, device)));
    assert!(feed.usable(MINUTE, clock.steady()).is_ok());
    assert_eq!(*service.asked.lock().unwrap(), [2, 4], "from where it had stopped");
}

#[tokio::test]
async fn while_the_list_is_read_anew_nothing_is_forgotten() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    (1..=3).for_each(|device| service.ban(device));
    let feed = feed(&service, &clock);
    feed.fetch().await.unwrap();
    service.compacted.store(true, Ordering::SeqCst);
    service.ban(4);
    // The first page says less than what is in use.
    assert!(!took(&feed, &signed(&service.page(3))).unwrap());
    assert!((1..=3).all(|device| revoked(&feed, device)));
    feed.fetch().await.unwrap();
    assert!((1..=4).all(|device| revoked(&feed, device)));
}

#[test]
fn a_gateway_that_was_away_for_weeks_reads_the_list_anew() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    (1..=2).for_each(|device| service.ban(device));
    took(&feed, &signed(&service.page(0))).unwrap();
    // Meanwhile 1 was lifted, under number 3, and that is so long ago that the service has forgotten it.
    let issued = NOW.plus(LIFTED_STAYS).secs();
    let later = RevocationDocument { number: 3, latest: 3, issued, entries: vec![], ..service.page(2) };
    assert!(!took(&feed, &signed(&later)).unwrap(), "what was lifted may be missing in it");
    assert!(revoked(&feed, 1) && revoked(&feed, 2), "nothing is forgotten until the list is whole");
    assert_eq!(feed.draft().index.number(), 0, "asked from the beginning");
    let entries = service.page(0).entries.split_off(1);
    let whole = RevocationDocument { from: 0, entries, ..later };
    assert!(took(&feed, &signed(&whole)).unwrap());
    assert!(!revoked(&feed, 1) && revoked(&feed, 2));
    // From then on changes are changes again.
    let next = RevocationDocument { from: 3, entries: vec![], ..whole };
    assert!(took(&feed, &signed(&next)).unwrap());
}

#[test]
fn a_service_that_forgot_takes_nothing_back() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    (1..=2).for_each(|device| service.ban(device));
    took(&feed, &signed(&service.page(0))).unwrap();
    service.log.lock().unwrap().truncate(1);
    for after in [0, 2] {
        let forgot = RevocationDocument { from: 0, ..service.page(if after == 0 { 0 } else { 1 }) };
        assert!(matches!(took(&feed, &signed(&forgot)), Err(NotTaken::Older { got: 1, have: 2 })));
    }
    assert!(revoked(&feed, 2));
}

#[test]
fn what_another_key_signed_or_this_one_for_another_use_is_not_taken() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    let good = signed(&service.page(0));
    let payload = service.page(0).to_payload().unwrap();
    let other = FeedKey::from_seed(&[5; 32]).unwrap().sign_revocations(&payload);
    let for_key_sets = FeedKey::from_seed(&[4; 32]).unwrap().sign(&payload);
    for document in [other, for_key_sets] {
        let refused = took(&feed, &Fetched { document, ..good.clone() });
        assert!(matches!(refused, Err(NotTaken::NotOurs(_))), "{refused:?}");
    }
    assert_eq!(feed.known(), None);
}

#[test]
fn changes_that_do_not_continue_what_is_known_are_not_taken() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    (1..=3).for_each(|device| service.ban(device));
    assert!(matches!(took(&feed, &signed(&service.page(2))), Err(NotTaken::Index(_))));
    let empty = RevocationDocument { number: 0, latest: 3, entries: vec![], ..service.page(0) };
    assert!(matches!(took(&feed, &signed(&empty)), Err(NotTaken::NoProgress)));
}

#[test]
fn silence_is_a_fact_at_once_and_closes_at_the_time_that_the_route_says() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    assert!(feed.is_stale(clock.steady()), "nothing was ever heard");
    took(&feed, &signed(&service.page(0))).unwrap();
    assert!(!feed.is_stale(clock.steady()));
    clock.advance(Duration::from_secs(7));
    assert!(feed.is_stale(clock.steady()));
    assert!(feed.usable(15 * MINUTE, clock.steady()).is_ok());
    clock.advance(15 * MINUTE);
    assert!(matches!(feed.usable(15 * MINUTE, clock.steady()), Err("revocations_stale")));
    assert!(feed.usable(24 * 60 * MINUTE, clock.steady()).is_ok(), "another route waits longer");
    // The same document again is silence too: it has the same date.
    took(&feed, &signed(&service.page(0))).unwrap();
    assert!(matches!(feed.usable(14 * MINUTE, clock.steady()), Err("revocations_stale")));
}

#[tokio::test]
async fn an_index_that_is_full_of_what_is_over_is_read_anew() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    let build = |number: u64| RevocationEntry {
        number,
        kind: RevocationKind::Build,
        value: number.to_string(),
        since: 0,
        until: Some(1),
        lifted: false,
    };
    let refused = (0..14).find_map(|page| {
        let (from, number) = (page * 5_000, (page + 1) * 5_000);
        let entries = (from + 1..=number).map(build).collect();
        let document = RevocationDocument { number, latest: number, from, entries, ..service.page(0) };
        took(&feed, &signed(&document)).err()
    });
    assert!(matches!(refused, Some(NotTaken::Index(IndexError::TooMany))), "{refused:?}");
    assert_eq!(feed.known(), Some((65_000, 0)), "what was known stays");
    // The service, asked from the beginning, says only what holds: nothing of all that, and one device.
    let value = DeviceId::from_bytes([1; 16]).to_string();
    let ban = RevocationEntry { kind: RevocationKind::Device, value, until: None, ..build(80_001) };
    let said = RevocationDocument { number: 80_001, latest: 80_001, entries: vec![ban], ..service.page(0) };
    assert!(took(&feed, &signed(&said)).unwrap());
    assert_eq!(feed.known(), Some((80_001, 1)));
    assert!(revoked(&feed, 1));
}

#[test]
fn a_request_that_asks_allocates_nothing_however_long_the_list_is() {
    let (service, clock) = (Arc::new(Service::default()), Arc::new(FixedClock::new(NOW)));
    let feed = feed(&service, &clock);
    let entry = |number: u64| {
        let mut device = [0; 16];
        device[..8].copy_from_slice(&number.to_be_bytes());
        let value = DeviceId::from_bytes(device).to_string();
        RevocationEntry { number, kind: RevocationKind::Device, value, since: 0, until: None, lifted: false }
    };
    for page in 0..16 {
        let (from, number) = (page * 5_000, (page + 1) * 5_000);
        let entries = (from + 1..=number).map(entry).collect();
        let document = RevocationDocument { number, latest: number, from, entries, ..service.page(0) };
        took(&feed, &signed(&document)).unwrap();
    }
    assert_eq!(feed.known(), Some((80_000, 80_000)));
    let claims =
        |device: DeviceId| Claims::parse(format!(r#"{{"exp":1,"did":"{device}","app":"shop"}}"#).as_bytes()).unwrap();
    let mut banned = [0; 16];
    banned[..8].copy_from_slice(&79_999_u64.to_be_bytes());
    for (claims, expected) in [
        (claims(DeviceId::from_bytes(banned)), Some(RevocationKind::Device)),
        (claims(DeviceId::from_bytes([255; 16])), None),
    ] {
        let ask = || feed.usable(MINUTE, clock.steady()).unwrap().revokes(&claims, &Facts::default(), Some("k"), NOW);
        assert_eq!(ask(), expected);
        let allocated = allocation_counter::measure(|| {
            ask();
        });
        assert_eq!(allocated.count_total, 0);
    }
}
