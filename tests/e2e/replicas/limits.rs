//! One limit over two gateways.

use std::time::Instant;

use e2e::attester::Attester;
use e2e::replicas::{Gateway, Plan, Replicas};

/// How many of `requests` pass, asked of the gateways in turn by one client; the others are 429.
pub(super) fn passed(gateways: [&Gateway; 2], address: &str, token: &str, path: &str, requests: usize) -> usize {
    let statuses: Vec<_> =
        (0..requests).map(|number| gateways[number % 2].get_from(address, token, path).status).collect();
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{path}: {statuses:?}");
    statuses.into_iter().filter(|status| *status == 200).count()
}

#[test]
fn ten_a_minute_are_ten_at_both_gateways_together() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let token = Attester::genuine().token(&replicas.services[0].at);
    let [a, b] = &replicas.gateways;
    for (path, address) in [("/counted/x", "198.51.100.1"), ("/strict/x", "198.51.100.2"), ("/v1/x", "198.51.100.3")] {
        let began = Instant::now();
        let passed = passed([a, b], address, &token, path, 24);
        // Every six seconds one more.
        let most = 10 + usize::try_from(began.elapsed().as_secs() / 6).unwrap();
        assert!((10..=most).contains(&passed), "{path}: {passed} passed in {:?}", began.elapsed());
        let over = b.get_from(address, &token, path);
        assert!(over.status == 200 || over.header("retry-after").is_some(), "{over:?}");
    }
    // Another client has ten of its own, and so has another route.
    assert_eq!(a.get_from("198.51.100.9", &token, "/counted/x").status, 200);
    assert_eq!(b.get_from("198.51.100.1", &token, "/strict/x").status, 200);
    for gateway in [a, b] {
        assert_eq!(gateway.metric("assay_shared_state_up"), Some(1.0));
    }
    // Neither the client's address nor the device is written down there in the clear.
    let keys = replicas.redis_keys();
    assert!(keys.contains("assay") && !keys.contains("198.51"), "{keys}");
}
