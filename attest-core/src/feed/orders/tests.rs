use super::*;
use crate::feed::{FeedError, REVOCATIONS_FORMAT, REVOCATIONS_FORMAT_1, RevocationDocument};
use proptest::prelude::*;
use serde_json::json;

fn order() -> Order {
    Order {
        id: 3,
        kind: OrderKind::Lockdown,
        routes: vec!["paid".into()],
        since: 1_000,
        until: 8_200,
        reason: "credential stuffing".into(),
        by: "ann".into(),
        extend_by: None,
    }
}

fn with(change: impl FnOnce(&mut Order)) -> Order {
    let mut order = order();
    change(&mut order);
    order
}

fn document(orders: Option<Vec<Order>>) -> RevocationDocument {
    let format = REVOCATIONS_FORMAT.to_owned();
    RevocationDocument { format, number: 5, latest: 5, issued: 1_000, from: 5, entries: vec![], orders }
}

fn read(document: &RevocationDocument) -> Result<RevocationDocument, FeedError> {
    RevocationDocument::parse(&serde_json::to_vec(document).unwrap())
}

#[test]
fn refuses_an_order_out_of_bounds() {
    let week = i64::try_from(MAX_ORDER_LASTS.as_secs()).unwrap();
    for bad in [
        with(|order| order.id = 0),
        with(|order| order.until = order.since),
        with(|order| order.until = order.since - 1),
        with(|order| order.until = order.since + week + 1),
        with(|order| (order.since, order.until) = (i64::MIN, i64::MAX)),
        with(|order| order.reason = String::new()),
        with(|order| order.reason = " ".into()),
        with(|order| order.reason = "two\nlines".into()),
        with(|order| order.reason = "x".repeat(201)),
        with(|order| order.by = String::new()),
        with(|order| order.by = "a\u{0}".into()),
        with(|order| order.routes = vec![String::new()]),
        with(|order| order.routes = vec!["Paid".into()]),
        with(|order| order.routes = vec!["-paid".into()]),
        with(|order| order.routes = vec!["p".repeat(65)]),
        with(|order| order.routes = vec!["paid".into(); MAX_ORDER_ROUTES + 1]),
        with(|order| order.extend_by = Some(60)),
        with(|order| order.kind = OrderKind::ExtendTokens),
        with(|order| (order.kind, order.extend_by) = (OrderKind::ExtendTokens, Some(0))),
        with(|order| (order.kind, order.extend_by) = (OrderKind::ExtendTokens, Some(86_401))),
    ] {
        assert!(!bad.is_sound(), "{bad:?}");
        assert_eq!(read(&document(Some(vec![bad.clone()]))), Err(FeedError::NotADocument), "{bad:?}");
        assert!(document(Some(vec![bad])).to_payload().is_err());
    }
    for good in [
        order(),
        with(|order| order.until = order.since + week),
        with(|order| order.routes = vec![]),
        with(|order| (order.kind, order.extend_by) = (OrderKind::ExtendTokens, Some(86_400))),
        with(|order| order.reason = "ü".repeat(200)),
    ] {
        let document = document(Some(vec![good]));
        assert_eq!(read(&document).as_ref(), Ok(&document));
    }
}

#[test]
fn refuses_orders_whose_numbers_do_not_rise_and_too_many_of_them() {
    let of = |ids: &[u64]| document(Some(ids.iter().map(|id| with(|order| order.id = *id)).collect()));
    assert!(read(&of(&[1, 2, 9])).is_ok());
    assert!(read(&of(&[2, 2])).is_err() && read(&of(&[2, 1])).is_err());
    let most: Vec<u64> = (1..=64).collect();
    assert!(read(&of(&most)).is_ok());
    let more: Vec<u64> = (1..=65).collect();
    assert!(read(&of(&more)).is_err());
}

#[test]
fn a_document_tells_the_orders_in_its_own_format_and_nowhere_else() {
    let old = RevocationDocument { format: REVOCATIONS_FORMAT_1.into(), ..document(None) };
    assert_eq!(read(&old).as_ref(), Ok(&old));
    assert_eq!(read(&RevocationDocument { orders: Some(vec![]), ..old }), Err(FeedError::NotADocument));
    assert_eq!(read(&document(None)), Err(FeedError::NotADocument), "not told is not none");
}

#[test]
fn refuses_what_it_does_not_know_and_what_is_left_out() {
    let whole = serde_json::to_value(order()).unwrap();
    let broken = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = whole.clone();
        change(&mut value);
        serde_json::from_value::<Order>(value).is_err()
    };
    assert!(broken(&|order| order["kind"] = json!("open")));
    assert!(broken(&|order| order["scope"] = json!("all")));
    for name in ["id", "kind", "routes", "since", "until", "reason", "by"] {
        assert!(broken(&|order| drop(order.as_object_mut().unwrap().remove(name))), "{name}");
    }
}

#[test]
fn words_read_back() {
    for kind in OrderKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!("extend-tokens".parse::<OrderKind>(), Err(NotAnOrderKind));
}

proptest! {
    #[test]
    fn what_is_read_is_sound_and_reads_back(
        ids in proptest::collection::vec(0_u64..6, 0..4),
        lasts in 0_i64..700_000,
        extend_by in proptest::option::of(0_u64..90_000),
        kind in 0_usize..3,
        reason in "\\PC{0,12}",
        route in "[a-z-]{0,3}",
    ) {
        let orders = ids.iter().map(|id| Order {
            id: *id,
            kind: OrderKind::ALL[kind],
            routes: vec![route.clone()],
            until: 1_000 + lasts,
            reason: reason.clone(),
            extend_by,
            ..order()
        });
        let document = document(Some(orders.collect()));
        let parsed = read(&document);
        prop_assert_eq!(parsed.is_ok(), document.to_payload().is_ok());
        if let Ok(parsed) = parsed {
            let orders = parsed.orders.clone().unwrap();
            prop_assert!(orders.iter().all(Order::is_sound));
            prop_assert!(orders.windows(2).all(|pair| pair[0].id < pair[1].id));
            prop_assert_eq!(parsed, document);
        }
    }
}
