use attest_core::feed::{FeedKey, OrderKind, REVOCATIONS_FORMAT, REVOCATIONS_FORMAT_1};
use attest_core::orders::RouteMode;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn key(seed: u8) -> FeedKey {
    FeedKey::from_seed(&[seed; 32]).unwrap()
}

fn order(id: u64, kind: OrderKind) -> Order {
    Order {
        id,
        kind,
        routes: vec!["paid".to_owned()],
        since: NOW.secs() - 60,
        until: NOW.secs() + 3600,
        reason: "an attack".to_owned(),
        by: "ann".to_owned(),
        extend_by: None,
    }
}

fn document(latest: u64, issued: i64, orders: &[Order]) -> RevocationDocument {
    RevocationDocument {
        format: REVOCATIONS_FORMAT.to_owned(),
        number: latest,
        latest,
        issued: NOW.secs() + issued,
        from: 0,
        entries: vec![],
        orders: Some(orders.to_vec()),
    }
}

/// Hands a document over, and writes what is to be kept.
fn take(orders: &OwnOrders, document: &RevocationDocument) {
    let signed = key(4).sign_revocations(&document.to_payload().unwrap());
    if let Some(Keep { file, text }) = orders.take(document, &signed, NOW) {
        whole_file::replace(&file, text.as_bytes()).unwrap();
    }
}

fn open(folder: &Path, now: UnixTime) -> OwnOrders {
    OwnOrders::new(Some(folder.join(FILE)), &key(4).public_key().unwrap(), now)
}

fn is_locked(orders: &OwnOrders) -> bool {
    matches!(orders.current().mode("paid", NOW), RouteMode::Lockdown(_))
}

#[test]
fn an_order_holds_from_its_document_on_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let orders = open(folder.path(), NOW);
    assert!(orders.current().is_empty());
    take(&orders, &document(1, 0, &[order(1, OrderKind::Lockdown)]));
    assert!(is_locked(&orders));
    let again = open(folder.path(), NOW);
    assert!(is_locked(&again), "without a word from the service");
    let later = NOW.plus(Duration::from_secs(3600 + 31));
    assert_eq!(again.current().mode("paid", later), RouteMode::Normal, "it ends by itself");
    take(&again, &document(2, 60, &[]));
    assert!(!is_locked(&again) && !is_locked(&open(folder.path(), NOW)));
}

#[test]
fn what_another_key_signed_or_somebody_wrote_makes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    let payload = document(1, 0, &[order(1, OrderKind::Monitor)]).to_payload().unwrap();
    for text in [
        key(5).sign_revocations(&payload).to_json(),
        // A signature over another kind of document.
        key(4).sign(&payload).to_json(),
        String::from_utf8(payload.to_vec()).unwrap(),
        String::new(),
        "x".repeat(MAX_DOCUMENT_BYTES + 1),
    ] {
        whole_file::replace(&file, text.as_bytes()).unwrap();
        assert!(open(folder.path(), NOW).current().is_empty());
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(open(folder.path(), NOW).current().is_empty(), "what can't be read stops no start");
}

#[test]
fn an_older_document_takes_no_order_back_and_gives_none() {
    let folder = tempfile::tempdir().unwrap();
    let orders = open(folder.path(), NOW);
    take(&orders, &document(5, 0, &[order(1, OrderKind::Lockdown)]));
    take(&orders, &document(4, 10, &[]));
    assert!(is_locked(&orders), "a lower number");
    take(&orders, &document(5, -61, &[]));
    assert!(is_locked(&orders), "an older date");
    // A restart forgets the number, for a store that was restored begins with a lower one; the date it keeps.
    let again = open(folder.path(), NOW);
    take(&again, &document(3, -3600, &[]));
    assert!(is_locked(&again), "a copy of before the order");
    take(&again, &document(3, -59, &[]));
    assert!(!is_locked(&again), "clocks of replicas may be a little apart");
}

#[test]
fn a_date_in_our_future_does_not_keep_out_what_comes_after_it() {
    let orders = OwnOrders::new(None, &key(4).public_key().unwrap(), NOW);
    take(&orders, &document(1, 86_400, &[order(1, OrderKind::Lockdown)]));
    take(&orders, &document(2, 0, &[]));
    assert!(!is_locked(&orders));
}

#[test]
fn a_service_of_before_orders_says_nothing_about_them() {
    let orders = OwnOrders::new(None, &key(4).public_key().unwrap(), NOW);
    take(&orders, &document(1, 0, &[order(1, OrderKind::Lockdown)]));
    let old = RevocationDocument { format: REVOCATIONS_FORMAT_1.to_owned(), orders: None, ..document(2, 10, &[]) };
    take(&orders, &old);
    assert!(is_locked(&orders));
}

#[test]
fn the_file_is_written_where_orders_change_and_not_at_each_document() {
    let folder = tempfile::tempdir().unwrap();
    let orders = open(folder.path(), NOW);
    take(&orders, &document(1, 0, &[]));
    assert!(!folder.path().join(FILE).exists(), "there was nothing to keep");
    take(&orders, &document(2, 1, &[order(1, OrderKind::Monitor)]));
    let first = std::fs::read(folder.path().join(FILE)).unwrap();
    take(&orders, &document(3, 2, &[order(1, OrderKind::Monitor)]));
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), first);
}

#[tokio::test]
async fn orders_that_could_not_be_written_are_written_with_the_next_document() {
    let folder = tempfile::tempdir().unwrap();
    let orders = open(folder.path(), NOW);
    let document = document(1, 0, &[order(1, OrderKind::Lockdown)]);
    let signed = key(4).sign_revocations(&document.to_payload().unwrap());
    // Something stands where the file has to be.
    std::fs::create_dir(folder.path().join(FILE)).unwrap();
    assert!(!orders.take(&document, &signed, NOW).unwrap().write().await);
    orders.not_kept();
    std::fs::remove_dir(folder.path().join(FILE)).unwrap();
    assert!(orders.take(&document, &signed, NOW).expect("once more").write().await);
    assert!(is_locked(&open(folder.path(), NOW)));
    assert!(orders.take(&document, &signed, NOW).is_none(), "once is enough");
}
